"""The status model as lines of a chat: /status, /health, /positions, /pnl; and rows of records: /daily. Pure.

Money of different kinds (mainnet, demo, testnet, paper) is never added up, and shadow strategies earn nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from gridbot.commands.wording import counted
from gridbot.core.strict_numbers import decimal_or_none
from supervisor.status.model import SERVICES
from supervisor.status.undelivered_text import undelivered_lines
from supervisor.telegram.chat_text import bold, code, line

__all__ = ["daily_lines", "health_lines", "log_line", "pnl_lines", "positions_lines", "status_lines"]

Json = Mapping[str, Any]
ZERO: Final = Decimal(0)
LONGEST_LOG: Final = 300


def status_lines(status: Json, wanted: Collection[str] | None = None) -> Iterator[str]:
    """Each account in a line, those that are not well first; of the `wanted` ones each strategy, too."""
    yield _headline(status)
    rows = [row for row in status["accounts"] if wanted is None or row["account"] in wanted]
    for row in sorted(rows, key=_is_well):
        yield _account(row)
        if wanted is not None:
            yield from (f"  {line(_strategy(each))}" for each in row["strategies"])
    if wanted is None:
        yield from _rest(status)


def health_lines(status: Json) -> Iterator[str]:
    """What is wrong, the alerts that are open, and the processes beside the workers."""
    yield _headline(status)
    yield from (line(f"! {reason}") for reason in status["reasons"])
    yield from (line(_host(row)) for row in (status.get("fleet") or {}).get("hosts", ()))
    yield from (line(each) for each in undelivered_lines(status))
    for name in SERVICES:
        if row := status.get(name):
            process = row["process"]
            more = f", {counted(process['restarts'], 'restart')}" if process["restarts"] else ""
            why = process["reason"] or process["last_exit"] if process["state"] != "RUNNING" else ""
            yield line(f"{name}: {process['state']}{more}{': ' if why else ''}{why}")
    shown = [row for row in status["incidents"] if not row.get("muted_until")]
    yield bold(counted(len(shown), "open alert"))
    for row in shown:
        about = "/".join(part for part in (row["account"], row["strategy"], row["child"]) if part) or "fleet"
        about += f" on {row['host']}" if row.get("host") else ""
        times = "" if row["count"] == 1 else f" ({row['count']} times)"
        taken = f", taken by {row['acked']['by']}" if row.get("acked") else ""
        text = f"{row['level']} {about}: {row['text']}{times}{taken}"
        yield f"{code(str(row.get('id') or row['key']))} {line(text)}"
    if muted := len(status["incidents"]) - len(shown):
        yield line(f"{counted(muted, 'alert')} muted")


def positions_lines(status: Json, wanted: Collection[str] | None = None) -> Iterator[str]:
    """A line for each leg that is open."""
    found = 0
    for row in status["accounts"]:
        for strategy in row["strategies"] if wanted is None or row["account"] in wanted else ():
            for leg in ("long", "short"):
                held = strategy.get(leg) or {}
                size = decimal_or_none(held.get("size"))
                if not size:
                    continue
                found += 1
                more = f", {_money(held.get('upnl'), sign=True)}"
                more += f", liquidation {_price(held['liq'])}" if held.get("liq") else ""
                more += ", shadow" if strategy.get("mode") == "shadow" else ""
                name = bold(f"{row['account']}/{strategy['strat_id']}")
                text = f"{strategy['symbol']} {leg} {held['size']} @ {_price(held.get('entry'))}"
                yield f"{name} {line(text + more)}"
    if not found:
        yield line("no position is open, as far as is reported")


def pnl_lines(status: Json, wanted: Collection[str] | None = None) -> Iterator[str]:
    """Money of each account since its records began, and the sums of each kind of money; of those that report it."""
    sums: dict[str, dict[str, Decimal]] = {}
    counts: Counter[str] = Counter()
    for row in status["accounts"]:
        if wanted is not None and row["account"] not in wanted:
            continue
        money, kind = _sums(row), str(row.get("environment") or "money not known")
        if money is None:
            yield f"{bold(row['account'])} {line('does not report its money now')}"
            continue
        total = sums.setdefault(kind, {})
        for name, value in money.items():
            total[name] = total.get(name, ZERO) + value
        counts[kind] += 1
        yield f"{bold(row['account'])} {line(f'({kind}) {_earned(money)}')}"
    for kind, total in sums.items():
        if counts[kind] > 1:
            yield bold(f"{kind}, {counted(counts[kind], 'account')}: {_earned(total)}")
    yield line("USDT; net is realised less fees and funding, of all time; without shadows")


def daily_lines(rows: Sequence[Json]) -> Iterator[str]:
    """Rows of `pnl --by day --json`, newest first."""
    for row in sorted(rows, key=lambda each: str(each.get("day")), reverse=True):
        net, fills = _money(row.get("net"), sign=True), row.get("fills")
        parts = f"fees {_money(row.get('fees'))}, funding {_money(row.get('funding'))}"
        text = f"{row.get('money')}: net {net}, {parts}, {fills} fills"
        yield f"{bold(str(row.get('day'))[:10])} {line(text)}"
    if not rows:
        yield line("no execution is recorded in these days")
    yield line("UTC days; USDT; net is realised less fees and funding")


def log_line(row: Json) -> str:
    """A line of a log: time, level, whom it is about, and what it says."""
    about = "/".join(str(row[name]) for name in ("account", "strategy") if row.get(name))
    text = f"{str(row.get('time'))[11:19]} {row.get('level')} {about}{': ' if about else ''}{row.get('message')}"
    return line(text if len(text) <= LONGEST_LOG else f"{text[:LONGEST_LOG]}...")


def _headline(status: Json) -> str:
    supervisor = status["supervisor"]
    word = f"{status['health']}, {supervisor['state']}, up {_duration(float(supervisor['uptime_s']))}"
    hosts = [row for row in (status.get("fleet") or {}).get("hosts", ()) if row["state"] != "down"]
    of_fleet = f", {counted(len(hosts), 'host')}" if hosts else ""
    return f"{bold(word)}, {counted(len(status['accounts']), 'account')}{of_fleet}"


def _host(row: Json) -> str:
    """Of a host of a fleet: how it is, how many accounts it has, how old what it told is."""
    lag = "" if row["lag_s"] is None or row["state"] in ("dead", "down") else f", told {row['lag_s']:.0f} s ago"
    dead = f" for {_duration(float(row['seen_s']))}" if row["state"] == "dead" else ""
    return f"host {row['host']}: {row['state']}{dead}, {counted(row['accounts'], 'account')}{lag}"


def _rest(status: Json) -> Iterator[str]:
    yield from (line(each) for each in undelivered_lines(status))
    open_alerts = sum(not row.get("muted_until") for row in status["incidents"])
    if open_alerts:
        yield line(f"{counted(open_alerts, 'open alert')}: /health")


def _is_well(row: Json) -> bool:
    return (row["health"], row["process"]["state"], row["freshness"]) == ("healthy", "RUNNING", "active")


def _account(row: Json) -> str:
    states = Counter(str(each.get("state") or "unknown") for each in row["strategies"])
    orders = sum(each.get("open_orders") or 0 for each in row["strategies"])
    health = row["health"] or "no report"
    words = [row["process"]["state"] or "unknown", "latched" if health == "circuit_open" else health]
    words += [] if row["freshness"] == "active" else [f"data {row['freshness']}"]
    words += [f"{count} {state}" for state, count in states.items()]
    words += [f"{orders} orders", f"equity {_money(row.get('equity'))}"]
    reasons = "; ".join(row["reasons"])
    words += [f"on {row['host']}"] if row.get("host") else []
    return f"{bold(row['account'])} {line(', '.join(words) + (f': {reasons}' if reasons else ''))}"


def _strategy(row: Json) -> str:
    shadow = " (shadow)" if row.get("mode") == "shadow" else ""
    text = f"{row['strat_id']}{shadow} {row['symbol']} {row.get('last_price') or '-'}: {row.get('state') or 'unknown'}"
    text += f", {row.get('open_orders') or 0} orders"
    for leg in ("long", "short"):
        held = row.get(leg) or {}
        if decimal_or_none(held.get("size")):
            text += f", {leg} {held['size']}"
    return text + (f": {row['reason']}" if row.get("reason") else "")


def _sums(row: Json) -> dict[str, Decimal] | None:
    """Of an account; None where a part of it is not reported."""
    live = [each for each in row["strategies"] if each.get("mode") != "shadow"]
    found = {"equity": [decimal_or_none(row.get("equity"))]}
    for name in ("realised", "fees", "funding", "unrealised"):
        found[name] = [decimal_or_none(each.get(name)) for each in live]
    sums = {}
    for name, values in found.items():
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        sums[name] = sum(known, ZERO)
    return sums


def _earned(money: Mapping[str, Decimal]) -> str:
    net = money["realised"] - money["fees"] - money["funding"]
    parts = f"fees {_money(money['fees'])}, funding {_money(money['funding'])}"
    return (
        f"equity {_money(money['equity'])}, net {_money(net, sign=True)} ({parts}), "
        f"open {_money(money['unrealised'], sign=True)}"
    )


def _money(value: Any, *, sign: bool = False) -> str:
    amount = value if isinstance(value, Decimal) else decimal_or_none(value)
    if amount is None:
        return "-"
    return f"{amount:+,.2f}" if sign else f"{amount:,.2f}"


def _price(value: Any) -> str:
    """With seven digits at most, as `status` shows it: averages have many more."""
    price = decimal_or_none(value)
    return "-" if price is None else f"{price:.7g}"


def _duration(seconds: float) -> str:
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
