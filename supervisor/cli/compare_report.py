"""What a comparison found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import IO, Any, Final

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gridbot.compare.comparison import Money, Outcome
from gridbot.compare.difference_words import difference, number
from gridbot.compare.pair_tables import OUTCOMES, SIDES
from gridbot.compare.tolerances import Tolerance
from gridbot.doors.plain_text import json_line, one_line
from supervisor.status.screen_width import screen_width

__all__ = ["CauseSum", "CompareReport"]

_TITLES: Final = {"place": "orders placed", "cancel": "orders cancelled", "fill": "orders filled"}
_COLUMNS: Final = ("SAME", "ONLY HERE", "ONLY THERE", "PRICE", "SIZE", "TIME")
_SUMS: Final = ("volume", "realised", "fees", "funding", "net")


@dataclass(frozen=True, slots=True)
class CauseSum:
    """What one cause makes: fills (None: it is not counted in fills), and what `there` made more by it, USDT."""

    cause: str
    fills: int | None
    net: Decimal


@dataclass(frozen=True, slots=True)
class CompareReport:
    """A finished comparison. `names` are those of the sides, here and there; `span` is UTC, its end not included."""

    names: tuple[str, str]
    span: tuple[datetime, datetime]
    tolerance: Tolerance
    outcome: Outcome
    money: tuple[Money, Money]
    verdict: str
    notes: Sequence[str] = ()
    causes: Sequence[CauseSum] = ()

    def line(self) -> str:
        """All of it in one line, for alerts."""
        here, there = map(one_line, self.names)
        if self.verdict == "nothing":
            return f"nothing to compare: {here} and {there}"
        sizes = ", ".join(
            f"{sum(of_kind.values()) - of_kind['same']} of {sum(of_kind.values())} {_TITLES[what]}"
            for what, of_kind in self.outcome.counts.items()
        )
        net = self._net_apart()
        apart = f", net {there} {number(net)} USDT apart" if net is not None else ""
        because = "; ".join(
            f"{each.cause} {each.fills} ({each.net:+.2f})" for each in self.causes if each.fills is not None
        )
        told = f"{self.verdict}: {here} and {there}: {sizes} differ ({self._percent()} %){apart}"
        return f"{told}: {because}" if because else told

    def write(self, stream: IO[str], *, rows: int) -> None:
        """Tables, the first and the worst differences (`rows` of each), what to know, and the verdict."""
        terminal = stream.isatty()
        console = Console(
            file=stream, width=None if terminal else screen_width(), highlight=False, markup=False, emoji=False
        )
        if terminal:
            self._print(console, rows)
            return
        with console.capture() as captured:
            self._print(console, rows)
        stream.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def json(self) -> str:
        """The same as one object; money and prices are text."""
        document = {
            "here": self.names[0],
            "there": self.names[1],
            "from": self.span[0],
            "to": self.span[1],
            "tolerance": str(self.tolerance),
            "verdict": self.verdict,
            "rows": self.outcome.rows,
            "differing": self.outcome.differing,
            "differing_percent": self._percent(),
            "counts": self.outcome.counts,
            "money": {side: asdict(sums) for side, sums in zip(SIDES, self.money, strict=True)},
            "first": [_with_text(row) for row in self.outcome.first],
            "worst": [_with_text(row) for row in self.outcome.worst],
            "causes": [asdict(each) for each in self.causes],
            "notes": list(self.notes),
        }
        options = orjson.OPT_INDENT_2 | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
        return json_line(orjson.dumps(document, default=_plain, option=options).decode())

    # ------------------------------------------------------------------ inside

    def _print(self, console: Console, rows: int) -> None:
        (here, there), (since, until) = map(one_line, self.names), self.span
        console.print(Text(f"here: {here}   there: {there}"))
        console.print(
            Text(f"{since:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S} UTC; the same within {self.tolerance}")
        )
        if self.outcome.rows:
            console.print(Text(""), self._counts(), Text(""), self._sums(), sep="\n")
        if self.causes:
            console.print(Text(""), self._by_cause(), sep="\n")
        for title, found in (("first", self.outcome.first), ("worst", self.outcome.worst)):
            if found and rows:
                console.print(Text(f"\n{title} differences:"))
                for row in found[:rows]:
                    console.print(Text(f"  {difference(row)}"))
        if self.notes:
            console.print()
        for note in self.notes:
            console.print(Text(f"note: {one_line(note)}", style="yellow"))
        style = {"same": "green", "differs": "red"}.get(self.verdict, "yellow")
        console.print(Text(f"\n{self.line()}", style=style))

    def _counts(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("")
        for title in _COLUMNS:
            table.add_column(title, justify="right")
        for what, of_kind in self.outcome.counts.items():
            table.add_row(_TITLES[what], *(str(of_kind[outcome]) for outcome in OUTCOMES))
        return table

    def _sums(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("USDT")
        for title in ("FILLS", *map(str.upper, _SUMS)):
            table.add_column(title, justify="right")
        for side, sums in zip(SIDES, self.money, strict=True):
            table.add_row(side, str(sums.fills), *(_sum(getattr(sums, name)) for name in _SUMS))
        here, there = self.money
        apart = [_difference(getattr(here, name), getattr(there, name)) for name in _SUMS]
        table.add_row("there - here", f"{there.fills - here.fills:+}", *(_sum(each, "+") for each in apart))
        return table

    def _by_cause(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("CAUSE")
        table.add_column("FILLS", justify="right")
        table.add_column("NET THERE - HERE", justify="right")
        for each in self.causes:
            table.add_row(each.cause, "" if each.fills is None else str(each.fills), _sum(each.net, "+"))
        return table

    def _net_apart(self) -> Decimal | None:
        return _difference(self.money[0].net, self.money[1].net)

    def _percent(self) -> str:
        return number(round(self.outcome.differing_percent, 2))


def _difference(here: Decimal | None, there: Decimal | None) -> Decimal | None:
    return there - here if here is not None and there is not None else None


def _sum(value: Decimal | None, sign: str = "") -> str:
    return "" if value is None else format(value, f"{sign},.4f")


def _with_text(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "text": difference(row)}


def _plain(value: Any) -> Any:
    return number(value) if isinstance(value, Decimal) else str(value)
