"""What a parameter may be, beyond its builtin type: counts and shares, names that are known, lists without repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from llmexp_utils.errors import StudyError

Count = Annotated[int, Field(ge=1)]
Even = Annotated[int, Field(ge=2, multiple_of=2)]
Whole = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Money = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Fold = Annotated[int, Field(ge=0, le=4)]


def _is_arm(text: str) -> str:
    from llmexp_utils.injection import parse_arm

    return _read_by(parse_arm, text)


def _is_clone_arm(text: str) -> str:
    from llmexp_utils.cloning import parse_clone_arm

    return _read_by(parse_clone_arm, text)


def _is_benchmark(text: str) -> str:
    from llmexp_utils.benchmark_registry import check_name

    return _read_by(check_name, text)


def _is_clone_benchmark(text: str) -> str:
    from llmexp_utils.clone_registry import check_name

    return _read_by(check_name, text)


def _read_by(parse: Callable[[str], Any], text: str) -> str:
    """The text itself, if it can be read; pydantic wants a ValueError where it cannot."""
    try:
        parse(text)
    except StudyError as error:
        raise ValueError(str(error)) from None
    return text


def _all_differ(values: list[Any]) -> list[Any]:
    again = [value for number, value in enumerate(values) if value in values[:number]]
    if again:
        raise ValueError(f"{again[0]!r} stands twice; leave one out")
    return values


def _has_real_only(values: list[str]) -> list[str]:
    if "C0" not in values:
        raise ValueError("C0 (real only) is missing: every other condition is compared with it")
    return values


def _are_prices(values: list[float]) -> list[float]:
    if len(values) not in (0, 2):
        raise ValueError("write two numbers, for a million tokens read and written; or none")
    return values


def _has_prices(budget: float, info: ValidationInfo) -> float:
    if budget and not any(info.data.get("prices", [])):
        raise ValueError("a budget in money needs prices; or set token_budget")
    return budget


Once = AfterValidator(_all_differ)
"""A list in which a value that stands twice would be the same work twice."""
WithRealOnly = AfterValidator(_has_real_only)
"""Conditions of a notebook that draws differences to real data only."""
ArmName = Annotated[str, AfterValidator(_is_arm)]
CloneArmName = Annotated[str, AfterValidator(_is_clone_arm)]
BenchmarkName = Annotated[str, AfterValidator(_is_benchmark)]
CloneBenchmarkName = Annotated[str, AfterValidator(_is_clone_benchmark)]
Prices = Annotated[list[Money], AfterValidator(_are_prices)]
MoneyBudget = Annotated[Money, AfterValidator(_has_prices)]
Boundary = Literal["full", "confined", "limits"]
Construct = Literal["loop", "comprehension", "recursion", "library", "functional", "sorting", "dictionary", "other"]
Condition = Literal["C0", "C2", "C3", "C4", "C5", "C5m", "mix"]
PairCondition = Literal["C0", "C2", "C3", "C4", "C4far", "C5"]
