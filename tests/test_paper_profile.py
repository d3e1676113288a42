"""The paper's setting: a profile and a sweep that hold together, chat formats, a clear line without a server."""

from itertools import product
from pathlib import Path

import pytest
import yaml

from llmexp_utils import cloning, injection, preflight
from llmexp_utils.benchmark_registry import SOURCES
from llmexp_utils.encoder_table import ENCODERS
from llmexp_utils.errors import StudyError
from llmexp_utils.study import Study, open_study
from llmexp_utils.sweep import Point, points_of

PAIRS, REAL, REAL_PAIRS = "06_finetune_clone_detection", "08_real_benchmarks", "09_real_clones"
PAIR_SOURCES = ["condefects", "humaneval-x-java", "bigclonebench", "poj-104"]
STUDENTS = ["codebert-base", "graphcodebert-base", "unixcoder-base", "codet5-base"]

CHAT = [
    {"role": "system", "content": "SYSTEM"},
    {"role": "user", "content": "U1"},
    {"role": "assistant", "content": "A1"},
    {"role": "user", "content": "U2"},
]


@pytest.fixture(scope="module")
def models(root: Path) -> dict[str, str]:
    return yaml.safe_load((root / "params" / "chat_templates" / "models.yaml").read_text())


@pytest.fixture(scope="module")
def paper(root: Path) -> Study:
    return open_study(root, root / "params" / "paper.yaml")


def render(root: Path, name: str, chat: list) -> str:
    """A chat as a server writes it for its model."""
    import jinja2.sandbox

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((root / "params" / "chat_templates" / name).read_text())
    return template.render(messages=chat, bos_token="<s>", eos_token="</s>", add_generation_prompt=True)


def test_both_notebooks_ask_the_eight_models_and_each_has_a_chat_format(
    paper: Study, models: dict[str, str], root: Path
) -> None:
    faults = [injection.parse_arm(arm) for arm in paper.params["02_inject_faults"].arms]
    clones = [cloning.parse_clone_arm(arm) for arm in paper.params["03_write_clones"].clone_arms]
    assert [arm.generator for arm in faults] == [arm.generator for arm in clones] == list(models) and len(models) == 8
    files = {path.name for path in (root / "params" / "chat_templates").glob("*.jinja")}
    assert files == set(models.values()) - {"tokenizer"}


@pytest.fixture(scope="module")
def points(paper: Study) -> list[Point]:
    return list(points_of(paper).values())


def test_the_sweep_has_every_generator_student_benchmark_condition_and_seed(
    points: list[Point], models: dict[str, str]
) -> None:
    real = [point.study.params[REAL] for point in points if point.notebook == REAL]
    named = [name for name in ENCODERS if name.rsplit("/")[-1] in STUDENTS]
    axes = [[f"{name}/function" for name in models], named, SOURCES, ["C0", "C2", "C3", "C4"], range(5)]
    swept = [(p.arm, p.encoder, *p.benchmarks, *p.encoder_conditions, *p.encoder_seeds) for p in real]
    assert len(swept) == 8 * 4 * 6 * 4 * 5 == 3840 and set(swept) == set(product(*axes))
    pairs = [point.study.params[PAIRS] for point in points if point.notebook == PAIRS]
    axes = [[f"{name}/from_spec" for name in models], named, ["C0", "C2", "C3", "C4"], range(5)]
    swept = [(p.main_arm, p.encoder, *p.encoder_conditions, *p.encoder_seeds) for p in pairs]
    assert len(swept) == 8 * 4 * 4 * 5 == 640 and set(swept) == set(product(*axes))
    elsewhere = [point.study.params[REAL_PAIRS] for point in points if point.notebook == REAL_PAIRS]
    axes.insert(2, PAIR_SOURCES)
    swept = [(p.main_arm, p.encoder, *p.benchmarks, *p.encoder_conditions, *p.encoder_seeds) for p in elsewhere]
    assert len(swept) == 4 * 640 and set(swept) == set(product(*axes))
    assert len(points) == 3840 + 5 * 640


def test_points_replay_and_write_nowhere_twice(points: list[Point]) -> None:
    written = [getattr(p, field) for p in map(_params, points) for field in p.names("writes")]
    assert len(set(written)) == len(written)
    assert all(p.mode == "replay" for p in map(_params, points) if p.notebook == REAL)
    assert all(p.external and p.folds == [0, 1, 2, 3, 4] and p.workers == 1 for p in map(_params, points))


def test_parameters_of_a_point_are_what_its_notebook_would_accept(points: list[Point]) -> None:
    for p in map(_params, points):
        assert type(p).check(p.model_dump()) == p


def _params(point: Point):
    return point.study.params[point.notebook]


FORMATS = {
    "mistral.jinja": ["<s> [INST] SYSTEM\n\nU1 [/INST] A1</s> [INST] U2 [/INST]"],
    "phi-2.jinja": ["Instruct: SYSTEM\n\nU1\nOutput: A1\nInstruct: U2\nOutput:"],
    "wizardcoder.jinja": [
        "<s>Below is an instruction that describes a task.",
        " Write a response that appropriately completes the request.\n\n### Instruction:\nSYSTEM\n\nU1",
        "\n\n### Response:A1</s>\n\n### Instruction:\nU2\n\n### Response:",
    ],
    "magicoder.jinja": [
        "<s>You are an exceptionally intelligent coding assistant that consistently delivers",
        " accurate and reliable responses to user instructions.\n\n@@ Instruction\nSYSTEM\n\nU1",
        "\n\n@@ Response\nA1</s>\n\n@@ Instruction\nU2\n\n@@ Response\n",
    ],
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_template_writes_the_format_of_its_model(root: Path, name: str) -> None:
    assert render(root, name, CHAT) == "".join(FORMATS[name])
    assert "SYSTEM" not in render(root, name, CHAT[1:2])


def test_without_a_server_there_is_one_line_with_the_models(paper: Study, models: dict[str, str]) -> None:
    with pytest.raises(StudyError) as told:
        preflight.preflight(paper, ["02_inject_faults", "03_write_clones"])
    assert str(told.value).splitlines() == [
        f"{name}: base_url is empty: give the address of a server that has {', '.join(models)}"
        for name in ("02_inject_faults", "03_write_clones")
    ]
