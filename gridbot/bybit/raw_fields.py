"""Fields of Bybit's JSON rows, read one by one and never by truthiness (incident L46). Pure.

`""`, null, a missing field and text that is not a number are None; `"0"` is zero. Only the few fields that an event
needs are required; a row that lacks one becomes a `RowProblem` and does not affect the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from gridbot.core.vocabulary import Side

__all__ = [
    "FieldError",
    "Row",
    "RowProblem",
    "amount_or_zero",
    "decimal_or_none",
    "int_or_none",
    "need_amount",
    "need_decimal",
    "need_text",
    "object_of",
    "or_zero",
    "parse_rows",
    "positive_or_none",
    "side_of",
    "text_of",
    "time_of",
]

Row = Mapping[str, Any]
T = TypeVar("T")

ZERO = Decimal(0)
MAX_MAGNITUDE = 30
"""Largest power of ten of a price or amount. Anything beyond is garbage, and would take much memory when formatted."""


class FieldError(ValueError):
    """A required field of a row is missing, or has a value we do not know."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that could not be used: `index` in its list, `reason`, and the symbol and id where it has them."""

    index: int
    reason: str
    symbol: str = ""
    row_id: str = ""

    def __str__(self) -> str:
        what = " ".join(part for part in (self.symbol, self.row_id) if part)
        return f"row {self.index}{f' ({what})' if what else ''}: {self.reason}"


def decimal_or_none(value: object) -> Decimal | None:
    """A finite number from text, int or float; None for everything else."""
    if type(value) is not str:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        value = str(value)
    if not value:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    if not number.is_finite() or not -MAX_MAGNITUDE <= number.adjusted() <= MAX_MAGNITUDE:
        return None
    return number


def int_or_none(value: object) -> int | None:
    """A whole number from text or int; None for everything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) <= MAX_MAGNITUDE:
        try:
            return int(value)
        except ValueError:
            return None
    return None


def text_of(row: Row, field: str) -> str:
    """Text, "" when there is none."""
    value = row.get(field)
    return value if isinstance(value, str) else ""


def need_text(row: Row, field: str) -> str:
    """Required text. FieldError without."""
    value = text_of(row, field)
    if not value:
        raise FieldError(f"expected text in {field}, got {row.get(field)!r:.40}")
    return value


def need_decimal(row: Row, field: str) -> Decimal:
    """A required number. FieldError without."""
    value = decimal_or_none(row.get(field))
    if value is None:
        raise FieldError(f"expected a number in {field}, got {row.get(field)!r:.40}")
    return value


def need_amount(row: Row, field: str) -> Decimal:
    """A required number that is not negative: a size or a price. FieldError without."""
    value = need_decimal(row, field)
    if value < 0:
        raise FieldError(f"expected no negative number in {field}, got {row.get(field)!r:.40}")
    return value


def amount_or_zero(row: Row, field: str) -> Decimal:
    """A size; zero when there is none. FieldError for a text that is no number, and for a negative one."""
    return need_amount(row, field) if row.get(field) not in ("", None) else ZERO


def or_zero(row: Row, field: str) -> Decimal:
    """A number; zero when there is none."""
    value = decimal_or_none(row.get(field))
    return ZERO if value is None else value


def time_of(row: Row, *fields: str) -> int:
    """The first of `fields` that holds a time (ms UTC); 0 when none does."""
    for field in fields:
        value = int_or_none(row.get(field))
        if value is not None:
            return value
    return 0


def side_of(row: Row) -> Side:
    """Buy or Sell. FieldError without."""
    try:
        return Side(text_of(row, "side"))
    except ValueError:
        raise FieldError(f"expected side Buy or Sell, got {row.get('side')!r:.40}") from None


def parse_rows(
    parser: Callable[[Row], T | None], rows: object, *, id_field: str = "orderId"
) -> tuple[list[T], list[RowProblem]]:
    """Run `parser` over each row; what it can read, in order, and what it cannot. Never raises.

    When the parser returns None the row is not ours (a one-way position): neither a result nor a problem.
    """
    if not isinstance(rows, list):
        return [], [RowProblem(0, f"expected a list of rows, got {type(rows).__name__}")]
    good: list[T] = []
    problems: list[RowProblem] = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            problems.append(RowProblem(index, f"expected an object, got {type(row).__name__}"))
            continue
        try:
            parsed = parser(row)
        except FieldError as error:
            problems.append(RowProblem(index, str(error), text_of(row, "symbol"), text_of(row, id_field)))
            continue
        if parsed is not None:
            good.append(parsed)
    return good, problems


def object_of(row: Row, field: str) -> Row:
    """A nested object; empty when there is none."""
    value = row.get(field)
    return value if isinstance(value, dict) else {}


def positive_or_none(row: Row, field: str) -> Decimal | None:
    """A price; None when there is none, which Bybit writes as "0" or ""."""
    value = decimal_or_none(row.get(field))
    return value if value is not None and value > 0 else None
