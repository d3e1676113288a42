"""Bad input is told before anything runs: all of it, one line each, exit code 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from llmexp_utils import encoders, humanevalpack, injection, preflight, study
from llmexp_utils.encoder_table import ENCODERS
from llmexp_utils.errors import StudyError
from llmexp_utils.gold_folder import read_gold_folder
from llmexp_utils.paths import gold_dir, recordings_dir
from llmexp_utils.sandbox import Limits, SandboxError

CLONES = "03_write_clones"
PAIRS = "06_finetune_clone_detection"
START, INJECT, TUNE = "00_start_here", "02_inject_faults", "05_finetune_fault_localization"
REAL, REAL_CLONES = "08_real_benchmarks", "09_real_clones"
ARM = "qwen2.5-coder-0.5b/line/uniform"
ONE = f"  arms: [{ARM}]\n  n_functions: 1\n"


@pytest.fixture(scope="module", autouse=True)
def loaded_once(functions: list) -> object:
    """HumanEval is read once for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight.benchmarks, "load_humaneval", lambda: functions)
        yield


def test_good_input_passes(say: Callable[..., list[str]]) -> None:
    assert say("", "notebook", START, code=0) == say(f"{INJECT}:\n{ONE}", "notebook", INJECT, code=0) == []


def test_a_boundary_that_the_machine_cannot_give_is_told_once(
    say: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def layers(limits: Limits) -> list[str]:
        asked.append(str(limits.boundary))
        raise SandboxError(f"no {limits.boundary} sandbox here")

    monkeypatch.setattr(preflight, "layers", layers)
    profile = f"common:\n  boundary: confined\n{START}:\n  boundary: full\n"
    assert say(profile, "study") == ["error: no full sandbox here", "error: no confined sandbox here"]
    assert asked == ["full", "confined"]
    (line,) = say(f"{START}:\n  boundary: none\n", "notebook", START)
    assert line.endswith("boundary: unknown value 'none'; known: confined, full, limits")


def test_all_problems_of_a_study_are_told_at_once(say: Callable[..., list[str]]) -> None:
    profile = f"{START}:\n  task_id: HumanEval/164\n{INJECT}:\n  recordings: none\n{ONE}"
    lines = say(profile, "study")
    assert [line.split(":")[1].strip() for line in lines] == [START, INJECT]
    assert lines[0] == (
        "error: 00_start_here: task_id: 'HumanEval/164' is no HumanEval problem; known: HumanEval/0 to HumanEval/163"
    )


def test_only_what_is_about_to_run_is_checked(say: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study.Study, "changes", lambda self, name: ["asked"] if name == "07_results" else [])
    bad = f"{START}:\n  task_id: HumanEval/164\n"
    assert say(bad, "study", code=0) == say(bad, "notebook", START, code=0) == []
    assert len(say(bad, "notebook", START, "--force")) == 1


def test_notebooks_after_a_waiting_one_are_checked_too(tmp_path: Path, root: Path) -> None:
    opened = study.open_study(root, root / "params" / "study.yaml")
    after = ["04_validate_and_select", TUNE, PAIRS, "07_results", REAL_CLONES]
    assert preflight.downstream(opened, ["04_validate_and_select"]) == after
    assert preflight.downstream(opened, [START]) == [START]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("faults.jsonl", "{}\n", "data/gold/faults.jsonl, line 1: not a gold fault"),
        ("faults.jsonl", None, "data/gold/faults.jsonl does not exist: check the parameter 'gold'"),
        ("folds.json", "{", "data/gold/folds.json is malformed (JSONDecodeError"),
        ("folds.json", '{"HumanEval/0": 5}', "data/gold/folds.json: HumanEval/0 has no group from 0 to 4"),
        ("examples.json", '{"semantic": {}}', "data/gold/examples.json is malformed (KeyError: '0')"),
        ("examples.json", "{}", "unknown way of choosing examples 'semantic'"),
    ],
)
def test_a_malformed_gold_file_is_one_line_though_many_read_it(
    say: Callable[..., list[str]], tmp_path: Path, name: str, content: str | None, line: str
) -> None:
    path = tmp_path / "data" / "gold" / name
    path.write_text(content) if content is not None else path.unlink()
    (said,) = say("", "study")
    assert said.startswith(f"error: {line}")


def test_missing_recordings_are_counted_by_arm(say: Callable[..., list[str]], tmp_path: Path) -> None:
    path = tmp_path / "data/recordings/line_qwen2.5-coder-0.5b.jsonl"
    kept = [line for line in path.read_text().splitlines() if json.loads(line)["task_id"] != "HumanEval/1"]
    path.write_text("\n".join([*kept, ""]))
    chosen = "qwen2.5-coder-0.5b/line/llm"
    profile = f"{INJECT}:\n  arms: [{ARM}, {chosen}]\n  n_functions: 2\n"
    advice = (
        ": set `mode: record` to ask for them (`make record` shows it on a few functions), "
        "or go back to the committed parameters"
    )
    folder, choices = "data/recordings", "choose_qwen2.5-coder-0.5b.jsonl"
    assert say(profile, "notebook", INJECT) == [
        f"error: {INJECT}: arm {ARM}: 6 of 12 answers are not in {folder}/line_qwen2.5-coder-0.5b.jsonl{advice}",
        f"error: {INJECT}: arm {chosen}: 2 of 2 choices of lines are not in {folder}/{choices}{advice}",
    ]


def test_the_policy_llm_is_complete_with_its_choices_and_its_answers(functions: list) -> None:
    gold, _ = read_gold_folder(gold_dir(), "semantic")
    settings = ({"line": 6, "function": 2}, 1.0, 0.95, 0)
    plan = injection.Plan(functions[:1], gold.faults, gold.groups, gold.rankings, *settings)
    arm = injection.parse_arm("qwen2.5-coder-1.5b/line/llm")
    assert injection.missing([arm], plan, recordings_dir()) == []


def test_missing_clones_and_a_malformed_gold_clone_are_told(say: Callable[..., list[str]], tmp_path: Path) -> None:
    arm = "qwen2.5-coder-1.5b/from_spec"
    profile = f"{CLONES}:\n  clone_arms: [{arm}]\n  clone_samples: [3]\n  n_functions: 2\n"
    path = tmp_path / "data/recordings/from_spec_qwen2.5-coder-1.5b.jsonl"
    kept = [line for line in path.read_text().splitlines() if json.loads(line)["task_id"] != "HumanEval/1"]
    path.write_text("\n".join([*kept, ""]))
    advice = "set `mode: record` to ask for them, or go back to the committed parameters"
    gap = f"arm {arm}: 3 of 6 answers are not in data/recordings/{path.name}: {advice}"
    assert say(profile, "notebook", CLONES) == [f"error: {CLONES}: {gap}"]
    (tmp_path / "data/gold/clones.jsonl").write_text("{}\n")
    (line,) = say(profile, "notebook", CLONES)
    assert line.startswith(f"error: {CLONES}: data/gold/clones.jsonl, line 1: not a gold clone")


def test_points_of_a_sweep_share_what_is_checked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(preflight.reader, "check_model", lambda name, root: asked.append(name))
    opened = study.open_study(root, root / "params" / "smoke.yaml")
    assert preflight.preflight_all([(opened, [TUNE]), (opened, [PAIRS]), (opened, [REAL])]) == []
    assert len(asked) == 1, "all three have the same frozen model"


def test_every_clone_arm_needs_its_number_of_samples(say: Callable[..., list[str]]) -> None:
    profile = f"{CLONES}:\n  clone_arms: [qwen2.5-coder-1.5b/from_spec]\n  clone_samples: [3, 2]\n"
    line = "clone_samples has 2 numbers for 1 arms: give one each"
    assert say(profile, "notebook", CLONES) == [f"error: {CLONES}: {line}"]


def test_a_generator_that_nobody_serves_is_named(say: Callable[..., list[str]]) -> None:
    unknown = "unknown generator 'gpt': choose one of qwen2.5-coder-1.5b, qwen2.5-coder-0.5b, or give the base_url"
    for mode in ("replay", "record"):
        (line,) = say(f"{INJECT}:\n  mode: {mode}\n  arms: [gpt/function, {ARM}]\n  n_functions: 1\n", "study")
        assert line.startswith(f"error: {INJECT}: {unknown}")


def test_a_server_that_does_not_answer_is_one_line_without_its_key(
    say: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMEXP_API_KEY", "sesame")
    url = "http://me:sesame@127.0.0.1:9/v1"
    profile = f"{INJECT}:\n  mode: record\n  base_url: {url}\n  arms: [some/line/uniform, some/function]\n"
    line = f"error: {INJECT}: http://127.0.0.1:9/v1 does not answer: start the server or correct base_url"
    assert say(profile, "record") == say(profile, "notebook", INJECT) == [line]


def test_arms_that_02_does_not_ask_for(say: Callable[..., list[str]]) -> None:
    common = "common:\n  candidates: runs/a\n  pool: runs/b\n"
    tune = f"{TUNE}:\n  main_arm: {ARM}\n  arms: [{ARM}, qwen2.5-coder-0.5b/line/gold]\n  encoder_conditions: []\n"
    (line,) = say(f"{common}{INJECT}:\n{ONE}{tune}", "study")
    assert line == f"error: {TUNE}: arms: 'qwen2.5-coder-0.5b/line/gold' is not among the arms of {INJECT}" + (
        f": did you mean '{ARM}'?"
    )
    assert say(f"{common}{INJECT}:\n{ONE}{tune}", "notebook", TUNE) == [line]
    other = tune + "  pool: runs/elsewhere\n"
    assert say(f"{common}{INJECT}:\n{ONE}{other}", "notebook", TUNE, code=0) == []


def test_more_real_faults_than_the_smallest_fold_has(say: Callable[..., list[str]]) -> None:
    sizes = "n_functions: 164\n  folds: [0, 1, 2, 3, 4]\n  encoder_conditions: []\n  n_real:"
    (line,) = say(f"{TUNE}:\n  {sizes} [8, 197]\n", "notebook", TUNE)
    assert line.startswith(f"error: {TUNE}: n_real: fold ") and line.endswith(
        "has 196 real training faults, 197 were asked for"
    )
    assert say(f"{TUNE}:\n  {sizes} [196]\n", "notebook", TUNE, code=0) == []
    assert say(f"{TUNE}:\n  {sizes} [197]\n  conditions: [C5m]\n", "notebook", TUNE, code=0) == []


def test_more_real_pairs_than_the_smallest_fold_has_and_unknown_arms_of_clones(say: Callable[..., list[str]]) -> None:
    sizes = "n_functions: 164\n  folds: [0, 1, 2, 3, 4]\n  encoder_conditions: []\n  n_real:"
    (line,) = say(f"{PAIRS}:\n  {sizes} [8, 393]\n", "notebook", PAIRS)
    assert line.startswith(f"error: {PAIRS}: n_real: fold ") and line.endswith(
        "has 392 real training pairs, 393 were asked for"
    )
    common = "common:\n  clone_candidates: runs/a\n  clones: runs/b\n"
    arms = "main_arm: qwen2.5-coder-1.5b/rewrite\n  arms: [other/rewrite]\n  encoder_conditions: []\n"
    (line,) = say(f"{common}{PAIRS}:\n  {arms}", "notebook", PAIRS)
    assert line.startswith(f"error: {PAIRS}: arms: 'other/rewrite' is not among the arms of {CLONES}")


def test_an_encoder_that_cannot_be_loaded(say: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (line,) = say(f"{TUNE}:\n  encoder: empty\n", "notebook", TUNE)
    assert line.startswith(f"error: {TUNE}: encoder 'empty' is a folder without config.json")
    (line,) = say(f"{TUNE}:\n  encoder: no/such-model\n", "notebook", TUNE)
    assert line.startswith(f"error: {TUNE}: encoder 'no/such-model' cannot be loaded: give 'minilm', a folder")
    assert say(f"{TUNE}:\n  encoder: empty\n  encoder_conditions: []\n", "notebook", TUNE, code=0) == []


def test_an_external_check_without_data_is_a_warning_and_with_other_data_an_error(
    say: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = f"{TUNE}:\n  external: true\n"
    (line,) = say(profile, "notebook", TUNE, code=0)
    assert line.startswith(f"warning: {TUNE}: HumanEvalPack was not found, so `external: true` tests on nothing more")
    (tmp_path / "humanevalpack").mkdir()
    (tmp_path / "humanevalpack" / "python.jsonl").write_text("{}\n")
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(tmp_path))
    (line,) = say(profile, "notebook", TUNE)
    assert line.startswith(f"error: {TUNE}: humanevalpack/python.jsonl, line 1: not a HumanEvalPack row")


def test_external_data_that_come_later_start_a_run(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMEXP_DATA_DIR", raising=False)
    (tmp_path / "mine.yaml").write_text(f"{TUNE}:\n  external: true\n")
    opened = study.open_study(root, tmp_path / "mine.yaml", [TUNE])
    assert opened.fingerprint(TUNE)["HumanEvalPack"] == ""
    (tmp_path / "humanevalpack").mkdir()
    (tmp_path / "humanevalpack" / "python.jsonl").write_text("x")
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(tmp_path))
    assert opened.fingerprint(TUNE)["HumanEvalPack"] == humanevalpack.local_hash() != ""
    assert "HumanEvalPack" not in study.open_study(root, root / "params/study.yaml", [TUNE]).fingerprint(TUNE)


def test_every_committed_profile_passes_up_to_its_recordings(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "locate", lambda name: ENCODERS[name])  # the hub may not be there
    for path in sorted((root / "params").glob("*.yaml")):
        opened = study.open_study(root, path)
        replayed = [name for name, p in opened.params.items() if getattr(p, "mode", "") != "record"]
        names = [name for name in replayed if name != INJECT]  # a server may not be there
        try:
            preflight.preflight(opened, names)
        except StudyError as error:
            pytest.fail(f"{path.name}: {error}")
