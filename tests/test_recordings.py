"""Recordings: the key covers the question, a torn line is repaired, a bad one is named."""

import json

import pytest

from llmexp_utils.errors import StudyError
from llmexp_utils.recordings import Decoding, Recordings, agreement, request_key

MESSAGES = [{"role": "user", "content": "hello"}]
DECODING = Decoding(1.0, 0.95, 80, 0)


def entry(key):
    return {"key": key, "answer": key.upper()}


def test_the_key_changes_with_everything_that_decides_an_answer():
    key = request_key("model", MESSAGES, DECODING)
    assert key == request_key("model", [dict(MESSAGES[0])], Decoding(1.0, 0.95, 80, 0))
    others = [
        request_key("other", MESSAGES, DECODING),
        request_key("model", [{"role": "user", "content": "hello "}], DECODING),
        *(
            request_key("model", MESSAGES, Decoding(*values))
            for values in [(0.9, 0.95, 80, 0), (1.0, 0.9, 80, 0), (1.0, 0.95, 81, 0), (1.0, 0.95, 80, 1)]
        ),
    ]
    assert len({key, *others}) == 7


def test_answers_survive_and_are_appended(tmp_path):
    path = tmp_path / "book.jsonl"
    with Recordings(path).writer() as book:
        book.append(entry("a"))
        book.append(entry("b"))
    again = Recordings(path)
    assert len(again) == 2 and "a" in again and again["b"]["answer"] == "B"


def test_an_answer_may_hold_any_line_break(tmp_path):
    path = tmp_path / "book.jsonl"
    with Recordings(path).writer() as book:
        book.append({"key": "a", "answer": "one\u2028two\u0085three\nfour"})
    assert Recordings(path)["a"]["answer"] == "one\u2028two\u0085three\nfour"
    with Recordings(path).writer() as book:
        book.append(entry("b"))
    assert len(Recordings(path)) == 2


def test_a_writer_sees_what_another_one_added(tmp_path):
    early = Recordings(tmp_path / "book.jsonl")
    with Recordings(tmp_path / "book.jsonl").writer() as other:
        other.append(entry("a"))
    with early.writer():
        assert "a" in early


def test_a_torn_last_line_is_dropped_and_cut_off_before_the_next_answer(tmp_path):
    path = tmp_path / "book.jsonl"
    path.write_text(json.dumps(entry("a")) + "\n" + '{"key": "b", "ans')
    book = Recordings(path)
    assert "a" in book and "b" not in book
    with book.writer():
        book.append(entry("c"))
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "c"]


def test_a_malformed_line_is_named(tmp_path):
    path = tmp_path / "book.jsonl"
    path.write_text('{"key": "a"}\nnonsense\n{"key": "c"}\n')
    with pytest.raises(StudyError, match=r"book.jsonl, line 2"):
        Recordings(path)


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "book.jsonl"
    with Recordings(path).writer(), pytest.raises(StudyError, match="another run"):
        with Recordings(path).writer():
            pass


def test_agreement_counts_what_both_hold_and_what_is_the_same(tmp_path):
    for folder, answers in (("new", {"a": "1", "b": "2", "c": "3"}), ("old", {"a": "1", "b": "x", "d": "4"})):
        with Recordings(tmp_path / folder / "line_m.jsonl").writer() as book:
            for key, answer in answers.items():
                book.append({"key": key, "answer": answer})
    assert agreement(tmp_path / "new", tmp_path / "old") == {"line_m": (2, 1)}
