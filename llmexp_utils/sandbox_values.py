"""Values that cross the line between a program and the process that judges it.

Only plain data cross: numbers, text, bytes, the containers of Python and ``collections``, fractions, decimals, dates.
What a program makes of its own classes arrives as the plain value that it is built on (a named tuple is a tuple), or as
an :class:`Opaque` thing that equals nothing else, so no object of a program can claim to be equal to what a test
expects. Pickle serves as the format; the reader refuses every name that is not listed here, so reading runs no foreign
code.
"""

from __future__ import annotations

import io
from _pickle import Pickler, Unpickler, UnpicklingError
from collections.abc import Iterator
from typing import Any

PLAIN = (bool, int, float, complex, str, bytes, bytearray, tuple, list, dict, set, frozenset, range)
KNOWN = {
    "builtins": {"bytearray", "complex", "frozenset", "iter", "list", "dict", "set", "int", "range", "slice"}
    | {"float", "str", "bytes", "tuple", "bool"},
    "collections": {"OrderedDict", "defaultdict", "deque"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    __name__: {"opaque", "counter_of", "fraction_of", "keys_of", "values_of", "items_of"},
}
"""Classes and functions that a message may name, by module. All classes are C's: a message cannot change them."""


class Opaque:
    """Something that a test cannot look into; it equals itself alone."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def opaque(kind: str) -> Opaque:
    """Something of this class of the program's."""
    return Opaque(kind)


def counter_of(counts: dict) -> Any:
    """A counter."""
    from collections import Counter

    return Counter(counts)


def fraction_of(numerator: int, denominator: int) -> Any:
    """A fraction."""
    from fractions import Fraction

    return Fraction(numerator, denominator)


def keys_of(values: list) -> Any:
    """The keys of a dictionary, as such."""
    return dict.fromkeys(values).keys()


def values_of(values: list) -> Any:
    """The values of a dictionary, as such."""
    return dict(enumerate(values)).values()


def items_of(values: list) -> Any:
    """The items of a dictionary, as such."""
    return dict(values).items()


def _known(what: Any) -> bool:
    return what.__name__ in KNOWN.get(what.__module__, ())


Function, Builtin = type(_known), type(iter)
VIEWS = {type({}.keys()): keys_of, type({}.values()): values_of, type({}.items()): items_of}


class _Writer(Pickler):
    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind in VIEWS:
            return VIEWS[kind], (list(value),)
        if kind in PLAIN or _known(kind) or (isinstance(value, type | Function | Builtin) and _known(value)):
            return NotImplemented
        if kind.__name__ == "Counter" and kind.__module__ == "collections":
            return counter_of, (dict(value),)
        for plain in PLAIN:
            if isinstance(value, plain):
                return plain, (plain(value),)
        if isinstance(value, Iterator):
            return iter, (list(value),)
        if kind.__name__ == "Fraction" and kind.__module__ == "fractions":
            return fraction_of, (int(value.numerator), int(value.denominator))
        return opaque, (kind.__name__,)


class _Reader(Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in KNOWN.get(module, ()):
            raise UnpicklingError(f"a message may not name {module}.{name}")
        found = super().find_class(module, name)
        # A message may set attributes of what it names: of our own functions it gets one that lives as long as it does.
        return found if module != __name__ else lambda *given: found(*given)


def write(value: Any) -> bytes:
    """Plain data as bytes."""
    stream = io.BytesIO()
    _Writer(stream, protocol=5).dump(value)
    return stream.getvalue()


def read(data: bytes) -> Any:
    """What :func:`write` wrote.

    Raises
    ------
    Exception
        Of any kind, if the bytes are something else.

    Examples
    --------
    >>> read(write(([1, 2.5], {"a": (True, None)}, {3}.__len__)))
    ([1, 2.5], {'a': (True, None)}, <builtin_function_or_method>)
    """
    return _Reader(io.BytesIO(data)).load()
