"""Results over several benchmarks have known answers: levels, differences, authors, and what the bootstrap draws."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils import benchmark_results
from llmexp_utils.injection import parse_arm
from llmexp_utils.metrics import per_fault

ARM, OTHER = parse_arm("made/line/uniform"), parse_arm("other/line/uniform")


def predictions() -> pd.DataFrame:
    """Two benchmarks, eight faults each: C0 finds none, C3 all of the first and none of the second."""
    rows = []
    for benchmark, hit in (("one", True), ("two", False)):
        for condition in ("C0", "C2", "C3"):
            for n in range(8):
                best = 1 if condition == "C3" and hit else 0
                scores = [0.0, 0.0, 0.0, 0.0]
                scores[best] = 1.0
                fault = {"fault_id": f"{benchmark}/{n}", "task_id": f"{benchmark}/{n}", "scores": scores, "lines": [2]}
                rows.append({"benchmark": benchmark, "student": "s", "n_real": 8, "condition": condition, **fault})
    return pd.DataFrame(rows).assign(seed=0, n_added=0, n_lines=4)


def test_results_by_benchmark_have_known_answers() -> None:
    frame = predictions()
    faults = per_fault(frame)
    levels = benchmark_results.levels(faults, frame, 200, 0).set_index(["benchmark", "condition"])
    assert levels.top1["one", "C3"] == 1.0 and levels.top1["two", "C3"] == 0.0 and (levels.floor == 0.25).all()
    found = benchmark_results.differences(faults, 200, 0).set_index(["benchmark", "condition", "minus"])
    assert found.estimate["one", "C3", "C0"] == found.estimate["one", "C3", "C2"] == 1.0
    assert found.p_holm["one", "C3", "C0"] < 0.1 and found.p_holm["two", "C3", "C0"] == 1.0
    assert set(found.reset_index().minus) == {"C0", "C2"} and (found.n_faults == 8).all()


def test_percent_is_of_the_level_of_real_only_in_the_same_cell() -> None:
    cell = {"benchmark": ["one", "one", "two"], "student": "s", "n_real": [4, 8, 8]}
    levels = pd.DataFrame(cell | {"condition": "C0", "top1": [0.2, 0.5, 0.4]})
    levels = pd.concat([levels, levels.assign(condition="C3", top1=0.9)])
    table = pd.DataFrame({**cell, "condition": "C3", "minus": ["C0", "C0", "C2"], "estimate": [0.1, -0.1, 0.1]})
    assert benchmark_results.with_percent(table, levels).percent.tolist() == pytest.approx(
        [50, -20, np.nan], nan_ok=True
    )


def test_authors_are_compared_with_the_controls_and_with_the_main_arm() -> None:
    frame = predictions().assign(form="line", policy="uniform", generator="made")
    frame.loc[frame.condition != "C3", ["generator", "form", "policy"]] = ""
    worse = frame[frame.condition == "C3"].assign(generator="other", scores=[[1.0, 0.0, 0.0, 0.0]] * 16)
    faults = per_fault(pd.concat([frame, worse], ignore_index=True))
    found = benchmark_results.arm_levels(faults, ARM.name, 200, 0).set_index(["benchmark", "minus", "arm"]).estimate
    assert found["one", "nothing", ARM.name] == 1.0 and found["one", "nothing", OTHER.name] == 0.0
    assert found["one", "C0", ARM.name] == found["one", "C2", ARM.name] == 1.0
    assert found["one", "main", OTHER.name] == -1.0 and found["two", "main", OTHER.name] == 0.0
    assert ("one", "main", ARM.name) not in found.index


def test_what_is_drawn_is_told_apart_by_benchmark() -> None:
    both = pd.DataFrame({"benchmark": ["one", "one", "two", "two"], "task_id": ["0", "1", "0", "1"]})
    found = benchmark_results.by_unit(both, {"one": {"0": "a", "1": "b"}, "two": {"0": "c", "1": "c"}})
    assert found.task_id.tolist() == ["a", "b", "c", "c"]
    with pytest.raises(KeyError):
        benchmark_results.by_unit(both, {"one": {"0": "a", "1": "b"}, "two": {"0": "c"}})


def test_conditions_without_real_faults_are_compared_with_every_number_of_real_ones() -> None:
    frame = predictions()
    few, alone = frame.assign(n_real=4), frame[frame.condition == "C3"].assign(condition="C5", n_real=0)
    faults = per_fault(pd.concat([frame, few, alone], ignore_index=True))
    found = benchmark_results.differences(faults, 200, 0).set_index(["benchmark", "condition", "minus", "n_real"])
    assert found.estimate["one", "C5", "C0", 4] == found.estimate["one", "C5", "C0", 8] == 1.0
    assert "C5" not in found.xs("C2", level="minus").index.get_level_values("condition")
    assert found.estimate["one", "C3", "C2", 4] == 1.0
