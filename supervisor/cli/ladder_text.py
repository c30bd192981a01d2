"""A ladder as lines of text, for `gridbot-supervisor check`: 84,000 levels of 2,000 accounts take seconds."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from decimal import Decimal

import click

from gridbot.config.ladder_report import LadderReport, Row

__all__ = ["ladder_lines"]

COLOURS = {"Buy": "green", "Sell": "red"}
INDENT = 6
REMARK_WIDTH = 20
"""Columns that a remark gets at least; a narrower terminal has it on lines of its own."""


def ladder_lines(report: LadderReport, width: int) -> Iterator[str]:
    """The table of a ladder, a line per level and its head; colours as escape sequences. `width` in columns."""
    priced = any(row.price is not None for row in report.rows)
    remarked = any(row.reason for row in report.rows)
    names = ["level", "side", "percent", *(("price", "size", "notional") if priced else ())]
    middle = len(report.rows) // 2
    table = [_cells(row, middle - index, priced=priced) for index, row in enumerate(report.rows)]
    widths = [max(map(len, column)) for column in zip(names, *table, strict=True)]
    room = width - sum(widths) - 2 * len(widths)
    yield click.style(_line([*names, *(["remark"] if remarked and room >= REMARK_WIDTH else [])], widths), bold=True)
    for row, cells in zip(report.rows, table, strict=True):
        text = _line(cells, widths)
        first, *more = _remark(row.reason, room, width)
        colour = COLOURS.get(row.side)
        yield click.style(f"{text}  {first}".rstrip(), fg=colour, dim=colour is None)
        indent = " " * (len(text) + 2 if room >= REMARK_WIDTH else INDENT)
        for line in more:
            yield click.style(f"{indent}{line}", fg=colour, dim=colour is None)


def _remark(reason: str, room: int, width: int) -> list[str]:
    """The remark's lines; the first stands beside the level when there is room."""
    if not reason:
        return [""]
    return textwrap.wrap(reason, room) if room >= REMARK_WIDTH else ["", *textwrap.wrap(reason, width - INDENT)]


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [
        cell.ljust(size) if index == 1 else cell.rjust(size)
        for index, (cell, size) in enumerate(zip(cells, widths, strict=False))
    ]
    return "  ".join([*padded, *cells[len(widths) :]])


def _cells(row: Row, level: int, *, priced: bool) -> list[str]:
    cells = [f"{level:+d}" if level else "0", row.side, f"{row.percent:+.3f}"]
    if priced:
        notional = "" if row.notional is None else f"{row.notional:.2f}"
        cells += [_shown(row.price), _shown(row.size), notional]
    return cells


def _shown(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"
