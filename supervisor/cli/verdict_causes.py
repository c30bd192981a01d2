"""Why the fills of a day differ from those of its backtest, and the money of each reason: rows in, causes out."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from gridbot.commands.wording import counted
from gridbot.compare.causes import CAUSES, Event, Hold, cause_of, missing_in
from gridbot.compare.difference_words import difference
from gridbot.compare.ladder_ways import Cause, Difference, Snapshot, apart, causes_with_roots, other_anchor
from gridbot.compare.pair_tables import SIDES
from gridbot.compare.seen_prices import Placed, saw_another_price
from gridbot.compare.store_side import DECISIONS, FILLS, AccountSide
from supervisor.cli.compare_report import CauseSum
from supervisor.store.query import Query

if TYPE_CHECKING:
    from gridbot.compare.comparison import Money
    from supervisor.store.day_records import DayRecords

__all__ = ["DUST", "causes_of", "differing_rows", "keep_causes", "key_of", "net_of_same", "sums_of", "told"]

ZERO: Final = Decimal(0)
DUST: Final = Decimal("0.000001")
"""USDT. Average entries are rounded, where a leg begins with one."""
_NET: Final = """coalesce(there_realised, 0) - coalesce(there_fee, 0) - coalesce(here_realised, 0)
    + coalesce(here_fee, 0)"""
"""What the other side made more of a row, USDT."""


def differing_rows(con: Any) -> list[dict[str, Any]]:
    cursor = con.execute(f"SELECT *, {_NET} AS net FROM compared WHERE outcome <> 'same'")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def net_of_same(con: Any) -> Decimal:
    """What the other side made more of the fills that both had, USDT."""
    [(net,)] = con.execute(f"SELECT sum({_NET}) FROM compared WHERE outcome = 'same'").fetchall()
    return net or ZERO


def causes_of(
    rows: Sequence[Mapping[str, Any]],
    side: AccountSide,
    queries: tuple[Query, Query],
    records: DayRecords,
    strategy_of: Mapping[str, str],
) -> list[Cause]:
    """The cause of each row; `strategy_of` each symbol. Raise SqlFailed."""
    if not rows:
        return []
    prices = {row["price"] for row in rows}
    events = {name: _events(query, side, records, prices) for query, name in zip(queries, SIDES, strict=True)}
    placed = {name: _placed(query, side, records) for query, name in zip(queries, SIDES, strict=True)}
    here, there = (_ladders(query, side, records) for query in queries)
    found = []
    seen = {}
    for number, row in enumerate(rows):
        strategy = strategy_of.get(row["symbol"], "")
        if said := _seen(row, placed):
            seen[number] = said
        cause, words = _own_cause(row, events, [*records.holds.get("", ()), *records.holds.get(strategy, ())])
        moment_ms = min(filter(None, (_ms(row["here_at"]), _ms(row["there_at"]))))
        found.append(
            Difference(
                moment_ms,
                strategy,
                cause,
                words,
                difference({**row, "why": ""}),
                resized=row["outcome"] == "size",
                alone=row["outcome"].removeprefix("only_") if row["outcome"] in ("only_here", "only_there") else "",
                leg=f"{row['symbol']} {row['direction']}",
                opens=(row["direction"] == "long") == (row["side"] == "Buy"),
            )
        )
    return causes_with_roots(
        found,
        {name: apart(here.get(name, ()), there.get(name, ())) for name in here},
        lambda name, at_ms: other_anchor(here.get(name, ()), there.get(name, ()), at_ms),
        seen,
    )


def told(rows: Sequence[Mapping[str, Any]], causes: Sequence[Cause]) -> list[str]:
    """Of each row the cause in words, with what is behind it: how many fills follow from it, and their money."""
    behind: dict[int, list[Decimal]] = defaultdict(list)
    for row, cause in zip(rows, causes, strict=True):
        if cause.root is not None:
            behind[cause.root].append(row["net"])
    found = []
    for number, cause in enumerate(causes):
        nets = behind.get(number, ())
        more = f"; behind that: {counted(len(nets), 'fill')}, {sum(nets, ZERO):+.2f} USDT" if nets else ""
        found.append(f"{cause.name}: {cause.words}{more}")
    return found


def _own_cause(
    row: Mapping[str, Any], events: Mapping[str, Mapping[Any, Sequence[Event]]], held: Sequence[Hold]
) -> tuple[str, str]:
    missing = missing_in(row["outcome"], _ms(row["here_at"]), _ms(row["there_at"]))
    if missing is None:
        return "unexplained", f"another {row['outcome']}"
    level = (row["symbol"], row["direction"], row["side"], row["price"])
    return cause_of(missing, events[missing.of].get(level, ()), held if missing.of == "here" else ())


def _seen(row: Mapping[str, Any], placed: Mapping[str, Mapping[Any, Sequence[Placed]]]) -> str | None:
    """In words, where the side that lacks a fill ordered elsewhere, by another price, when the other one ordered."""
    missing = missing_in(row["outcome"], _ms(row["here_at"]), _ms(row["there_at"]))
    if missing is None:
        return None
    leg, [other] = (row["symbol"], row["direction"], row["side"]), {*SIDES} - {missing.of}
    orders = placed[other].get(leg, ())
    at = bisect_right(orders, missing.at_ms, key=lambda each: each.at_ms)
    order = next((orders[number] for number in range(at - 1, -1, -1) if orders[number].price == row["price"]), None)
    return order and saw_another_price(order, placed[missing.of].get(leg, ()))


def _placed(query: Query, side: AccountSide, records: DayRecords) -> dict[tuple[str, str, str], list[Placed]]:
    """The orders that a side decided on, by symbol, leg and side, sorted by time."""
    found: dict[tuple[str, str, str], list[Placed]] = defaultdict(list)
    for symbol, direction, to, *order in query.ask(side.placed(records.since, records.until)).rows:
        found[symbol, direction, to].append(Placed(*order))
    return found


def _ladders(query: Query, side: AccountSide, records: DayRecords) -> dict[str, list[Snapshot]]:
    """The ladders of a side over the day, by strategy, sorted by time; that of its beginning is the first."""
    found: dict[str, list[Snapshot]] = defaultdict(list)
    for strategy, *ladder in query.ask(side.ladders(records.since, records.until)).rows:
        found[strategy].append(Snapshot(*ladder))
    return found


def _events(
    query: Query, side: AccountSide, records: DayRecords, prices: set[Decimal]
) -> dict[tuple[str, str, str, Decimal], list[Event]]:
    """What a side did at levels of these prices, by level, sorted by time."""
    span = (records.since, records.until)
    listed = ", ".join(f"{price:f}" for price in sorted(prices))
    statement = f"""
        SELECT symbol, direction, side, price, epoch_ms(moment), what, reason
        FROM ({side.rows(*span, (*DECISIONS, *FILLS))} UNION ALL {side.refusals(*span)}
            UNION ALL {side.rejections(*span)} UNION ALL {side.openings(*span)})
        WHERE price IN ({listed})
        ORDER BY moment, CASE what WHEN 'fill' THEN 0 WHEN 'cancel' THEN 1 WHEN 'opened' THEN 3 ELSE 2 END"""
    found: dict[tuple[str, str, str, Decimal], list[Event]] = defaultdict(list)
    for symbol, direction, leg, price, at_ms, what, reason in query.ask(statement).rows:
        found[symbol, direction, leg, price].append(Event(at_ms, what, reason or ""))
    return found


def key_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("symbol", "direction", "side", "price", "here_at", "there_at", "here_id"))


def keep_causes(con: Any, rows: Sequence[Mapping[str, Any]], causes: Sequence[Cause]) -> None:
    con.execute("""
        CREATE TABLE compared_causes (symbol VARCHAR, direction VARCHAR, side VARCHAR, price DECIMAL(38, 12),
            outcome VARCHAR, here_at TIMESTAMP, there_at TIMESTAMP, cause VARCHAR, why VARCHAR, net DECIMAL(38, 12))""")
    names = ("symbol", "direction", "side", "price", "outcome", "here_at", "there_at")
    kept = [
        [*(row[name] for name in names), cause.name, cause.words, row["net"]]
        for row, cause in zip(rows, causes, strict=True)
    ]
    if kept:
        con.executemany("INSERT INTO compared_causes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kept)


def sums_of(
    rows: Sequence[Mapping[str, Any]],
    causes: Sequence[Cause],
    same: Decimal,
    money: tuple[Money, Money],
) -> list[CauseSum]:
    """Of each cause how many fills and how much money; with the same fills and funding it is all of the difference."""
    found = []
    for name in (*CAUSES, *dict.fromkeys(sorted(cause.name for cause in causes if cause.name not in CAUSES))):
        of = [row for row, cause in zip(rows, causes, strict=True) if cause.name == name]
        if of:
            found.append(CauseSum(name, len(of), sum((row["net"] for row in of), ZERO)))
    here, there = money
    funding = (here.funding or ZERO) - (there.funding or ZERO)
    apart = (there.net or ZERO) - (here.net or ZERO)
    rest = apart - sum((each.net for each in found), ZERO) - same - funding
    for name, net in (("fills that are the same", same), ("funding", funding), ("other bookings", rest)):
        if abs(net) >= DUST:
            found.append(CauseSum(name, None, net))
    return found


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.replace(tzinfo=UTC).timestamp() * 1000)
