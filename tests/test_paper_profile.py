"""The paper's generators: a profile that holds together, chat formats that render, a clear line without a server."""

from pathlib import Path

import pytest
import yaml

from llmexp_utils import cloning, injection, preflight
from llmexp_utils.errors import StudyError
from llmexp_utils.study import Study, open_study

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
