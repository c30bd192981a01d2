"""Rows of the records as a table, CSV or JSON, with a total for each kind of money and never over two of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import click
from rich.cells import cell_len

from supervisor.cli.answer_output import plain_document, rendered
from supervisor.cli.plain_output import print_json, print_lines
from supervisor.status.screen_width import UNBOUNDED, screen_width
from supervisor.store.record_questions import MONEY

__all__ = ["Row", "print_rows", "rounded", "totals_of"]

Row = dict[str, Any]
PLACES: Final = Decimal("0.0001")
TOTAL: Final = "total"


def totals_of(rows: Iterable[Mapping[str, Any]], sums: Sequence[str]) -> list[Row]:
    """Of each kind of money one row with the sums of these columns; what no row knows stays None."""
    totals: dict[str, Row] = {}
    for row in rows:
        total = totals.setdefault(row["money"], {"money": row["money"], "rows": 0, **dict.fromkeys(sums)})
        total["rows"] += 1
        for name in sums:
            if row[name] is not None:
                total[name] = row[name] if total[name] is None else total[name] + row[name]
    return [totals[kind] for kind in sorted(totals, key=_rank)]


def print_rows(
    rows: Sequence[Row],
    style: str,
    *,
    sums: Sequence[str] = (),
    note: str = "",
    empty: str = "",
    in_time: bool = False,
) -> None:
    """`style` is table, csv or json. `sums` are the columns that have totals, `note` a sentence below a table.

    A table has the rows of each kind of money together, or with `in_time` in their own order.
    """
    totals = totals_of(rows, sums) if sums else []
    if style == "json":
        print_json(plain_document({"format": 1, "rows": rows, "totals": totals, "note": note}))
    elif not rows:
        click.echo(empty, err=style == "csv")
    elif style == "csv":
        _print_csv(rows)
    else:
        _print_table([*map(rounded, _with_totals(rows, totals, in_time=in_time))], screen_width(UNBOUNDED))
        print_lines([note] if note else [])


def rounded(row: Mapping[str, Any]) -> Row:
    """Money of a table with four decimals; prices and quantities as they are."""
    return {
        name: value.quantize(PLACES) if isinstance(value, Decimal) and name in _ROUNDED else value
        for name, value in row.items()
    }


_ROUNDED: Final = frozenset(
    ("volume", "realised", "grid_profit", "fees", "fee", "funding", "net", "unrealised", "value", "total")
)
_NUMBERS: Final = frozenset(
    ("fills", "price", "qty", "filled", "size", "entry_price", "mark_price", "liq_price", "liq_distance", "leverage")
)
_KEYS: Final = frozenset(("day", "account", "strategy", "symbol", "money", "direction"))


def _rank(kind: str) -> int:
    return MONEY.index(kind) if kind in MONEY else len(MONEY)


def _with_totals(rows: Sequence[Row], totals: Sequence[Row], *, in_time: bool) -> list[Row]:
    """The rows of each kind of money together, and below them its total where there are several; `in_time` they keep
    their order, and the totals are the last lines."""
    if "money" not in rows[0]:
        return list(rows)
    kinds = sorted(dict.fromkeys(row["money"] for row in rows), key=_rank)
    members = {kind: [row for row in rows if row["money"] == kind] for kind in kinds}
    first = next(name for name in rows[0] if name != "money")
    sums = {
        total["money"]: {name: total.get(name) for name in rows[0]} | {"money": total["money"], first: TOTAL}
        for total in totals
        if len(members[total["money"]]) > 1
    }
    if in_time:
        return [*rows, *sums.values()]
    return [row for kind in kinds for row in (*members[kind], *([sums[kind]] if kind in sums else []))]


def _print_csv(rows: Sequence[Row]) -> None:
    for text in rendered(list(rows[0]), [_values(rows)], "csv"):
        click.echo(text, nl=False)


def _values(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(row.values()) for row in rows]


def _print_table(rows: Sequence[Row], width: int) -> None:
    """Columns as wide as they need; what is wider than the screen comes in parts, each with the names of its rows."""
    names = list(rows[0])
    lines = list(csv.reader("".join(rendered(names, [_values(rows)], "csv")).splitlines()))
    columns = [list(column) for column in zip(*([name.upper() for name in names], *lines[1:]), strict=True)]
    right = [name in _ROUNDED | _NUMBERS for name in names]
    padded = [_padded(column, to_the_right) for column, to_the_right in zip(columns, right, strict=True)]
    for number, part in enumerate(_parts([cell_len(column[0]) for column in padded], _keys(names), width)):
        if number:
            click.echo()
        for line in zip(*(padded[index] for index in part), strict=True):
            click.echo("  ".join(line).rstrip())


def _padded(column: Sequence[str], to_the_right: bool) -> list[str]:
    width = max(map(cell_len, column))
    blanks = [" " * (width - cell_len(text)) for text in column]
    return [blank + text if to_the_right else text + blank for text, blank in zip(column, blanks, strict=True)]


def _keys(names: Sequence[str]) -> int:
    """How many columns say what a row is about; they stand in each part."""
    return next((index for index, name in enumerate(names) if name not in _KEYS), 1) or 1


def _parts(widths: Sequence[int], keys: int, width: int) -> list[list[int]]:
    """Which columns stand beside each other."""
    room = width - sum(each + 2 for each in widths[:keys])
    parts: list[list[int]] = [list(range(keys))]
    left = room
    for index in range(keys, len(widths)):
        if widths[index] > left and len(parts[-1]) > keys:
            parts.append(list(range(keys)))
            left = room
        parts[-1].append(index)
        left -= widths[index] + 2
    return parts
