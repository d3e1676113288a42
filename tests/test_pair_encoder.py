"""Student (B) for pairs: fair truncation, both heads, determinism, resumption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_encoders import FAMILIES, make_encoder

from llmexp_utils import fine_tuning, pair_encoder, pair_inputs
from llmexp_utils.encoders import EncoderChoice, load_encoder
from llmexp_utils.errors import StudyError
from llmexp_utils.pair_encoder import PairScores, train_and_score_pairs, truncated_share
from llmexp_utils.pair_inputs import encode_pairs

HEADS = ("cross", "bi")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folder of each family's encoder."""
    return {family: str(make_encoder(family, tmp_path_factory.mktemp(family))) for family in FAMILIES}


def pairs(count: int, seed: int) -> pd.DataFrame:
    """Pairs of functions of 1 to 4 lines; those that are no clones have a product on one side."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rows = []
    for label in labels:
        size, product = int(rng.integers(1, 5)), int(rng.integers(2))
        sides = ["a * b\n" * size if not label and side == product else "a + b\n" * size for side in (0, 1)]
        rows.append(sides)
    return pd.DataFrame(rows, columns=["left", "right"]).assign(label=labels)


def of_lengths(*lengths: tuple[int, int]) -> pd.DataFrame:
    """Pairs of texts with so many tokens."""
    return pd.DataFrame([("a " * left, "b " * right, 1) for left, right in lengths], columns=["left", "right", "label"])


@pytest.fixture
def run(encoders: dict[str, str], tmp_path: Path) -> Callable[..., PairScores]:
    """A short run on made-up pairs; keyword arguments replace its settings."""

    def call(family: str = "bert", head: str = "cross", **settings: object) -> PairScores:
        frames = settings.pop("frames", (pairs(40, 1), pairs(8, 2), pairs(12, 3)))
        options = {"encoder": encoders[family], "steps": 6, "batch_size": 8, "learning_rate": 1e-3}
        return train_and_score_pairs(*frames, head=head, **options | {"output_dir": tmp_path / "runs"} | settings)

    return call


def same(one: PairScores, other: PairScores) -> bool:
    return one.test.tobytes() == other.test.tobytes() and one.dev.tobytes() == other.dev.tobytes()


@pytest.mark.parametrize(
    ("family", "before", "between", "after"),
    [
        ("bert", ["[CLS]"], ["[SEP]"], ["[SEP]"]),
        ("roberta", ["<s>"], ["</s>", "</s>"], ["</s>"]),
        ("codet5", ["<s>"], ["</s>", "</s>"], ["</s>"]),
        ("plbart", ["<s>"], ["</s>", "</s>"], ["</s>"]),
        ("modernbert", ["[CLS]"], ["[SEP]"], ["[SEP]"]),
        ("t5", [], ["</s>"], ["</s>"]),
    ],
)
def test_texts_have_the_format_of_the_family(
    encoders: dict[str, str], family: str, before: list[str], between: list[str], after: list[str]
) -> None:
    _, tokenizer, window = load_encoder(encoders[family])
    frame = pd.DataFrame({"left": ["def f(a):"], "right": ["return a * b"], "label": [0]})
    left, right = (tokenizer.tokenize(frame[side][0], add_special_tokens=False) for side in ("left", "right"))
    (cross,), (bi,) = (encode_pairs(frame, tokenizer, window, head) for head in HEADS)
    words = [[tokenizer.convert_ids_to_tokens(text["input_ids"]) for text in item.texts] for item in (cross, bi)]
    assert words == [[[*before, *left, *between, *right, *after]], [[*before, *one, *after] for one in (left, right)]]
    assert (cross.label, cross.truncated, bi.size) == (0, 0, max(map(len, words[1])))


def test_a_pair_is_cut_fairly_and_counted(encoders: dict[str, str]) -> None:
    tokenizer = load_encoder(encoders["bert"]).tokenizer
    given = [(4, 6), (2, 20), (20, 4), (5, 20), (20, 20), (6, 6)]
    items = encode_pairs(of_lengths(*given), tokenizer, 13, "cross")  # 10 tokens and 3 of the format
    a, b = tokenizer.convert_tokens_to_ids(["a", "b"])
    kept = [tuple(item.texts[0]["input_ids"].count(token) for token in (a, b)) for item in items]
    assert kept == [(4, 6), (2, 8), (6, 4), (5, 5), (5, 5), (5, 5)]
    assert [item.truncated for item in items] == [0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("window", [13, 14, 100])
def test_a_tokenizer_that_is_no_fast_one_gives_the_same_texts(encoders: dict[str, str], window: int) -> None:
    """PLBART's own tokenizer is not; here a fast one takes both ways."""
    tokenizer = load_encoder(encoders["plbart"]).tokenizer
    frame = pd.concat([of_lengths((4, 6), (2, 20), (20, 4), (5, 20), (20, 21), (21, 20), (6, 6)), pairs(6, 0)])
    for sides in ([list(frame.left)], [list(frame.left), list(frame.right)]):
        expected = pair_inputs._tokenised(tokenizer, window, *sides)
        assert pair_inputs._composed(tokenizer, window, *sides) == expected


def test_functions_read_alone_have_a_window_each(encoders: dict[str, str]) -> None:
    tokenizer = load_encoder(encoders["bert"]).tokenizer
    items = encode_pairs(of_lengths((11, 11), (12, 3), (30, 30)), tokenizer, 13, "bi")
    assert [[len(text["input_ids"]) for text in item.texts] for item in items] == [[13, 13], [13, 5], [13, 13]]
    assert [item.truncated for item in items] == [0, 1, 2]


def test_indent_tokens_are_shown(encoders: dict[str, str]) -> None:
    _, tokenizer, window = load_encoder(EncoderChoice(encoders["bert"], indent_tokens=True))
    frame = pd.DataFrame({"left": ["if a:\n    return a\n"], "right": ["if a:\nreturn a\n"], "label": [1]})
    ((left, right),) = (item.texts for item in encode_pairs(frame, tokenizer, window, "bi", indent_tokens=True))
    assert len(left["input_ids"]) == len(right["input_ids"]) + 1


def test_the_share_of_cut_functions(encoders: dict[str, str]) -> None:
    pairs = of_lengths((4, 6), (2, 20), (3, 3), (20, 20))
    assert truncated_share(pairs, EncoderChoice(encoders["bert"], window=13), "cross") == 3 / 8
    assert truncated_share(pairs, encoders["bert"], "bi") == 0


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_with_both_heads(run: Callable[..., PairScores], family: str, head: str) -> None:
    scores = run(family, head, steps=40, learning_rate=5e-3)
    assert scores.test.shape == (12,) and scores.dev.shape == (8,)
    assert ((scores.test > 0) == pairs(12, 3)["label"]).all()


@pytest.mark.parametrize("head", HEADS)
def test_the_order_of_a_pair_means_nothing_to_its_score(run: Callable[..., PairScores], head: str) -> None:
    frame = pairs(12, 3)
    scores = run(head=head, frames=(pairs(16, 1), frame, frame.assign(left=frame["right"], right=frame["left"])))
    np.testing.assert_allclose(scores.dev, scores.test, atol=1e-5)
    assert np.ptp(scores.dev) > 1e-3


@pytest.mark.parametrize("head", HEADS)
def test_padding_and_company_do_not_change_scores(encoders: dict[str, str], head: str) -> None:
    torch.manual_seed(0)
    backbone, tokenizer, window = load_encoder(encoders["bert"])
    model = pair_encoder.PairClassifier(backbone, head)
    items = encode_pairs(pairs(9, 4), tokenizer, window, head)
    together = pair_encoder.score_pairs(model, items, 0, batch_size=9)
    alone = [pair_encoder.score_pairs(model, [item], 0)[0] for item in items]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_loss_is_the_binary_cross_entropy(encoders: dict[str, str]) -> None:
    backbone, tokenizer, window = load_encoder(encoders["bert"])
    model = pair_encoder.PairClassifier(backbone, "cross").eval()
    output = model(**pair_encoder.collate(encode_pairs(pairs(2, 0), tokenizer, window, "cross"), 0))
    other, clone = output["logits"].sigmoid()
    torch.testing.assert_close(output["loss"], -(torch.log(1 - other) + torch.log(clone)) / 2)


def test_functions_read_alone_are_compared_by_difference_and_product(encoders: dict[str, str]) -> None:
    backbone, tokenizer, window = load_encoder(encoders["bert"])
    model = pair_encoder.PairClassifier(backbone, "bi").eval()
    (item,) = encode_pairs(pairs(1, 0), tokenizer, window, "bi")
    u, v = (
        backbone(**{name: torch.tensor([ids]) for name, ids in text.items()}).last_hidden_state[0].mean(dim=0)
        for text in item.texts
    )
    expected = model.head(torch.cat([abs(u - v), u * v]))
    torch.testing.assert_close(model(**pair_encoder.collate([item], 0))["logits"], expected)


def test_the_same_run_gives_the_same_bytes_and_another_seed_others(run: Callable[..., PairScores]) -> None:
    first = run(seed=1)
    assert same(first, run(seed=1))
    assert not same(first, run(seed=2))


@pytest.mark.parametrize("head", HEADS)
def test_a_killed_run_continues_to_the_same_scores(
    run: Callable[..., PairScores], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, head: str
) -> None:
    expected = run(head=head, output_dir=tmp_path / "whole")
    step, calls = fine_tuning.GroupedTrainer.training_step, []

    def dying(*given: object, **named: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 9:  # the first of the two passes of step 5
            raise KeyboardInterrupt
        return step(*given, **named)

    monkeypatch.setattr(fine_tuning.GroupedTrainer, "training_step", dying)
    with pytest.raises(KeyboardInterrupt):
        run(head=head)
    assert [path.name for path in (tmp_path / "runs").glob("*/checkpoint-*")] == ["checkpoint-3"]
    assert same(run(head=head), expected)
    assert len(calls) == 9 + 2 * 3
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": (pairs(0, 1), pairs(2, 2), pairs(2, 3))}, "the train frame has no pair"),
        ({"frames": (pairs(2, 1), pairs(2, 2), pairs(0, 3))}, "the test frame has no pair"),
        ({"frames": (pairs(2, 1).assign(label=1), pairs(2, 2), pairs(2, 3))}, r"the labels \[1\]"),
        ({"head": "both"}, "unknown head 'both'"),
        ({"steps": -1}, "max_steps is not set"),
    ],
)
def test_bad_input_is_one_line(run: Callable[..., PairScores], settings: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        run(**settings)


def test_a_tokenizer_without_a_format_of_pairs_is_refused_for_one_text(encoders: dict[str, str]) -> None:
    tokenizer = load_encoder(encoders["bert"]).tokenizer
    tokenizer.backend_tokenizer.post_processor = None
    assert len(encode_pairs(pairs(2, 0), tokenizer, 100, "bi")) == 2
    with pytest.raises(StudyError, match="no separator between two texts"):
        encode_pairs(pairs(2, 0), tokenizer, 100, "cross")
