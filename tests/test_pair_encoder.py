"""Student (B) for pairs: windows of long functions, both heads, determinism, resumption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_encoders import FAMILIES, make_encoder

from llmexp_utils import fine_tuning, pair_encoder
from llmexp_utils.encoders import EncoderChoice, load_encoder
from llmexp_utils.errors import StudyError
from llmexp_utils.pair_encoder import PairScores, split_share, train_and_score_pairs
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
    words = [[tokenizer.convert_ids_to_tokens(side[0]["input_ids"]) for side in item.sides] for item in (cross, bi)]
    assert words == [[[*before, *left, *between, *right, *after]], [[*before, *one, *after] for one in (left, right)]]
    assert (cross.label, cross.is_split, bi.is_split, bi.size) == (0, False, False, max(map(len, words[1])))
    if tokenizer.is_fast:  # the library's own way from texts to what the model takes
        expected = [tokenizer(*frame.iloc[0, :2]), *(tokenizer(frame[side][0]) for side in ("left", "right"))]
        assert [side[0] for item in (cross, bi) for side in item.sides] == [dict(one) for one in expected]


def numbered(*lengths: tuple[int, int]) -> pd.DataFrame:
    """Pairs of texts in which every token is another one."""
    words = [f"w{number}" for number in range(100)]
    rows = [(" ".join(words[:left]), " ".join(words[50 : 50 + right]), 1) for left, right in lengths]
    return pd.DataFrame(rows, columns=["left", "right", "label"])


class WordTokenizer:
    """One token a word, its number; ``101 left 102 right 102`` in BERT's manner."""

    is_fast, cls_token_id, sep_token_id = False, 101, 102

    def __call__(self, texts: list[str], **_: object) -> dict[str, list[list[int]]]:
        return {"input_ids": [[int(word[1:]) for word in text.split()] for text in texts]}


def of_sides(ids: list[int]) -> tuple[list[int], list[int]]:
    """Tokens of the left and of the right function."""
    return [token for token in ids if token < 50], [token for token in ids if 50 <= token < 100]


@pytest.mark.parametrize("lengths", [(4, 6), (2, 20), (20, 4), (5, 20), (20, 20), (6, 6), (31, 45)])
def test_windows_hold_every_token_of_a_pair(lengths: tuple[int, int]) -> None:
    (item,) = encode_pairs(numbered(lengths), WordTokenizer(), 14, "cross")  # 10 tokens and 4 of the format
    texts = [of_sides(text["input_ids"]) for text in item.sides[0]]
    assert item.is_split == (sum(lengths) > 10) == (len(texts) > 1)
    assert item.size == min(14, sum(lengths) + 4)
    for side, (size, first) in enumerate(zip(lengths, (0, 50), strict=True)):
        shown = [text[side] for text in texts]
        assert sorted({token for one in shown for token in one}) == list(range(first, first + size)), "nothing is cut"
        assert all(one == list(range(one[0], one[-1] + 1)) for one in shown), "windows are pieces of the function"
        assert [one[0] for one in shown] == sorted(one[0] for one in shown)
        overlaps = [one[-1] >= other[0] for one, other in zip(shown, shown[1:], strict=False) if one != other]
        assert all(overlaps), "neighbours overlap"


def test_a_short_function_stands_whole_beside_every_window_of_a_long_one() -> None:
    (item,) = encode_pairs(numbered((2, 20)), WordTokenizer(), 14, "cross")
    texts = [of_sides(text["input_ids"]) for text in item.sides[0]]
    assert [left for left, _ in texts] == [[0, 1]] * 3
    assert [(right[0], right[-1]) for _, right in texts] == [(50, 57), (56, 63), (62, 69)]


def test_functions_read_alone_have_windows_of_their_own() -> None:
    first, second, third = encode_pairs(numbered((10, 10), (11, 3), (30, 30)), WordTokenizer(), 12, "bi")
    assert [len(side) for item in (first, second, third) for side in item.sides] == [1, 1, 2, 1, 4, 4]
    assert [item.is_split for item in (first, second, third)] == [False, True, True]


def test_a_window_without_room_is_refused() -> None:
    with pytest.raises(StudyError, match="leaves no room"):
        encode_pairs(numbered((4, 4)), WordTokenizer(), 7, "cross")


def test_indent_tokens_are_shown(encoders: dict[str, str]) -> None:
    _, tokenizer, window = load_encoder(EncoderChoice(encoders["bert"], indent_tokens=True))
    frame = pd.DataFrame({"left": ["if a:\n    return a\n"], "right": ["if a:\nreturn a\n"], "label": [1]})
    (item,) = encode_pairs(frame, tokenizer, window, "bi", indent_tokens=True)
    (left,), (right,) = item.sides
    assert len(left["input_ids"]) == len(right["input_ids"]) + 1


def test_the_share_of_pairs_in_several_windows(encoders: dict[str, str]) -> None:
    pairs = of_lengths((4, 6), (2, 20), (3, 3), (20, 20))
    assert split_share(pairs, EncoderChoice(encoders["bert"], window=13), "cross") == 1 / 2
    assert split_share(pairs, encoders["bert"], "bi") == 0


@pytest.mark.parametrize("head", HEADS)
def test_the_end_of_a_long_function_counts(encoders: dict[str, str], head: str) -> None:
    """What lies beyond the window decides the score: both sides of a pair begin with the same forty tokens."""
    torch.manual_seed(0)
    backbone, tokenizer, _ = load_encoder(encoders["bert"])
    model = pair_encoder.PairClassifier(backbone, head)
    frame = pd.DataFrame({"left": ["a " * 40] * 2, "right": ["a " * 41, "a " * 40 + "b"], "label": [1, 0]})
    items = encode_pairs(frame, tokenizer, 13, head)
    one, other = pair_encoder.score_pairs(model, items, 0)
    assert abs(one - other) > 1e-4
    alone = [pair_encoder.score_pairs(model, [item], 0)[0] for item in items]
    np.testing.assert_allclose([one, other], alone, atol=1e-5)


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
        for (text,) in item.sides
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
