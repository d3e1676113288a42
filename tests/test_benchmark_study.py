"""A benchmark's way through the study: asking, pool, funnel, and the cells of its training runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from endpoints import serving

from llmexp_utils.access import Access
from llmexp_utils.benchmark_jobs import BenchmarkPool, cells_of, cells_of_arms, to_choose_from
from llmexp_utils.benchmark_study import Choices, Split, ask, missing, recordings_of, try_tests
from llmexp_utils.benchmarks import Function
from llmexp_utils.budget import Ledger, most
from llmexp_utils.errors import StudyError
from llmexp_utils.fault_benchmarks import FaultBenchmark, fault_rows
from llmexp_utils.fault_pool import check_tests, examples_of, mutants_of, plan_of, pool_of
from llmexp_utils.grid import Repeats, jobs_of
from llmexp_utils.injection import parse_arm, requests_of
from llmexp_utils.sandbox import Limits

ARM, OTHER = parse_arm("made/line/uniform"), parse_arm("other/line/uniform")
N = 10


def correct(number: int) -> str:
    return f"def f(x):\n    y = x + {number}\n    return y * 2\n"


def made(test: str = "") -> FaultBenchmark:
    """Ten functions with one real fault each."""
    functions = [Function(f"T/{n}", "f", "", correct(n), "", test.format(n=n)) for n in range(N)]
    rows = [
        {
            "fault_id": f"T/{n}/real",
            "task_id": f"T/{n}",
            "code": correct(n).replace("y * 2", "y"),
            "lines": [3],
            "correct": correct(n),
        }
        for n in range(N)
    ]
    return FaultBenchmark("made", "python", functions, fault_rows(rows), {f"T/{n}": f"T/{n}" for n in range(N)}, {})


def answers() -> pd.DataFrame:
    """Three answers a function: a fault, the same again, and one that passes every test."""
    rows = []
    for n in range(N):
        fault, harmless = correct(n).replace("+", "-"), correct(n).replace("y * 2", "2 * y")
        for sample, code in enumerate([fault, fault, harmless]):
            name = f"T/{n}/made/line/uniform/{sample}"
            rows.append({"candidate_id": name, "task_id": f"T/{n}", "status": "candidate", "code": code})
    frame = pd.DataFrame(rows).assign(generator="made", form="line", policy="uniform", sample=0)
    return frame.assign(correct=[correct(int(task_id[2:])) for task_id in frame.task_id])


def embed(texts: list[str]) -> np.ndarray:
    return np.array([[1.0, len(text)] for text in texts])


def of_two_arms(folder: Path):
    """Both arms gave the same answers."""
    same = answers().assign(generator="other")
    same["candidate_id"] = same.candidate_id.str.replace("made", "other")
    both = pd.concat([answers(), same], ignore_index=True)
    mutants = mutants_of(made(), 2, 0)
    return pool_of(made(), both, mutants, [], Limits(cpu=1), folder / "verdicts.jsonl", embed)


def pooled(benchmark: FaultBenchmark, folder: Path):
    mutants = mutants_of(benchmark, 2, 0)
    return pool_of(benchmark, answers(), mutants, [], Limits(cpu=1), folder / "verdicts.jsonl", embed)


def test_tests_decide_where_there_are_some(tmp_path: Path) -> None:
    found = pooled(made("def check(c):\n    assert c(3) == (3 + {n}) * 2\n"), tmp_path)
    counts = found.funnel[found.funnel.source == ARM.name].set_index("stage")["count"].to_dict()
    # T/0 adds nothing, so its "fault" passes too
    assert counts == {
        "made": 30,
        "parses and differs": 30,
        "compiles": 30,
        "fails its tests": 18,
        "small": 18,
        "kept": 9,
    }
    assert found.faults.source.value_counts()["llm"] == 9


def test_what_tests_keep_out_is_counted_as_if_there_were_none(tmp_path: Path) -> None:
    noise = pooled(made("def check(c):\n    assert c(3) == (3 + {n}) * 2\n"), tmp_path).noise.set_index("source")
    assert noise.loc[ARM.name].to_dict() == {"candidates": 20, "does not compile": 0, "passes": 11}
    assert pooled(made(), tmp_path).noise.empty


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("def check(c):\n    assert False\n", r"T/0 is correct, but does not pass its test \(fail: .*\); 10 in all"),
        ("def check(c):\n    pass\n", "T/0/real is faulty, but passes its test; 10 in all"),
        ("def chekc(c):\n    pass\n", r"T/0 is correct, but does not pass its test \(error: .*check.*\); 10 in all"),
    ],
)
def test_tests_that_cannot_tell_are_refused(tmp_path: Path, test: str, message: str) -> None:
    with pytest.raises(StudyError, match=f"^made: {message}$"):
        check_tests(made(test), Limits(cpu=1), tmp_path / "verdicts.jsonl")


def test_tests_that_can_tell_are_not(tmp_path: Path) -> None:
    check_tests(made("def check(c):\n    assert c(3) == (3 + {n}) * 2\n"), Limits(cpu=1), tmp_path / "verdicts.jsonl")
    check_tests(made(), Limits(cpu=1), tmp_path / "verdicts.jsonl")


def test_without_tests_the_harmless_are_kept_and_the_funnel_says_less(tmp_path: Path) -> None:
    found = pooled(made(), tmp_path)
    counts = found.funnel[found.funnel.source == ARM.name].set_index("stage")["count"].to_dict()
    assert counts == {"made": 30, "parses and differs": 30, "small": 30, "kept": 20}


def test_a_copy_of_another_arms_fault_is_a_fault_of_both_arms(tmp_path: Path) -> None:
    found = of_two_arms(tmp_path)
    kept = found.funnel[found.funnel.stage == "kept"].set_index("source")["count"].to_dict()
    assert kept.pop("mutation") and kept == {ARM.name: 20, OTHER.name: 20}


def test_arms_are_compared_with_as_many_faults_each(tmp_path: Path) -> None:
    found = of_two_arms(tmp_path)
    few = found.faults[(found.faults.generator != OTHER.generator) | found.faults.fault_id.str.endswith("2")]
    pool = BenchmarkPool(few, {f"T/{n}": n % 5 for n in range(N)}, [], "made")
    cells = cells_of_arms(pool, [ARM, OTHER], 1000, 1000, Repeats([0, 1], [0]))
    assert {(cell.condition, cell.arm.generator) for cell in cells if cell.condition == "C3"} == {
        ("C3", "made"),
        ("C3", "other"),
    }
    assert {cell.condition: cell.n_added for cell in cells} == {"C0": 0, "C2": 6, "C3": 6}
    assert {(cell.n_real, cell.series) for cell in cells} == {(6, "arm")}
    none = BenchmarkPool(few[few.source != "mutation"], pool.groups, [], "made")
    with pytest.raises(StudyError, match="made: an arm, or the rules, have no fault in some fold"):
        cells_of_arms(none, [ARM, OTHER], 8, 8, Repeats([0], [0]))


def test_cells_take_what_the_smallest_fold_has(tmp_path: Path) -> None:
    found = pooled(made(), tmp_path)
    groups = {f"T/{n}": n % 5 for n in range(N)}
    pool = BenchmarkPool(found.faults, groups, [], "made")
    repeats = Repeats([0, 1], [0])
    cells = cells_of(pool, ["C0", "C2", "C3"], [4, 1000], 1000, ARM, repeats)
    assert {cell.n_real for cell in cells} == {4, 6}
    added = {
        condition: {cell.n_added for cell in cells if cell.condition == condition} for condition in ("C0", "C2", "C3")
    }
    assert added["C0"] == {0} and added["C2"] == added["C3"] and len(added["C2"]) == 1
    jobs = jobs_of(pool, cells)
    assert {job.facts["benchmark"] for job in jobs} == {"made"} and all(len(job.test) == 2 for job in jobs)
    empty = BenchmarkPool(found.faults[found.faults.source != "mutation"], groups, [], "made")
    with pytest.raises(StudyError, match="made: made/line/uniform, or the rules, have no fault in some fold: raise"):
        cells_of(empty, ["C0", "C2"], [4], 8, ARM, repeats)
    with pytest.raises(StudyError, match="^made: other/line/uniform, or the rules, have no fault"):
        cells_of(pool, ["C0", "C3"], [4], 8, OTHER, repeats)


def test_a_group_with_too_few_short_faults_for_the_prompts_is_named() -> None:
    groups = {f"T/{n}": int(n > 0) for n in range(N)}
    with pytest.raises(StudyError, match="made: group 0 of the split has 0 real faults .*: raise n_functions or lower"):
        examples_of(made(), groups, embed, "random")
    with pytest.raises(StudyError, match="made: group 0 of the split has 1 real faults .* not a function's own"):
        examples_of(made(), {f"T/{n}": int(n > 1) for n in range(N)}, embed, "random")


def test_problems_of_humaneval_share_their_recordings() -> None:
    assert recordings_of("humanevalpack-python", Path("r")) == Path("r")
    assert recordings_of("defects4j", Path("r")) == Path("r/defects4j")
    assert recordings_of("data/mine.jsonl", Path("r")) == Path("r/mine")


def of_benchmark(name: str) -> Split:
    benchmark, groups = replace(made(), name=name), {f"T/{n}": n % 3 for n in range(N)}
    return Split(benchmark, groups, benchmark.faults, examples_of(benchmark, groups, embed, "random"))


def test_benchmarks_share_one_budget(tmp_path: Path) -> None:
    """The first takes all of it; of the second nothing is asked for."""
    choices = Choices((parse_arm("m/function"),), 1, 1, 1, 30, N, 0)
    one, other = of_benchmark("one"), of_benchmark("two")
    wanted = requests_of(choices.arms[0], plan_of(one.benchmark, one.groups, one.rankings, 1, 0), {})
    reserve = max(sum(most(request)) for request in wanted)
    ledger = Ledger(Access(token_budget=25 * N + reserve - 1))
    with serving() as (url, handler):
        assert len(ask(one, choices, tmp_path, "record", url, ledger)) == N
        with pytest.raises(StudyError, match=f"0 of {N} missing answers were recorded in .*two.*this run has used 250"):
            ask(other, choices, tmp_path, "record", url, ledger)
        assert sum(handler.attempts.values()) == N
        assert len(ask(other, choices, tmp_path, "record", url)) == N


def test_a_part_of_the_smallest_fold_is_added_so_that_score_leaves_some_out(tmp_path: Path) -> None:
    found = pooled(made(), tmp_path)
    many = pd.concat([found.faults, found.faults[found.faults.source == "mutation"].assign(fault_id="x")])
    pool = BenchmarkPool(many, {f"T/{n}": n % 5 for n in range(N)}, [], "made")
    folds = Repeats([0, 1], [0])
    whole, half = (cells_of(pool, ["C0", "C3", "C4"], [4], 1000, ARM, folds, share)[-1].n_added for share in (1.0, 0.5))
    assert (whole, half) == (12, 6)
    chosen, drawn = (
        {job.facts["condition"]: set(job.train.fault_id) for job in jobs_of(pool, cells) if job.facts["fold"] == 0}
        for cells in (cells_of(pool, ["C0", "C3", "C4"], [4], 1000, ARM, folds, share) for share in (0.5, 1.0))
    )
    assert chosen["C3"] != chosen["C4"] and drawn["C3"] == drawn["C4"]


def test_other_arms_may_give_fewer_answers(tmp_path: Path) -> None:
    split, arms = of_benchmark("one"), (parse_arm("m/function"), parse_arm("other/function"))
    choices = Choices(arms, 3, 1, 1, 30, N, 0)
    with serving(models=("m", "other")) as (url, _):
        found = ask(split, choices, tmp_path, "record", url)
    assert found.groupby("generator").size().to_dict() == {"m": 3 * N, "other": N}
    assert missing("one", choices, tmp_path, url) == ""
    gap = missing("one", replace(choices, arm_samples=2), tmp_path, url)
    assert gap.startswith("one: arm other/function: at most 1 of 2 answers a function are in")


def test_what_score_can_choose_from_is_told(tmp_path: Path) -> None:
    split, found = of_benchmark("made"), pooled(made(), tmp_path)
    pool = BenchmarkPool(found.faults, split.groups, [], "made")
    cells = cells_of(pool, ["C0", "C4"], [1000], 1000, ARM, Repeats([0, 1], [0]))
    added = cells[-1].n_added
    told = to_choose_from(pool, ARM, [0, 1], added)
    assert told["added"] == added and (told["LLM faults of the smallest fold"], told["of the largest"]) == (6, 8)
    assert told["added, of the mean"] == added / 7
    only = to_choose_from(pool, ARM, [0, 1], 0)
    assert only["added"] is None and only["benchmark"] == "made"


def test_ones_own_tests_are_tried_before_anybody_is_asked(tmp_path: Path) -> None:
    wrong = made("def check(c):\n    assert False\n")
    own, published = (replace(of_benchmark("made"), benchmark=replace(wrong, name=name)) for name in ("my.jsonl", "x"))
    try_tests([published], Limits(cpu=1), tmp_path / "verdicts.jsonl")
    assert not (tmp_path / "verdicts.jsonl").exists(), "those of published benchmarks are not run again"
    with pytest.raises(StudyError, match="^my.jsonl: T/0 is correct, but does not pass its test"):
        try_tests([published, own], Limits(cpu=1), tmp_path / "verdicts.jsonl")
