"""Student (B): windows of whole lines, all encoder families, determinism, resumption."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_encoders import FAMILIES, faults, make_encoder

from llmexp_utils import encoder_student, fine_tuning, line_classifier
from llmexp_utils.encoder_student import LineScores, train_and_score
from llmexp_utils.encoders import EncoderChoice, load_encoder
from llmexp_utils.errors import StudyError
from llmexp_utils.line_windows import encode_functions

LEARN = {"steps": 60, "learning_rate": 5e-3}  # all families learn it from each of several seeds: no test of luck


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order; put back for the other test files."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folder of each family's encoder."""
    return {family: str(make_encoder(family, tmp_path_factory.mktemp(family))) for family in FAMILIES}


@pytest.fixture
def run(encoders: dict[str, str], tmp_path: Path) -> Callable[..., LineScores]:
    """A short run on made-up faults; keyword arguments replace its settings."""

    def call(family: str = "bert", **settings: object) -> LineScores:
        choice = settings.pop("encoder", encoders[family])
        frames = settings.pop("frames", (faults(40, 1), faults(8, 2), faults(12, 3)))
        options = {
            "steps": 6,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "output_dir": tmp_path / "runs",
        } | settings
        return train_and_score(*frames, encoder=choice, **options)

    return call


def same(one: LineScores, other: LineScores) -> bool:
    pairs = zip(one.test + one.dev, other.test + other.dev, strict=True)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_the_faulty_line(run: Callable[..., LineScores], family: str) -> None:
    scores = run(family, **LEARN)
    test = faults(12, 3)
    assert [len(row) for row in scores.test] == [len(code.splitlines()) for code in test["code"]]
    assert [row.argmax() for row in scores.test] == [1] * 12
    assert scores.window_share == 0


def test_padding_and_company_do_not_change_scores(encoders: dict[str, str]) -> None:
    torch.manual_seed(0)
    backbone, tokenizer, window = load_encoder(encoders["bert"])
    model = line_classifier.LineClassifier(backbone)
    functions = encode_functions(faults(9, 4)["code"], tokenizer, window)
    together = line_classifier.score_lines(model, functions, 0, batch_size=9)
    alone = [line_classifier.score_lines(model, [function], 0)[0] for function in functions]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_loss_spreads_its_mass_over_the_labelled_lines(encoders: dict[str, str]) -> None:
    backbone, tokenizer, window = load_encoder(encoders["bert"])
    model = line_classifier.LineClassifier(backbone).eval()
    functions = encode_functions(["a\nb\nc\n", "a\nb\n"], tokenizer, window)
    items = [line_classifier.LineItem(f, n) for f, n in zip(functions, ([1, 3], [2]), strict=True)]
    output = model(**line_classifier.collate(items, 0))
    first, second = (torch.log_softmax(row[:n], 0) for row, n in zip(output["logits"], (3, 2), strict=True))
    torch.testing.assert_close(output["loss"], -((first[0] + first[2]) / 2 + second[1]) / 2)


def test_how_functions_fit_is_told(encoders: dict[str, str]) -> None:
    short, long, wide = "def f(a):\n    return a\n", "a = 1\n" * 20, "def f(a):\n    a = " + " + ".join("a" * 40) + "\n"
    choice = EncoderChoice(encoders["bert"], window=32)
    assert encoder_student.window_use([short, long, short, long], choice) == (0.5, 0)
    assert encoder_student.window_use([short, wide], choice).cut_share == 1 / 2
    assert encoder_student.window_use([short, long, wide], encoders["t5"]) == (0, 0)


def test_a_function_over_the_window_is_ranked_whole(run: Callable[..., LineScores], encoders: dict[str, str]) -> None:
    choice = EncoderChoice(encoders["bert"], window=32)
    scores = run(encoder=choice, **LEARN)
    assert 0 < scores.window_share < 1
    assert [row.argmax() for row in scores.test] == [1] * 12


def test_the_same_run_gives_the_same_bytes_and_another_seed_others(run: Callable[..., LineScores]) -> None:
    first = run(seed=1)
    assert same(first, run(seed=1))
    assert not same(first, run(seed=2))


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_a_killed_run_continues_to_the_same_scores(
    run: Callable[..., LineScores], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, family: str
) -> None:
    expected = run(family, output_dir=tmp_path / "whole")
    step, calls = fine_tuning.GroupedTrainer.training_step, []

    def dying(*given: object, **named: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 9:  # the first of the two passes of step 5
            raise KeyboardInterrupt
        return step(*given, **named)

    monkeypatch.setattr(fine_tuning.GroupedTrainer, "training_step", dying)
    with pytest.raises(KeyboardInterrupt):
        run(family)
    (kept,) = (tmp_path / "runs").glob("*/checkpoint-*")
    (kept.parent / "checkpoint-4").mkdir()  # what a kill in the middle of saving leaves
    assert kept.name == "checkpoint-3"
    assert same(run(family), expected)
    assert len(calls) == 9 + 2 * 3
    assert not list((tmp_path / "runs").iterdir())


def test_a_checkpoint_of_other_data_is_not_taken_up(
    run: Callable[..., LineScores], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    frames = (faults(40, 9), faults(8, 2), faults(12, 3))
    expected = run(frames=frames, output_dir=tmp_path / "whole")
    monkeypatch.setattr("llmexp_utils.fine_tuning.shutil.rmtree", lambda *given, **named: None)
    run()
    assert list((tmp_path / "runs").glob("*/checkpoint-*"))
    assert same(run(frames=frames), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_are_frozen_from_the_bottom(encoders: dict[str, str], family: str) -> None:
    def trained(**settings: int) -> set[str]:
        backbone = load_encoder(EncoderChoice(encoders[family], **settings)).backbone
        return {name for name, value in backbone.named_parameters() if value.requires_grad}

    whole = trained()
    assert whole == {name for name, _ in load_encoder(encoders[family]).backbone.named_parameters()}
    tables = ("word_embeddings", "embed_tokens", "tok_embeddings", "shared")
    words = {name for name in whole if any(table in name for table in tables)}
    assert len(words) == 1
    assert whole - trained(freeze_embeddings=True) == words
    upper = trained(frozen_layers=1)
    assert upper
    assert all(re.search(r"(layers?|block)\.1\.|final", name) for name in upper)
    with pytest.raises(StudyError, match="has 2 layers"):
        trained(frozen_layers=3)


def test_frozen_layers_stay_and_the_rest_moves(
    encoders: dict[str, str], monkeypatch: pytest.MonkeyPatch, run: Callable[..., LineScores]
) -> None:
    seen: list[line_classifier.LineClassifier] = []
    score = encoder_student.score_lines
    monkeypatch.setattr(encoder_student, "score_lines", lambda model, *rest: seen.append(model) or score(model, *rest))
    run(encoder=EncoderChoice(encoders["bert"], frozen_layers=1))
    before, after = load_encoder(encoders["bert"]).backbone.state_dict(), seen[0].backbone.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved
    assert all(".layer.1." in name for name in moved)


@pytest.mark.parametrize("name", ["no/such/encoder", "nobody/no-such-encoder", "no-such-encoder"])
def test_an_unknown_encoder_is_refused_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(StudyError, match="'minilm', a folder") as caught:
        load_encoder(name)
    assert "\n" not in str(caught.value)


def test_a_folder_without_weights_is_refused_in_one_line(encoders: dict[str, str], tmp_path: Path) -> None:
    for file in Path(encoders["bert"]).iterdir():
        if file.suffix == ".json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(StudyError) as caught:
        load_encoder(str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, "max_steps is not set"),
        ({"frames": (faults(0, 1), faults(1, 2), faults(1, 3))}, "the train frame has no fault"),
        ({"frames": (faults(1, 1), faults(1, 2), faults(1, 3).assign(lines=[[40]]))}, "labels .40."),
        ({"frames": (faults(1, 1), faults(1, 2).assign(lines=[[]]), faults(1, 3))}, "dev frame has labels"),
    ],
)
def test_bad_input_is_one_line(run: Callable[..., LineScores], settings: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        run(**settings)
