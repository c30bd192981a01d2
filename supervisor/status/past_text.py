"""A strategy at a time of the past, as lines for people. Pure: the document of `supervisor.store.moment` in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from gridbot.doors.pseudo_account import host_of, is_supervisor

__all__ = ["is_empty", "past_lines"]

Json = Mapping[str, Any]
RESUME = frozenset({"session_loss", "halted", "paused"})


def is_empty(moment: Json) -> bool:
    """Whether nothing at all is recorded of the time."""
    return moment["run"] is None and not moment["restarts"] and moment["health"] is None


def past_lines(moment: Json) -> Iterator[str]:
    """All that the records say, the reasons first."""
    at = moment["at"]
    yield f"{moment['account']}/{moment['strategy']} {moment['symbol']} at {_time(at)} UTC".replace("  ", " ")
    yield _run(moment)
    yield _price(moment)
    yield _orders(moment)
    yield from _holds(moment)
    yield from _refusals(moment)
    for row in moment["incidents"]:
        yield f"  ! alert open since {_time(row['began_at'])}{_on_host(row)}: {row['text']}"
    yield from _happened(moment)
    yield from _figures(moment)


def _run(moment: Json) -> str:
    run, then = moment["run"], moment["next_run"]
    after = f"; the next one began at {_time(then['started_at'])}" if then is not None else ""
    if run is None:
        return f"  no worker had run yet{after}"
    if run["ended_at"] is not None and run["ended_at"] <= moment["at"]:
        why = f" ({run['reason']})" if run["reason"] else ""
        return f"  ! no worker was running: the last one had {run['state']} at {_time(run['ended_at'])}{why}{after}"
    health = moment["health"]
    told = ""
    if health is not None:
        told = f"; it said {_ago(moment, health['local_ts'])}: {health['health']}"
        told += f" ({health['reasons']})" if health["reasons"] else ""
    return f"  its worker ran since {_time(run['started_at'])}, version {run['version']}, on {run['environment']}{told}"


def _price(moment: Json) -> str:
    found = moment["prices"]
    if found is None:
        return "  ! no price is recorded of the ten minutes before"
    span = f"between {_number(found['low'])} and {_number(found['high'])} in ten minutes"
    return f"  price {_number(found['last_price'])}, {_ago(moment, found['local_ts'])}; {span}"


def _orders(moment: Json) -> str:
    rows = moment["orders"]
    total = sum(row["orders"] for row in rows)
    wanted = "" if moment["levels"] is None else f", on {moment['levels']} levels"
    parts = [f"{row['orders']} {row['direction']} {row['side']} {row['state'].replace('_', ' ')}" for row in rows]
    fills = moment["fills"]["fills"]
    return f"  {total} orders{wanted}" + (f" ({', '.join(parts)})" if parts else "") + f"; {fills} fills in ten minutes"


def _holds(moment: Json) -> Iterator[str]:
    for row in moment["holds"]:
        whole = " (the whole account)" if not row["strategy"] else ""
        level = f" {row['level']}" if row["level"] else ""
        until = f" until {_time(row['until'])}" if row["until"] else ""
        ends = "; an operator had to resume it" if row["kind"] in RESUME else ""
        what = f"{row['kind'].replace('_', ' ')}{level}{whole}"
        yield f"  ! {what} since {_time(row['since'])}{until}: {row['reason']}{ends}"


def _refusals(moment: Json) -> Iterator[str]:
    groups: dict[str, list[Json]] = {}
    for row in moment["refused"]:
        groups.setdefault(row["reason"], []).append(row)
    for reason, rows in groups.items():
        kinds = ", ".join(dict.fromkeys(f"{row['direction']} {row['side']}" for row in rows))
        prices = [row["price"] for row in rows]
        first = min(row["since"] for row in rows)
        where = f"{_number(min(prices))} to {_number(max(prices))}" if len(rows) > 1 else _number(prices[0])
        yield f"  ! {len(rows)} orders ({kinds}, {where}) refused by the gate: {reason}, first at {_time(first)}"
    for row in moment["rejected"]:
        code = "" if row["ret_code"] is None else f" (retCode {row['ret_code']})"
        times = f"{row['times']} times in ten minutes, last at {_time(row['last_at'])}"
        yield f"  ! refused by the exchange{code}, {times}: {row['reason']}"


def _happened(moment: Json) -> Iterator[str]:
    """What had happened shortly before, and in the minute after."""
    lines: list[tuple[datetime, str]] = []
    for row in moment["restarts"]:
        words = {"start": "a worker began", "end": "the worker ended", "crashed": "the run before had been killed"}
        why = f": {row['reason']}" if row["reason"] else ""
        lines.append((row["local_ts"], f"{words.get(row['event'], row['event'])}{why}"))
    for row in moment["commands"]:
        args = row["args"] if is_supervisor(row["account"]) else ""
        if '"dry_run":true' in args:
            continue  # nothing was changed
        by = (f" by {row['who']}" if row.get("who") else "") + _on_host(row)
        about = row["strategy"] or args
        what = f"command {row['name']}{about and f' {about}'}{by}"
        outcome = "" if row["ok"] else "refused: "
        lines.append((row["local_ts"], f"{what}: {outcome}{row['result']}".replace("\n", "; ")))
    for row in moment["comparisons"]:
        lines.append((row["local_ts"], f"the exchange could not be read ({row['reason']}): {row['error']}"))
    for row in moment["gaps"]:
        lines.append((row["started_at"], f"the {row['stream']} stream was away until {_time(row['ended_at'])}"))
    yield from (f"  {_time(at)} {text}" for at, text in sorted(lines, key=lambda each: each[0]))


def _on_host(row: Json) -> str:
    """Of a fleet's records: which host's supervisor it was."""
    host = host_of(row["account"])
    return f" on host {host}" if host else ""


def _figures(moment: Json) -> Iterator[str]:
    for row in moment["legs"]:
        if not row["size"]:
            continue
        liq = f", liquidation at {_number(row['liq_price'])}" if row["liq_price"] else ""
        rule = f", risk rule {row['rule']}" if row["rule"] else ""
        yield f"  {row['direction']}: {_number(row['size'])} @ {_number(row['entry_price'])}{liq}{rule}"
    wallet = moment["wallet"]
    if wallet is not None:
        equity, free = wallet["equity"], wallet["available_balance"]
        more = (f", equity {equity:,.2f}" if equity is not None else "") + (
            f", free {free:,.2f}" if free is not None else ""
        )
        yield f"  wallet {wallet['wallet_balance'] or 0:,.2f} USDT{more}, {_ago(moment, wallet['local_ts'])}"


def _ago(moment: Json, then: datetime) -> str:
    return f"{max(0.0, (moment['at'] - then).total_seconds()):.0f} s before"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _number(value: Decimal | None) -> str:
    return "-" if value is None else f"{value.normalize():f}"
