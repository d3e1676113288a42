"""Parameters of a notebook: a frozen, strict model, and one clear line for every mistake.

A notebook sets its parameters in one cell and builds its model in the next:
``p = InjectFaults.from_notebook(globals())``. Values are plain (text, numbers, true or false, and lists of
these), so that YAML, papermill and a reader can all write them. The models have no defaults: the
notebook's cell holds them, once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

import pydantic

from llmexp_utils.errors import StudyError

Reads = Annotated[str, "reads"]
"""Path, relative to the repository, of a file or folder that the notebook reads; new content, new run."""
Replays = Annotated[str, "replays"]
"""The same of recorded answers: they are read while ``mode`` is "replay"; in "record", the notebook adds to them."""
Writes = Annotated[str, "writes"]
"""Path, relative to the repository, of a file or folder that the notebook writes."""


class Params(pydantic.BaseModel):
    """Base of the parameter models: unknown names are refused, no value is converted silently.

    Examples
    --------
    >>> class Demo(Params):
    ...     notebook: ClassVar[str] = "demo"
    ...     n_samples: int
    >>> Demo.check({"n_samples": 3}).n_samples
    3
    >>> Demo.check({"n_samples": 3, "n_sample": 3})
    Traceback (most recent call last):
    llmexp_utils.errors.StudyError: unknown parameter 'n_sample' in demo: did you mean 'n_samples'?
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    notebook: ClassVar[str] = "parameters"

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.plain_types()

    @classmethod
    def plain_types(cls) -> dict[str, str]:
        """Name and builtin type of every field, as they are written in a ``parameters`` cell."""
        return {name: _plain_type(field.annotation) for name, field in cls.model_fields.items()}

    @classmethod
    def names(cls, role: Literal["reads", "replays", "writes"]) -> list[str]:
        """Fields that hold a path which the notebook reads, replays or writes."""
        return [name for name, field in cls.model_fields.items() if role in field.metadata]

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Self:
        """Build the model from exactly these values.

        Raises
        ------
        StudyError
            With one line for each unknown, missing or wrong parameter.
        """
        unknown = [name for name in values if name not in cls.model_fields]
        place, fields = cls.notebook, cls.model_fields
        lines = [f"unknown parameter '{name}' in {place}{hint(name, fields)}" for name in unknown]
        try:
            model = cls.model_validate({name: value for name, value in values.items() if name in fields})
        except pydantic.ValidationError as error:
            lines += [f"{place}: {_explain(item)}" for item in error.errors()]
        if lines:
            raise StudyError("\n".join(lines))
        return model

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """Build the model from a notebook's ``globals()``: its fields are picked, all else is ignored."""
        return cls.check({name: namespace[name] for name in cls.model_fields if name in namespace})


def hint(name: object, known: Iterable[str]) -> str:
    """End of a message about an unknown name: the closest known one, or all of them.

    Examples
    --------
    >>> hint("smok", ["smoke", "study"])
    ": did you mean 'smoke'?"
    >>> hint("x", ["smoke", "study"])
    '; known: smoke, study'
    """
    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=1)
    return f": did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"


def _plain_type(annotation: Any) -> str:
    """Builtin type behind an annotation; refuses what a YAML file or a ``parameters`` cell could not say."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain_type(arguments[0])
    if origin is list:
        return f"list[{_plain_type(arguments[0])}]"
    if origin is Literal and len({type(value) for value in arguments}) == 1:
        annotation = type(arguments[0])
    if annotation in (str, int, float, bool):
        return annotation.__name__
    raise TypeError(f"a parameter is str, int, float, bool or a list of one of these, not {annotation}")


def _explain(error: Any) -> str:
    """One line for one pydantic error: where, what it is, what to write instead."""
    first, *rest = error["loc"]
    place = str(first) + "".join(f"[{part}]" for part in rest)
    kind, value = error["type"], error["input"]
    if kind == "missing":
        return f"the parameters cell does not set '{place}'"
    if kind in ("float_type", "int_type") and isinstance(value, str):
        return f"{place}: {value!r} is text; write {_as_number(value, kind)}"
    if kind == "int_type" and isinstance(value, float):
        advice = f"write {int(value)}" if value.is_integer() else "write a whole number"
        return f"{place}: {value!r} is a decimal number; {advice}"
    if kind == "string_type" and isinstance(value, bool):
        return f"{place}: {value!r} is not text; write it in quotes (YAML reads yes, no, on, off as true, false)"
    if kind == "string_type" and isinstance(value, int | float):
        return f'{place}: {value!r} is a number; write it in quotes, "{value}"'
    if kind == "literal_error":
        expected = error["ctx"]["expected"]
        choices = re.findall(r"'([^']*)'", expected)
        advice = hint(value, choices) if choices else f"; known: {expected}"
        return f"{place}: unknown value {value!r}{advice}"
    if error["msg"].startswith("Input should be "):
        return f"{place}: {value!r} does not fit; it should be {error['msg'].removeprefix('Input should be ')}"
    return f"{place}: {error['msg'].removeprefix('Value error, ')}"


def _as_number(text: str, kind: str) -> str:
    """How to write, in YAML, a number that YAML took for text."""
    try:
        number = float(text)
    except ValueError:
        return "a whole number" if kind == "int_type" else "a number"
    if kind == "int_type":
        return str(int(number)) if number.is_integer() else "a whole number"
    exponent = re.fullmatch(r"\s*([+-]?[\d.]+)[eE]([+-]?)(\d+)\s*", text)
    if not exponent:
        return f"{text.strip()} without quotes"
    mantissa, sign, digits = exponent.groups()
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{sign or '+'}{digits} (YAML needs the dot{'' if sign else ' and the sign'})"
