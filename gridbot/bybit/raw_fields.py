"""Fields of Bybit's JSON rows, read one by one and never by truthiness (incident L46). Pure.

`""`, null, a missing field and text that is not a number are None; `"0"` is zero. Only the few fields that an event
needs are required. A row that lacks one, or has an id, a size or a time that cannot be one, becomes a `RowProblem` and
does not affect the others. What a number is, `core/strict_numbers.py` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from gridbot.core.strict_numbers import amount_or_none, decimal_or_none, time_or_none, whole_or_none
from gridbot.core.vocabulary import Side
from gridbot.doors.plain_text import one_line, shown

__all__ = [
    "LONGEST_ID",
    "FieldError",
    "Row",
    "RowProblem",
    "amount_if_any",
    "amount_or_zero",
    "decimal_or_none",
    "need_amount",
    "need_decimal",
    "need_positive",
    "need_text",
    "object_of",
    "or_zero",
    "parse_rows",
    "positive_or_none",
    "side_of",
    "text_of",
    "time_of",
    "time_or_none",
    "time_or_zero",
    "unseen_text",
    "whole_or_none",
    "words_of",
]

Row = Mapping[str, Any]
T = TypeVar("T")

ZERO = Decimal(0)
LONGEST_ID = 100
"""Characters of an id, a symbol or a word."""

_SIDES = {side.value: side for side in Side}


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


def text_of(row: Row, field: str) -> str:
    """An id, a symbol or a word; "" when there is none. FieldError for one that is too long, or has control signs."""
    value = row.get(field)
    if type(value) is not str:
        return ""
    if len(value) > LONGEST_ID or not value.isprintable():
        raise FieldError(f"expected at most {LONGEST_ID} letters, digits and signs in {field}, got {shown(value)}")
    return value


def need_text(row: Row, field: str) -> str:
    """The same, required: FieldError without."""
    value = text_of(row, field)
    if not value:
        raise FieldError(f"expected text in {field}, got {shown(row.get(field))}")
    return value


def words_of(row: Row, field: str) -> str:
    """A text for people, on one line and cut; "" when there is none."""
    value = row.get(field)
    return one_line(value) if type(value) is str else ""


def unseen_text(row: Row, field: str) -> str:
    """A text as it came, for `error_mapping.scrub`: cut before, it could hold a part of a secret. "" without one."""
    value = row.get(field)
    return value if type(value) is str else ""


def need_decimal(row: Row, field: str) -> Decimal:
    """A required number. FieldError without."""
    value = decimal_or_none(row.get(field))
    if value is None:
        raise FieldError(f"expected a number in {field}, got {shown(row.get(field))}")
    return value


def need_amount(row: Row, field: str) -> Decimal:
    """A required number that is not negative: a size or a price. FieldError without."""
    value = amount_or_none(row.get(field))
    if value is None:
        raise _no_amount(row, field)
    return value


def need_positive(row: Row, field: str) -> Decimal:
    """A required number above zero: what is traded, and at what price. FieldError without."""
    value = amount_or_none(row.get(field))
    if not value:
        raise _no_amount(row, field)
    return value


def _no_amount(row: Row, field: str) -> FieldError:
    value = row.get(field)
    number = decimal_or_none(value)
    what = "a number" if number is None else "a number above 0" if number == 0 else "no negative number"
    return FieldError(f"expected {what} in {field}, got {shown(value)}")


def amount_or_zero(row: Row, field: str) -> Decimal:
    """A size; zero when there is none. FieldError for a text that is no number, and for a negative one."""
    return need_amount(row, field) if row.get(field) not in ("", None) else ZERO


def amount_if_any(row: Row, field: str) -> Decimal:
    """A size where none is needed; zero for anything that cannot be one."""
    return amount_or_none(row.get(field)) or ZERO


def or_zero(row: Row, field: str) -> Decimal:
    """A number; zero when there is none."""
    value = decimal_or_none(row.get(field))
    return ZERO if value is None else value


def time_of(row: Row, *fields: str) -> int:
    """The first of `fields` that holds a time (ms UTC); 0 when none does. FieldError for what can be no time."""
    for field in fields:
        value = row.get(field)
        found = time_or_none(value)
        if found is not None:
            return found
        if value not in ("", None):
            raise FieldError(f"expected a time in ms in {field}, got {shown(value)}")
    return 0


def time_or_zero(row: Row, *fields: str) -> int:
    """The same of a row that is known to be bad: what can be no time counts as none."""
    return next((found for field in fields if (found := time_or_none(row.get(field))) is not None), 0)


def side_of(row: Row, field: str = "side") -> Side:
    """Buy or Sell. FieldError without."""
    value = row.get(field)
    found = _SIDES.get(value) if isinstance(value, str) else None
    if found is None:
        raise FieldError(f"expected side Buy or Sell, got {shown(value)}")
    return found


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
            problems.append(RowProblem(index, str(error), words_of(row, "symbol"), words_of(row, id_field)))
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
    return amount_or_none(row.get(field)) or None
