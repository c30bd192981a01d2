"""The status model as text: a line per account, one per strategy, the writer, the paper exchange.

120 columns have room for it. A table that is wider than the screen comes in parts, each with the names of its rows.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import IO, Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from gridbot.command_line import pasteable
from gridbot.doors.plain_text import for_people
from supervisor.exit_codes import ExitCode
from supervisor.status.caps_text import caps_lines
from supervisor.status.fleet_text import fleet_lines
from supervisor.status.model import SERVICES
from supervisor.status.other_version import version_note
from supervisor.status.screen_width import screen_width
from supervisor.status.strategy_notes import strategy_notes
from supervisor.status.undelivered_text import undelivered_lines

__all__ = ["duration", "exit_code", "leg", "money", "render", "seconds", "short", "size"]

Json = Mapping[str, Any]

_COLOURS = {
    "RUNNING": "green",
    "STARTING": "yellow",
    "STOPPING": "yellow",
    "BACKOFF": "yellow",
    "FATAL": "red",
    "healthy": "green",
    "degraded": "yellow",
    "auth_cooldown": "red",
    "circuit_open": "red",
    "active": "green",
    "stale": "yellow",
    "offline": "red",
    "paused": "yellow",
    "latched": "red",
    "halted": "red",
    "waiting": "yellow",
    "reducing": "yellow",
    "settling": "red",
    "delisted": "red",
    "ERROR": "red",
    "CRITICAL": "red",
}


_CUT = re.compile(r"\.\.\. \(\d+ characters\)\Z")


def exit_code(status: Json) -> ExitCode:
    """OK when everything is healthy, else DEGRADED."""
    return ExitCode.OK if status["health"] == "healthy" else ExitCode.DEGRADED


def render(status: Json, stream: IO[str]) -> None:
    """Write tables to `stream`: coloured on a terminal, plain anywhere else; as wide as COLUMNS says, if it does."""
    status, terminal = for_people(status), stream.isatty()
    width = None if terminal else screen_width()
    console = Console(file=stream, width=width, highlight=False, soft_wrap=False, markup=False, emoji=False)
    if terminal:
        _print(status, console)
        return
    with console.capture() as captured:  # rich pads columns and leaves blanks where it wraps; a file need not have them
        _print(status, console)
    stream.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _print(status: Json, console: Console) -> None:
    supervisor = status["supervisor"]
    console.print(_headline(status, supervisor))
    if other := version_note(status):
        console.print(Text(f"! {other}", style="yellow"), soft_wrap=True)  # what is to be pasted is not broken
    if in_force := supervisor.get("configuration"):
        console.print(_configuration(in_force))
        if in_force["file_differs"]:
            look = pasteable("reload --dry-run", data_dir=supervisor["data_dir"])
            console.print(Text(f"the file differs: `{look}` shows how", style="yellow"), soft_wrap=True)
    console.print()
    console.print(*_parts(_accounts(status["accounts"]), console))
    console.print()
    strategies = [(row["account"], strategy) for row in status["accounts"] for strategy in row["strategies"]]
    if strategies:
        console.print(*_parts(_strategies(strategies), console))
        console.print()
    console.print(*_parts(_services(status), console))
    for shared in status.get("requests", ()):
        console.print(Text(_requests(shared)))
    for line in caps_lines(status):
        console.print(Text(line))
    for line in undelivered_lines(status):
        console.print(Text(line))
    for line in fleet_lines(status):
        console.print(Text(line), soft_wrap=True)
    for account in status["accounts"]:
        if text := _other_coins(account):
            console.print(Text(f"{account['account']}: {text}"))
    for note in strategy_notes(status["accounts"], supervisor["data_dir"]):
        console.print(Text(note, style="yellow"), soft_wrap="lifted by" in note)  # what is to be pasted is not broken
    for reason in status["reasons"]:
        console.print(Text(f"! {reason}", style="yellow"))
    shown = [row for row in status["incidents"] if not row.get("muted_until")]
    for incident in sorted(shown, key=lambda row: bool(row.get("acked"))):
        style = "dim" if incident.get("acked") else _COLOURS.get(incident["level"], "yellow")
        console.print(Text(f"! {_incident(incident)}", style=style))
        if _CUT.search(incident["text"]):
            console.print(Text(f"  all of it: {pasteable('alerts', data_dir=supervisor['data_dir'])}"), soft_wrap=True)
    if muted := len(status["incidents"]) - len(shown):
        console.print(Text(f"- {muted} {'alert is' if muted == 1 else 'alerts are'} muted", style="dim"))


def _other_coins(account: Json) -> str:
    """What an account has, and was charged, in other coins than USDT; empty for nothing."""
    held = [
        f"{row['balance']} {coin}" + (f" ({money(row['usd'])} USD)" if row.get("usd") else "")
        for coin, row in (account.get("other_coins") or {}).items()
    ]
    fees: dict[str, Decimal] = {}
    for strategy in account["strategies"]:
        for coin, fee in (strategy.get("other_fees") or {}).items():
            fees[coin] = fees.get(coin, Decimal(0)) + Decimal(fee)
    charged = [f"{fee.normalize():f} {coin}" for coin, fee in fees.items()]
    parts = (("other coins", held), ("fees in other coins", charged))
    return "; ".join(f"{name}: {', '.join(texts)}" for name, texts in parts if texts)


def _incident(row: Json) -> str:
    about = " ".join(part for part in (row["account"], row["strategy"], row["child"]) if part)
    times = "" if row["count"] == 1 else f", {row['count']} times"
    name = f" {row['id']}" if row.get("id") else ""
    seen = row.get("acked")
    taken = f" (acknowledged by {seen['by']} at {seen['at'][:19].replace('T', ' ')})" if seen else ""
    since = row["since"][:19].replace("T", " ")
    return f"alert{name} open since {since}{times}: {row['level']} {about}: {row['text']}{taken}"


def _parts(table: Table, console: Console) -> Iterator[Table]:
    """The table, or several that fit the console and have its first column each."""
    if _width(table, table.columns, console) <= console.width:
        yield table
        return
    first, *others = table.columns
    part: list[Column] = []
    for column in others:
        if part and _width(table, [first, *part, column], console) > console.width:
            yield _with_columns(table, [first, *part])
            part = []
        part.append(column)
    yield _with_columns(table, [first, *part])


def _with_columns(table: Table, columns: Sequence[Column]) -> Table:
    part = copy.copy(table)
    part.columns = [replace(column, _index=index) for index, column in enumerate(columns)]
    return part


def _width(table: Table, columns: Sequence[Column], console: Console) -> int:
    unbounded = console.options.update(max_width=10_000)
    return Measurement.get(console, unbounded, _with_columns(table, columns)).maximum


def _headline(status: Json, supervisor: Json) -> Text:
    line = Text(f"gridbot {supervisor['version']}  {supervisor['state']} {duration(supervisor['uptime_s'])}  ")
    line.append(status["health"], style=_COLOURS.get(status["health"], ""))
    return line.append(f"  pid {supervisor['pid']}  rss {size(supervisor['rss'])}  data {supervisor['data_dir']}")


def _configuration(in_force: Json) -> Text:
    line = Text(f"configuration {in_force['hash']} since {in_force['since'][:19].replace('T', ' ')} UTC")
    if in_force["waiting"]:
        line.append(f"; not in force until a restart: {', '.join(in_force['waiting'])}", style="yellow")
    return line


def _table(*columns: tuple[str, str], gap: int = 2) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for name, justify in columns:
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    return table


def _accounts(rows: Sequence[Json]) -> Table:
    names = ("ACCOUNT", "PROCESS", "HEALTH", "DATA", "ORDERS BY")
    figures = ("UPTIME", "RESTARTS", "RSS", "TICK AGE", "EQUITY")
    table = _table(*((name, "left") for name in names), *((name, "right") for name in figures))
    for row in rows:
        process = row["process"]
        table.add_row(
            Text(row["account"]),
            word(process["state"]),
            word(row["health"]),
            word(row["freshness"]),
            entry(row["order_entry"]),
            duration(process["uptime_s"]),
            str(process["restarts"]),
            size(process["rss"]),
            seconds(row["last_tick_age_s"]),
            money(row["equity"]),
        )
    return table


def _strategies(rows: Iterable[tuple[str, Json]]) -> Table:
    names = ("STRATEGY", "SYMBOL", "MODE", "STATE")
    figures = ("PRICE", "LONG", "SHORT", "ORDERS", "FILLS", "REALISED", "UNREALISED")
    table = _table(*((name, "left") for name in names), *((name, "right") for name in figures), gap=1)
    for _, row in rows:
        table.add_row(
            Text(row["strat_id"]),
            row["symbol"],
            row["mode"],
            word(row["state"]),
            row.get("last_price") or "-",
            leg(row.get("long")),
            leg(row.get("short")),
            _orders(row),
            _count(row.get("fills")),
            money(row.get("realised")),
            money(row.get("unrealised")),
        )
    return table


def _orders(row: Json) -> str:
    wanted = row.get("wanted")
    text = _count(row.get("open_orders"))
    return f"{text}/{wanted}" if wanted is not None and wanted != row.get("open_orders") else text


def _services(status: Json) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for justify in ("left", "left", "right", "left", "right"):
        table.add_column(no_wrap=True, justify=justify)
    table.add_column()
    for name in SERVICES:
        row = status.get(name)
        if row is None:
            continue
        process = row["process"]
        note = _NOTES[name](row)
        note = note if process["state"] == "RUNNING" else process["reason"] or process["last_exit"]
        restarts = f"restarts {process['restarts']}"
        table.add_row(
            Text(name),
            word(process["state"]),
            duration(process["uptime_s"]),
            restarts,
            size(process["rss"]),
            Text(note),
        )
    return table


def _writer_note(row: Json) -> str:
    holder = f"held by {row['held_by']}" if row["held_by"] else "file free"
    return f"lag {seconds(row['lag_s'])}, {_count(row['rows'])} rows, {holder}{_shipping_note(row.get('shipping'))}"


def _shipping_note(shipping: Json | None) -> str:
    """Of a host of a fleet: how far its records are in PostgreSQL, and why not further."""
    if shipping is None:
        return ""
    why = f": {shipping['error']}" if shipping["error"] else ""
    history = shipping.get("history") or {}
    files = f", history not written: {history['error']}" if history.get("error") else ""
    return f", {seconds(shipping['lag_s'])} behind in PostgreSQL{why}{files}"


def _paper_note(row: Json) -> str:
    market = f", {row['market']}" if row["market"] else ""
    counts = f"{_count(row['orders'])} orders, {_count(row['trades'])} trades, {_count(row['connections'])} connections"
    return f"{row['url']}, {counts}{market}"


def _web_note(row: Json) -> str:
    return f"{row['url']}, {_count(row['viewers'])} {'looks' if row['viewers'] == 1 else 'look'}"


def _notify_note(row: Json) -> str:
    routes = row["routes"] or ()
    late = sum(bool(each["problem"]) for each in routes)
    text = f"{_count(sum(each['messages'] for each in routes))} messages to {len(routes)} addresses"
    return text + (f", {late} cannot be reached" if late else "")


def _telegram_note(row: Json) -> str:
    bot = f"@{row['bot']}" if row["bot"] else "not there yet"
    lost = f", {row['lost']} answers lost" if row.get("lost") else ""
    return f"{bot}, {_count(row['commands'])} commands, {_count(row['refused'])} refused{lost}"


_NOTES = {
    "writer": _writer_note,
    "paper": _paper_note,
    "web": _web_note,
    "notify": _notify_note,
    "telegram": _telegram_note,
}


def _requests(row: Json) -> str:
    """What all accounts of an exchange share, as its permits are now (`Sharing.rows`)."""
    counts = f"{row['free']} of {row['limit']} free, {row['lent']} lent to workers"
    return f"HTTP requests in 5 s to {row['exchange']}: {counts}"


def word(value: str | None) -> Text:
    """A state in its colour; "-" when it is not known. An account is latched, as its strategies are."""
    return Text("latched" if value == "circuit_open" else value or "-", style=_COLOURS.get(value or "", ""))


def entry(value: Json | None) -> Text:
    """The way by which orders leave; with the trade socket's state while it is wanted and not used."""
    if value is None:
        return Text("-")
    waits = value["way"] == "http" and value["socket"] is not None
    return Text(f"{value['way']} ({value['socket']})" if waits else value["way"], style="yellow" if waits else "")


def leg(value: Json | None) -> str:
    """A position as "size @ entry"; "0" when flat, "-" when not known."""
    if value is None:
        return "-"
    if not value.get("size") or Decimal(value["size"]) == 0:
        return "0"
    entry = value.get("entry")
    return f"{value['size']} @ {short(entry)}" if entry else str(value["size"])


def short(text: str | None) -> str:
    """A price with at most seven significant digits: entry averages have many more."""
    return "-" if text is None else f"{Decimal(text):.7g}"


def money(text: str | None) -> str:
    return "-" if text is None else f"{Decimal(text):,.2f}"


def _count(value: Any) -> str:
    return "-" if value is None else str(value)


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s" if value < 100 else duration(value)


def size(value: int | None) -> str:
    """Bytes as MB."""
    return "-" if value is None else f"{value / 1e6:.0f} MB"


def duration(value: float | None) -> str:
    """Seconds as 12s, 3m12s, 2h05m or 3d04h."""
    if value is None:
        return "-"
    whole = int(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"
