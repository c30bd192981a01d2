"""What the records say of an account on one day, for a backtest of that day: how it stood at the beginning, what held
it back, and how fast it was. Read as `sql` reads, also while the bot runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from gridbot.compare.causes import Hold
from gridbot.store.schema import quote
from supervisor.store.query import Query, ask_all

__all__ = ["DayRecords", "Ladder", "day_records", "settings_of_day"]


RESTING: Final = "'pending', 'open', 'partially_filled'"
"""States of an order that rests, or is about to."""
SIGNS: Final = ("health_samples", "tickers", "intents", "executions", "wallets", "position_events")


@dataclass(frozen=True, slots=True)
class Ladder:
    """A strategy's ladder as it was recorded: `levels` is JSON, prices are USDT."""

    levels: str
    anchor: Decimal | None
    last_fill: Decimal | None
    version: int


@dataclass(frozen=True, slots=True)
class DayRecords:
    """From `since` on the account can be followed; up to `until` it gave signs of life (UTC, naive).

    `legs` are (size, entry) by symbol and direction. `holds` are by strategy, those of the account under "".
    `round_trip_ms` is from a decision to the exchange's word: the median of each minute's fastest order, since others
    may have waited for the request limit, which a backtest has too. `hashes` are of the configurations it had.
    """

    since: datetime
    until: datetime
    ladders: Mapping[str, Ladder]
    wallet: Decimal | None
    legs: Mapping[tuple[str, str], tuple[Decimal, Decimal]]
    holds: Mapping[str, Sequence[Hold]]
    round_trip_ms: float | None
    hashes: frozenset[str]
    resting: Sequence[Mapping[str, Any]]
    """Orders that rested then: link_id, symbol, direction, side, price, what is left of their qty, closes."""


def day_records(query: Query, account: str, strategies: Sequence[str], begin: datetime) -> DayRecords | None:
    """The day that begins at `begin` (UTC, naive). None when the ladders of these strategies are not known that day.

    It begins later than the day when a ladder is first known later, and where a ladder is recorded within the first
    second: that one may have changed before. Raise SqlFailed.
    """
    end = begin + timedelta(days=1)
    whose = f"account = {quote(account)}"
    live = f"{whose} AND strategy IN ({', '.join(map(quote, strategies)) or repr('')})"
    [firsts, alive] = ask_all(
        query.data_dir,
        [
            f"SELECT strategy, min(local_ts) FROM grid_snapshots WHERE {live} AND local_ts < {_at(end)} GROUP BY ALL",
            _alive(whose, end),
        ],
        query.limits,
    )
    if not firsts.rows or alive.rows[0][0] is None:
        return None
    since = max(begin, max(first for _, first in firsts.rows))
    since = _ladders_known(query, live, since)
    until = min(end, _next_second(alive.rows[0][0]))
    if since >= until:
        return None
    before = f"local_ts <= {_at(since)}"
    span = f"{_at(since)} AND {_at(until)}"
    ladders, wallet, legs, latches, runs, gaps, trips, resting = (
        answer.rows
        for answer in ask_all(
            query.data_dir,
            [
                f"""SELECT strategy, arg_max({{'levels': CAST(levels AS VARCHAR), 'anchor': anchor,
                        'last_fill': last_fill, 'version': version}}, seq)
                    FROM grid_snapshots WHERE {live} AND {before} GROUP BY ALL""",
                f"""SELECT coalesce(arg_max(wallet_balance, seq) FILTER ({before}), arg_min(wallet_balance, seq))
                    FROM wallets WHERE {whose} AND coin = 'USDT' AND local_ts < {_at(until)}""",
                f"""SELECT symbol, direction, arg_max({{'size': size, 'entry': entry_price}}, seq) FROM position_events
                    WHERE {live} AND NOT shadow AND {before} GROUP BY ALL""",
                f"""SELECT strategy, kind, level, is_set, reason, local_ts, until FROM latches
                    WHERE {whose} AND local_ts < {_at(until)} ORDER BY seq""",
                f"SELECT started_at, ended_at, config_hash FROM runs WHERE {whose} ORDER BY started_at",
                f"SELECT stream, started_at, ended_at FROM stream_gaps WHERE {whose} AND local_ts BETWEEN {span}",
                f"""SELECT median(fastest) FROM (SELECT min(to_open_ms) AS fastest FROM latency
                    WHERE {whose} AND decided_at BETWEEN {span} GROUP BY date_trunc('minute', decided_at))""",
                f"""SELECT order_link_id, arg_max({{'symbol': symbol, 'direction': direction, 'side': side,
                        'price': price, 'qty': qty - cum_exec_qty, 'closes': reduce_only}}, seq)
                    FROM orders WHERE {live} AND NOT shadow AND order_link_id <> '' AND {before}
                    GROUP BY ALL HAVING arg_max(state, seq) IN ({RESTING})""",
            ],
            query.limits,
        )
    )
    holds = _latched(latches, until)
    holds.setdefault("", []).extend(_down(runs, since, until))
    holds[""].extend(Hold(_ms(a), _ms(b), f"the {stream} stream was not connected") for stream, a, b in gaps)
    return DayRecords(
        since,
        until,
        {strategy: Ladder(**found) for strategy, found in ladders},
        wallet[0][0],
        {(symbol, leg): (row["size"], row["entry"]) for symbol, leg, row in legs if row["size"] and row["entry"]},
        holds,
        trips[0][0],
        frozenset(known for start, ended, known in runs if start and start < until and (ended or until) > since),
        [{"link_id": link_id, **order} for link_id, order in resting if order["qty"] > 0],
    )  # fmt: skip


def _ladders_known(query: Query, live: str, since: datetime) -> datetime:
    """The first moment from `since` on at which the records have all ladders as they were: they are written once a
    second, each that has changed. Raise SqlFailed."""
    soon = f"local_ts > {_at(since)} AND local_ts < {_at(since + timedelta(seconds=1))}"
    [[moment]] = query.ask(f"SELECT max(local_ts) FROM grid_snapshots WHERE {live} AND {soon}").rows
    return moment or since


def settings_of_day(query: Query, account: str, begin: datetime) -> str | None:
    """The configuration (JSON) that an account ran with when a day began, or first on it; None when none is recorded.

    Raise SqlFailed.
    """
    end = begin + timedelta(days=1)
    [[config]] = query.ask(
        f"""SELECT coalesce(arg_max(config, started_at) FILTER (started_at <= {_at(begin)}),
                arg_min(config, started_at))::VARCHAR
            FROM runs WHERE account = {quote(account)} AND started_at < {_at(end)}
                AND coalesce(ended_at, {_at(end)}) > {_at(begin)}"""
    ).rows
    return None if config is None else str(config)


def _alive(whose: str, end: datetime) -> str:
    """The last sign of life before `end`."""
    parts = (f"SELECT max(local_ts) AS at_ts FROM {table} WHERE {whose} AND local_ts < {_at(end)}" for table in SIGNS)
    return f"SELECT max(at_ts) FROM ({' UNION ALL '.join(parts)})"


def _latched(rows: Sequence[tuple[Any, ...]], until: datetime) -> dict[str, list[Hold]]:
    """Times in which something was held, by strategy. A breaker holds one level only, which its refusals tell."""
    found: dict[str, list[Hold]] = {}
    open_: dict[tuple[str, str], tuple[datetime, str, datetime | None]] = {}

    def close(key: tuple[str, str], at: datetime) -> None:
        since, why, by_itself = open_.pop(key)
        ended = min(at, by_itself) if by_itself is not None else at
        found.setdefault(key[0], []).append(Hold(_ms(since), _ms(ended), why))

    for strategy, kind, level, is_set, reason, at, by_itself in rows:
        if level:
            continue
        key = (strategy, kind)
        if key in open_:
            close(key, at)
        if is_set:
            open_[key] = (at, f"{kind}: {reason}" if reason else kind, by_itself)
    for key in list(open_):
        close(key, until)
    return found


def _down(runs: Sequence[tuple[Any, ...]], since: datetime, until: datetime) -> list[Hold]:
    """Times between `since` and `until` in which no worker ran."""
    found, reached = [], since
    for start, ended, *_ in runs:
        if start is None or start >= until:
            continue
        if start > reached:
            found.append(Hold(_ms(reached), _ms(start), "no worker ran"))
        reached = max(reached, ended or until)
    if runs and reached < until:
        found.append(Hold(_ms(reached), _ms(until), "no worker ran"))
    return found


def _next_second(moment: datetime) -> datetime:
    return moment if not moment.microsecond else moment.replace(microsecond=0) + timedelta(seconds=1)


def _at(moment: datetime) -> str:
    return f"TIMESTAMP {quote(moment.isoformat(sep=' '))}"


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)
