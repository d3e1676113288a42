"""What crosses the line between a program and its judge, and what must not."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import pickle
import pickletools

import pytest

from llmexp_utils import sandbox_values
from llmexp_utils.sandbox_values import KNOWN, Opaque, read, write

Point = collections.namedtuple("Point", "x y")


class Level(enum.IntEnum):
    LOW = 1


class Believed(list):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None


@pytest.mark.parametrize(
    "value",
    [
        [1, 2.5, 1e-320, float("inf"), 2**70, True, None, "\ud800", b"\xff", 1j],
        {"a": (1, [2]), 3: {4, frozenset({5})}},
        range(3),
        bytearray(b"x"),
        collections.Counter("aab"),
        collections.OrderedDict(a=1),
        collections.defaultdict(list, {1: [2]}),
        collections.deque([1, 2], 3),
        fractions.Fraction(1, 3),
        decimal.Decimal("1.10"),
        datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
        {1: 2}.keys(),
        {1: 2}.items(),
    ],
)
def test_plain_values_arrive_as_they_are(value: object) -> None:
    found = read(write(value))
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(Point(1, 2), (1, 2)), (Level.LOW, 1), (Believed([1]), [1]), ([Believed([1])], [[1]])],
)
def test_what_builds_on_a_plain_value_arrives_as_that(value: object, expected: object) -> None:
    found = read(write(value))
    assert found == expected and type(found) is type(expected)
    assert found != [7]


def test_iterators_arrive_as_iterators() -> None:
    assert list(read(write(n * n for n in range(3)))) == [0, 1, 4]
    assert sorted(read(write({1: 2, 3: 4}.values()))) == [2, 4]


@pytest.mark.parametrize("value", [object(), Believed, test_iterators_arrive_as_iterators, ValueError("x"), enum])
def test_the_rest_equals_nothing(value: object) -> None:
    found = read(write(value))
    assert isinstance(found, Opaque) and found != value


@pytest.mark.parametrize("value", [print, pickle.Pickler, collections.ChainMap, eval])
def test_nothing_else_may_be_named(value: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match="a message may not name"):
        read(pickle.dumps(value))


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in KNOWN for name in sorted(KNOWN[module])])
def test_a_message_cannot_change_what_it_names(module: str, name: str) -> None:
    """BUILD with a pair sets attributes: here `__eq__`, so that everything of a class would equal everything."""
    attack = b"\x80\x04" + f"c{module}\n{name}\n".encode() + b"(N}\x8c\x06__eq__cbuiltins\ntuple\nstb."
    assert "BUILD" in {opcode.name for opcode, _, _ in pickletools.genops(attack)}
    try:
        read(attack)
    except (TypeError, AttributeError):
        pass
    else:
        assert module == sandbox_values.__name__, "a class that every message shares was changed"
    original = getattr(__import__(module, fromlist=[name]), name)
    assert original.__eq__ is not tuple and Opaque("a") != Opaque("a")
