"""The screen of `status --watch`: what is shown of a status at a size, and what a key changes. Pure.

::

    keys ──► step ──► View ──┐
    status ──► rows_of ──────┴──► lines ──► the terminal

A row is a strategy. Columns are those that fit, the important ones first; nothing is ever wider than the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, NamedTuple

from rich.cells import cell_len, set_cell_size

from supervisor.status.other_version import version_note
from supervisor.status.tables import duration, leg, money

__all__ = ["KEYS", "QUIT", "Segment", "View", "WatchRow", "lines", "page_of", "rows_of", "step", "visible"]

Json = Mapping[str, Any]
KEYS: Final = "q quit  / filter  s S sort  r reverse  p problems  arrows scroll"
QUIT: Final = frozenset({"q", "Q"})
LEAST_ROWS: Final = 3
MOST_NOTES: Final = 8
GAP: Final = 1
LONGEST_FILTER: Final = 60


class Segment(NamedTuple):
    """Text in one style: "" (plain), bold, good, warn, bad, dim or chosen."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class WatchRow:
    """One strategy; `cells` are what is shown by column, `keys` what is sorted by, `bad` is "", warn or bad."""

    cells: Mapping[str, str]
    keys: Mapping[str, Any]
    note: str
    bad: str


@dataclass(frozen=True, slots=True)
class View:
    """What the operator has chosen. `typing`: the keys make the filter; `top` is the first row that is shown."""

    sort: str = "ACCOUNT"
    is_reversed: bool = False
    filter: str = ""
    typing: bool = False
    problems: bool = False
    top: int = 0


class Column(NamedTuple):
    """A column: its place from the left, and how important it is (0: always there)."""

    name: str
    rank: int
    right: bool = False


COLUMNS: Final = (
    Column("ACCOUNT", 0),
    Column("STRATEGY", 0),
    Column("SYMBOL", 8),
    Column("MODE", 11),
    Column("STATE", 1),
    Column("PRICE", 5, right=True),
    Column("LONG", 9, right=True),
    Column("SHORT", 10, right=True),
    Column("ORDERS", 2, right=True),
    Column("FILLS", 7, right=True),
    Column("REALISED", 3, right=True),
    Column("UNREALISED", 4, right=True),
    Column("EQUITY", 6, right=True),
    Column("TICK", 12, right=True),
)
NAMES: Final = tuple(column.name for column in COLUMNS)
_GOOD: Final = frozenset({"active"})
_BAD: Final = frozenset({"halted", "settling", "delisted", "latched"})


def rows_of(status: Json) -> list[WatchRow]:
    """A row of each strategy, and one of an account without any."""
    return [
        _row(account, strategy)
        for account in status["accounts"]
        for strategy in account["strategies"] or ({"strat_id": "-", "state": None},)
    ]


def _row(account: Json, strategy: Json) -> WatchRow:
    process = account["process"]["state"]
    state = str(strategy.get("state") or "-") if process == "RUNNING" else process
    is_well = (process, account["health"]) == ("RUNNING", "healthy")
    note = str(strategy.get("reason") or "")
    if not is_well:
        note = "; ".join(filter(None, [*map(str, account["reasons"]), note])) or str(account["process"]["reason"])
    bad = "bad" if state in _BAD or process in ("FATAL", "BACKOFF") else ""
    bad = bad or ("" if is_well and state in _GOOD and not note else "warn")
    figures = {"PRICE": "last_price", "ORDERS": "open_orders", "FILLS": "fills"}
    amounts = {"REALISED": "realised", "UNREALISED": "unrealised"}
    cells = {
        "ACCOUNT": str(account["account"]),
        "STRATEGY": str(strategy["strat_id"]),
        "SYMBOL": str(strategy.get("symbol") or "-"),
        "MODE": str(strategy.get("mode") or "-"),
        "STATE": state,
        "LONG": leg(strategy.get("long")),
        "SHORT": leg(strategy.get("short")),
        "EQUITY": money(account.get("equity")),
        "TICK": duration(account.get("last_tick_age_s")),
        **{name: _text(strategy.get(key)) for name, key in figures.items()},
        **{name: money(strategy.get(key)) for name, key in amounts.items()},
    }
    values = {name: _number(strategy.get(key)) for name, key in {**figures, **amounts}.items()}
    keys = {**{name: text.lower() for name, text in cells.items()}, **values}
    keys |= {"EQUITY": _number(account.get("equity")), "TICK": _number(account.get("last_tick_age_s"))}
    keys |= {"LONG": _number((strategy.get("long") or {}).get("size"))}
    keys |= {"SHORT": _number((strategy.get("short") or {}).get("size"))}
    return WatchRow(cells, keys, note, bad)


def visible(rows: Sequence[WatchRow], view: View) -> list[WatchRow]:
    """The rows that the filter leaves, in the order that was chosen."""
    wanted = view.filter.lower()
    left = [
        row
        for row in rows
        if (not view.problems or row.bad)
        and (not wanted or any(wanted in text.lower() for text in (*row.cells.values(), row.note)))
    ]
    left.sort(key=lambda row: (row.cells["ACCOUNT"].lower(), row.cells["STRATEGY"].lower()))
    left.sort(key=lambda row: row.keys[view.sort], reverse=view.is_reversed)
    return left


def step(view: View, key: str, count: int, page: int) -> View:
    """What a key changes: a character, or a word such as `down`. `count` rows are left, `page` fit the screen.

    A key that means nothing changes nothing.
    """
    if view.typing:
        return _typed(view, key)
    changed = _CHOICES[key](view) if key in _CHOICES else view
    top = {
        "up": view.top - 1,
        "k": view.top - 1,
        "down": view.top + 1,
        "j": view.top + 1,
        "page up": view.top - page,
        "page down": view.top + page,
        "home": 0,
        "g": 0,
        "end": count,
        "G": count,
    }.get(key, changed.top)
    return replace(changed, top=max(0, min(top, count - page)))


def _typed(view: View, key: str) -> View:
    if key == "enter":
        return replace(view, typing=False)
    if key == "escape":
        return replace(view, typing=False, filter="")
    if key == "backspace":
        return replace(view, filter=view.filter[:-1])
    if len(key) == 1 and key.isprintable() and len(view.filter) < LONGEST_FILTER:
        return replace(view, filter=view.filter + key, top=0)
    return view


def _next_sort(view: View, by: int) -> View:
    place = (NAMES.index(view.sort) + by) % len(NAMES)
    return replace(view, sort=NAMES[place], top=0)


_CHOICES: Mapping[str, Callable[[View], View]] = {
    "/": lambda view: replace(view, typing=True),
    "escape": lambda view: replace(view, filter="", problems=False),
    "s": lambda view: _next_sort(view, 1),
    "S": lambda view: _next_sort(view, -1),
    "r": lambda view: replace(view, is_reversed=not view.is_reversed),
    "p": lambda view: replace(view, problems=not view.problems, top=0),
}


# ---------------------------------------------------------------------- lines


def lines(
    status: Json | None, view: View, width: int, height: int, *, age_s: float | None, lost: str = ""
) -> list[list[Segment]]:
    """Exactly `height` lines of at most `width` cells. `age_s`: how old the status is; `lost`: why none comes."""
    if status is None:
        waiting = lost or "asking the supervisor ..."
        shown = [[Segment("gridbot", "bold")], [Segment(waiting, "bad" if lost else "")]]
        return _fitted([*shown, *[[]] * (height - 3), _footer(view, 0)], width, height)
    everything = rows_of(status)
    rows = visible(everything, view)
    notes = _notes(status)
    room = max(LEAST_ROWS, height - 4 - min(len(notes), MOST_NOTES, max(0, height - 4 - LEAST_ROWS)))
    page = rows[view.top : view.top + room]
    head = [_headline(status, age_s, lost), _counts(status, everything, rows, view)]
    table = list(_table(page, everything, view, width))
    body = [*head, *table, *[[]] * (room - len(page)), *notes]
    return _fitted([*body[: height - 1], *[[]] * (height - 1 - len(body)), _footer(view, len(rows))], width, height)


def page_of(status: Json | None, height: int) -> int:
    """How many rows fit a screen of this height."""
    notes = 0 if status is None else len(_notes(status))
    return max(LEAST_ROWS, height - 4 - min(notes, MOST_NOTES, max(0, height - 4 - LEAST_ROWS)))


def _headline(status: Json, age_s: float | None, lost: str) -> list[Segment]:
    supervisor, health = status["supervisor"], str(status["health"])
    if lost:
        return [Segment(f"LOST: {lost}; what is shown is {duration(age_s)} old", "bad")]
    parts = [Segment(f"gridbot {supervisor['version']}  ", "bold")]
    parts.append(Segment(f"{supervisor['state']} {duration(supervisor['uptime_s'])}  "))
    parts.append(Segment(health, "good" if health == "healthy" else "warn"))
    age = "" if age_s is None or age_s < 2.0 else f"  {age_s:.0f} s old"
    return [*parts, Segment(f"  {str(status['time'])[:19].replace('T', ' ')} UTC"), Segment(age, "warn")]


def _counts(status: Json, everything: Sequence[WatchRow], rows: Sequence[WatchRow], view: View) -> list[Segment]:
    accounts = len(status["accounts"])
    shown = (
        f"{len(rows)} of {len(everything)} strategies" if len(rows) != len(everything) else f"{len(rows)} strategies"
    )
    problems = sum(bool(row.bad) for row in everything)
    open_alerts = [row for row in status["incidents"] if not row.get("muted_until")]
    parts = [Segment(f"{accounts} accounts, {shown}, sorted by {view.sort}{' down' if view.is_reversed else ''}")]
    parts.append(Segment(f", {problems} not as they should be" if problems else "", "warn"))
    parts.append(Segment(f", {len(open_alerts)} alerts open" if open_alerts else "", "warn"))
    return parts


def _notes(status: Json) -> list[list[Segment]]:
    """What is wrong: the reasons of the whole, then the open alerts that nobody has taken."""
    other = version_note(status)
    found = [[Segment(f"! {reason}", "warn")] for reason in (*([other] if other else ()), *status["reasons"])]
    for row in status["incidents"]:
        if not (row.get("muted_until") or row.get("acked")):
            about = " ".join(filter(None, (row["account"], row["strategy"], row["child"])))
            found.append([Segment(f"! {row.get('id', '')} {row['level']} {about}: {row['text']}", "bad")])
    return found


def _table(page: Sequence[WatchRow], everything: Sequence[WatchRow], view: View, width: int) -> Iterator[list[Segment]]:
    """The head and the rows, in columns that fit; what is wrong with a strategy takes the rest of its line."""
    widths = {
        column.name: max(cell_len(column.name), *(cell_len(row.cells[column.name]) for row in everything), 1)
        for column in COLUMNS
    }
    chosen, left = _fitting(widths, width)
    yield [
        Segment(_padded(column, column.name, widths), "chosen" if column.name == view.sort else "bold")
        for column in chosen
    ]
    for row in page:
        parts = [Segment(_padded(column, row.cells[column.name], widths), _style(column, row)) for column in chosen]
        room = left - 2
        note = f"  {set_cell_size(row.note, room).rstrip()}" if row.note and room > 10 else ""
        yield [*parts, Segment(note, row.bad or "dim")]


def _fitting(widths: Mapping[str, int], width: int) -> tuple[list[Column], int]:
    """The most important columns that fit beside each other, and how many cells are left."""
    left, names = width, set()
    for column in sorted(COLUMNS, key=lambda column: column.rank):
        if widths[column.name] + GAP > left and column.rank:
            break
        names.add(column.name)
        left -= widths[column.name] + GAP
    return [column for column in COLUMNS if column.name in names], left


def _padded(column: Column, text: str, widths: Mapping[str, int]) -> str:
    blanks = " " * (widths[column.name] - cell_len(text))
    return (blanks + text if column.right else text + blanks) + " " * GAP


def _style(column: Column, row: WatchRow) -> str:
    return (row.bad or "good") if column.name == "STATE" else ""


def _footer(view: View, count: int) -> list[Segment]:
    if view.typing:
        return [Segment(f"filter: {view.filter}_", "chosen"), Segment("  Enter keeps, Esc clears", "dim")]
    kept = f"  filter: {view.filter} ({count})" if view.filter else ""
    return [Segment(KEYS, "dim"), Segment(kept, "chosen")]


def _fitted(found: list[list[Segment]], width: int, height: int) -> list[list[Segment]]:
    """Cut to the screen."""
    return [_cut(line, width) for line in found[:height]]


def _cut(line: Sequence[Segment], width: int) -> list[Segment]:
    parts: list[Segment] = []
    left = width
    for text, style in line:
        if left <= 0:
            break
        part = text if cell_len(text) <= left else set_cell_size(text, left)
        parts.append(Segment(part, style))
        left -= cell_len(part)
    return parts


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _number(value: Any) -> Decimal:
    """What a column is sorted by; unknown is least."""
    try:
        return Decimal("-Infinity") if value is None else Decimal(str(value))
    except ArithmeticError:
        return Decimal("-Infinity")
