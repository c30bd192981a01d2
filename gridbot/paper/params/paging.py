"""Pages and cursors of the listings. Pure.

A cursor is opaque, already percent-encoded text, as Bybit's are: clients hand it back as it came. It names the last
row that was given, so rows that come or go between two pages neither repeat nor hide others.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TypeVar
from urllib.parse import quote, unquote

from gridbot.core.strict_numbers import count_or_none
from gridbot.paper.api_error import ApiError

__all__ = ["below", "decode_cursor", "encode_cursor", "page_by_name", "page_by_number"]

Row = TypeVar("Row")


def encode_cursor(position: str) -> str:
    if count_or_none(position) is not None:  # of most listings: `quote` looks at each letter
        return f"page_args%3D{position}%26"
    return quote(f"page_args={position}&", safe="")


def decode_cursor(cursor: str) -> str:
    """Position inside a cursor; the client may have percent-encoded it once more."""
    text = unquote(unquote(cursor))
    if not text.isprintable() or not (text.startswith("page_args=") and text.endswith("&")):
        raise ApiError(10001, "params error: cursor invalid")
    return text[len("page_args=") : -1]


def page_by_number(rows: Iterable[tuple[int, Row]], cursor: str, limit: int) -> tuple[list[Row], str]:
    """One page of rows in descending order of their numbers, and the next cursor (empty at the end)."""
    last = below(cursor)
    return _first(rows if last is None else (pair for pair in rows if pair[0] < last), limit)


def below(cursor: str) -> int | None:
    """The number that all rows of a page by number are below; None for the first page."""
    if not cursor:
        return None
    number = count_or_none(decode_cursor(cursor))
    if number is None:
        raise ApiError(10001, "params error: cursor invalid")
    return number


def page_by_name(rows: Iterable[tuple[str, Row]], cursor: str, limit: int) -> tuple[list[Row], str]:
    """One page of rows in ascending order of their names, and the next cursor (empty at the end)."""
    if cursor:
        last = decode_cursor(cursor)
        rows = (pair for pair in rows if pair[0] > last)
    return _first(rows, limit)


def _first(rows: Iterable[tuple[int | str, Row]], limit: int) -> tuple[list[Row], str]:
    source = iter(rows)
    chosen = list(islice(source, limit))
    more = next(source, None) is not None
    return [row for _, row in chosen], encode_cursor(str(chosen[-1][0])) if more else ""
