"""Windows of whole lines, and where a line is read."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_encoders import FAMILIES, POSITIONS, make_encoder

from llmexp_utils.encoders import EncoderChoice, load_encoder
from llmexp_utils.errors import StudyError
from llmexp_utils.line_windows import EncodedFunction, encode_functions, separator_id, split_windows


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folder of each family's encoder."""
    return {family: str(make_encoder(family, tmp_path_factory.mktemp(family))) for family in FAMILIES}


def test_windows_read_every_line_once_and_show_whole_lines_within_the_capacity() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        capacity = int(rng.integers(4, 40))
        sizes = rng.integers(1, capacity + 1, size=int(rng.integers(1, 60))).tolist()
        windows = split_windows(sizes, capacity)
        assert [n for w in windows for n in range(w.read_first, w.read_last)] == list(range(len(sizes)))
        assert all(sum(sizes[w.first : w.last]) <= capacity for w in windows)
        assert all(w.first <= w.read_first < w.read_last <= w.last for w in windows)


def test_windows_overlap_and_read_a_line_where_it_has_more_context() -> None:
    windows = split_windows([1] * 30, 16)
    assert [(w.first, w.last) for w in windows] == [(0, 16), (12, 28), (24, 30)]
    assert [(w.read_first, w.read_last) for w in windows] == [(0, 14), (14, 26), (26, 30)]


@pytest.mark.parametrize(
    ("family", "first", "last"),
    [
        ("bert", "[CLS]", "[SEP]"),
        ("modernbert", "[CLS]", "[SEP]"),
        ("roberta", "<s>", "</s>"),
        ("codet5", "<s>", "</s>"),
        ("codet5p-embedding", "<s>", "</s>"),
        ("plbart", "<s>", "</s>"),
        ("t5", "", "</s>"),
    ],
)
def test_a_line_is_read_at_the_separator_that_follows_it(
    encoders: dict[str, str], family: str, first: str, last: str
) -> None:
    _, tokenizer, window = load_encoder(encoders[family])
    code = "def f(a, b):\n    return a\n"
    (function,) = encode_functions([code], tokenizer, window)
    (ids,) = function.windows
    words = tokenizer.convert_ids_to_tokens(ids)
    lines = [tokenizer.tokenize(line, add_special_tokens=False) for line in code.splitlines()]
    assert words == [*([first] if first else []), *lines[0], last, *lines[1], last]
    assert [words[column] for _, column in function.reads] == [last, last]


def test_the_window_is_what_the_position_table_holds(encoders: dict[str, str]) -> None:
    assert load_encoder(encoders["bert"]).window == POSITIONS
    assert load_encoder(encoders["roberta"]).window == POSITIONS - 2
    assert load_encoder(encoders["plbart"]).window == load_encoder(encoders["modernbert"]).window == POSITIONS
    assert load_encoder(encoders["t5"]).window == load_encoder(encoders["codet5"]).window == 512
    assert load_encoder(EncoderChoice(encoders["bert"], window=64)).window == 64
    with pytest.raises(StudyError, match="window is 131"):
        load_encoder(EncoderChoice(encoders["bert"], window=POSITIONS + 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_reads_each_line_of_a_long_function_once(encoders: dict[str, str], family: str) -> None:
    _, tokenizer, window = load_encoder(EncoderChoice(encoders[family], window=64))
    code = "\n".join(["def f(a, b):", *(f"    a = a + b * {n}" for n in range(40)), "    return a"]) + "\n"
    (function,) = encode_functions([code], tokenizer, window)
    lines = [tokenizer(line, add_special_tokens=False)["input_ids"] for line in code.splitlines()]
    assert len(function.windows) > 1 and function.shortened == 0 and function.size <= 64
    assert len(set(function.reads)) == len(function.reads) == len(lines)
    for (number, column), ids in zip(function.reads, lines, strict=True):
        read = function.windows[number]
        assert read[column] == separator_id(tokenizer)
        assert read[column - len(ids) : column] == ids, "the whole line stands before its separator"
    if tokenizer.cls_token_id is not None:
        assert {read[0] for read in function.windows} == {tokenizer.cls_token_id}


def test_a_line_longer_than_the_window_is_shortened_and_counted(encoders: dict[str, str]) -> None:
    _, tokenizer, _ = load_encoder(encoders["bert"])
    code = "def f(a):\n" + "    a = " + " + ".join("a" * 40) + "\n    return a\n"
    (function,) = encode_functions([code], tokenizer, 20)
    assert function.shortened == 1
    assert len(function.reads) == 3
    assert function.size <= 20


def test_indent_tokens_show_what_a_bert_tokenizer_drops(encoders: dict[str, str]) -> None:
    codes = ["if a:\n    return a\n", "if a:\nreturn a\n"]
    plain, marked = (
        load_encoder(encoders["bert"]),
        load_encoder(EncoderChoice(encoders["bert"], indent_tokens=True)),
    )
    one, other = encode_functions(codes, plain.tokenizer, plain.window)
    assert one == other
    one, other = encode_functions(codes, marked.tokenizer, marked.window, indent_tokens=True)
    assert len(one.windows[0]) == len(other.windows[0]) + 1
    assert marked.backbone.get_input_embeddings().num_embeddings == len(marked.tokenizer)


def test_an_encoded_function_knows_its_longest_window() -> None:
    assert EncodedFunction(([1, 2], [1, 2, 3]), ((0, 1),), 0).size == 3
