"""A strategy of the records as a side of a comparison: the statements that read it. Pure.

A row is something wanted or done at a level: `place` and `cancel` (what the gate let through, sent or shadow), `fill`
(an order's executions in the span together, at the time of the last). Its time is the exchange's, of the price that
caused it.
What rests when the span begins counts as placed at its beginning, so that a strategy that began later than the other
is compared from its first ladder on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gridbot.compare.pair_tables import AT_ONCE
from gridbot.store.schema import quote

__all__ = ["DECISIONS", "FILLS", "KNOWN", "AccountSide", "StoreSide"]

DECISIONS: Final = ("place", "cancel")
FILLS: Final = ("fill",)

KNOWN: Final = """
    SELECT DISTINCT account, strategy FROM intents
    UNION SELECT DISTINCT account, strategy FROM executions WHERE strategy <> '' ORDER BY ALL"""
"""All strategies that have done anything."""

_AT: Final = "coalesce(exchange_ts, local_ts)"
_ORDER: Final = "coalesce(nullif(order_link_id, ''), nullif(order_id, ''), exec_id)"
_PRICE: Final = """CASE WHEN min(price) = max(price) THEN min(price)
            ELSE CAST(CAST(sum(TRY(price * qty)) AS DOUBLE) / CAST(sum(qty) AS DOUBLE) AS DECIMAL(38, 12)) END"""


@dataclass(frozen=True, slots=True)
class StoreSide:
    """One strategy of one account, live, paper or shadow."""

    account: str
    strategy: str

    def __str__(self) -> str:
        return f"{self.account}/{self.strategy}"

    @property
    def _whose(self) -> str:
        return f"account = {quote(self.account)} AND strategy = {quote(self.strategy)}"

    def span(self) -> str:
        """Its first and last row, and the last sign of life of its account: one row, of NULLs when it has none."""
        ours = quote(self.account)
        return f"""
            WITH own AS (
                SELECT min({_AT}) AS first_at, max({_AT}) AS last_at FROM intents WHERE {self._whose}
                UNION ALL SELECT min(exchange_ts), max(exchange_ts) FROM executions WHERE {self._whose})
            SELECT min(first_at), max(last_at), greatest(max(last_at),
                (SELECT max(local_ts) FROM health_samples WHERE account = {ours}),
                (SELECT max({_AT}) FROM tickers WHERE account = {ours}))
            FROM own"""

    def rows(self, since: datetime, until: datetime, kinds: tuple[str, ...]) -> str:
        """Its rows from `since` on and before `until` (UTC)."""
        begin = _time(since)
        parts = []
        if set(kinds) & set(DECISIONS):
            parts.append(f"""
            SELECT action AS what, symbol, direction, side, price, {_AT} AS moment, qty, reason, order_link_id AS id,
                CAST(NULL AS DECIMAL(38, 12)) AS fee, CAST(NULL AS DECIMAL(38, 12)) AS realised_pnl
            FROM intents WHERE {self._whose} AND verdict <> 'refused' AND {_within(_AT, since, until)}""")
            parts.append(f"""
            SELECT 'place', symbol, direction, side, price, {begin}, arg_max(qty, seq), {quote(AT_ONCE)},
                arg_max(id, seq), NULL, NULL
            FROM (
                SELECT seq, action AS what, symbol, direction, side, price, qty, order_link_id AS id, {_AT} AS moment
                FROM intents WHERE {self._whose} AND verdict <> 'refused'
                UNION ALL
                SELECT seq, 'end', symbol, direction, side, price, qty, order_link_id, {_AT}
                FROM orders WHERE {self._whose} AND state IN ('filled', 'cancelled', 'rejected'))
            WHERE moment < {begin}
            GROUP BY symbol, direction, side, price HAVING arg_max(what, seq) = 'place'""")
        if "fill" in kinds:
            parts.append(f"""
            SELECT 'fill' AS what, symbol, direction, side, {_PRICE} AS price, max(exchange_ts) AS moment,
                sum(qty) AS qty, '' AS reason, {_ORDER} AS id, sum(fee) AS fee, sum(realised_pnl) AS realised_pnl
            FROM corrected_executions
            WHERE {self._whose} AND exec_type = 'Trade' AND {_within("exchange_ts", since, until)}
            GROUP BY symbol, direction, side, {_ORDER}""")
        return " UNION ALL ".join(parts)

    def placed(self, since: datetime, until: datetime) -> str:
        """(symbol, direction, side, ms UTC, price, the last price that it saw) of each order that it decided on."""
        return f"""
            SELECT symbol, direction, side, epoch_ms({_AT}) AS at_ms, price, last_price FROM intents
            WHERE {self._whose} AND action = 'place' AND verdict <> 'refused' AND {_within(_AT, since, until)}
            ORDER BY at_ms, seq"""

    def refusals(self, since: datetime, until: datetime) -> str:
        """What the gate refused it, the first of each series: rows of the same columns, as `refused`."""
        return f"""
            SELECT 'refused', symbol, direction, side, price, {_AT}, qty, reason, '', NULL, NULL FROM intents
            WHERE {self._whose} AND verdict = 'refused' AND {_within(_AT, since, until)}"""

    def rejections(self, since: datetime, until: datetime) -> str:
        """What the exchange refused it: rows of the same columns, as `rejected`."""
        return f"""
            SELECT 'rejected', symbol, direction, side, price, {_AT}, qty, reason, order_link_id, NULL, NULL FROM orders
            WHERE {self._whose} AND state = 'rejected' AND {_within(_AT, since, until)}"""

    def openings(self, since: datetime, until: datetime) -> str:
        """Orders that came to rest at the exchange, or rested at `since`: rows of the same columns, as `opened`."""
        begin = _time(since)
        return f"""
            SELECT 'opened', symbol, direction, side, price, greatest(min({_AT}), {begin}), any_value(qty), '',
                order_link_id, NULL, NULL
            FROM orders WHERE {self._whose} AND state IN ('open', 'partially_filled') AND {_AT} < {_time(until)}
            GROUP BY symbol, direction, side, price, order_link_id
            HAVING min({_AT}) >= {begin} OR order_link_id NOT IN (
                SELECT order_link_id FROM orders WHERE {self._whose} AND {_AT} < {begin}
                    AND state IN ('filled', 'cancelled', 'rejected'))"""

    def ladders(self, since: datetime, until: datetime) -> str:
        """(strategy, ms UTC, levels as text, anchor) of each recorded change of its ladders before `until`, and of the
        newest before `since` at that time."""
        text = "CAST(levels AS VARCHAR)"
        begin = f"local_ts <= {_time(since)}"
        return f"""
            SELECT strategy, epoch_ms({_time(since)}) AS at_ms, arg_max({text}, seq) AS ladder,
                arg_max(anchor, seq) AS anchor FROM grid_snapshots
            WHERE {self._whose} AND {begin} GROUP BY strategy
            UNION ALL SELECT strategy, epoch_ms(local_ts), {text}, anchor FROM grid_snapshots
            WHERE {self._whose} AND NOT ({begin}) AND local_ts < {_time(until)} ORDER BY at_ms"""

    def lost(self) -> str:
        """How many records of its account are lost."""
        return f"""
            SELECT CAST(coalesce(sum(to_seq - from_seq + 1), 0) AS BIGINT) FROM ingest_gaps
            WHERE account = {quote(self.account)}"""

    def money(self, since: datetime, until: datetime) -> str:
        """One row: orders filled, volume, fees, realised before fees, funding paid, net, USDT."""
        return f"""
            SELECT count(DISTINCT {_ORDER}) FILTER (exec_type = 'Trade') AS fills,
                CAST(coalesce(sum(TRY(price * qty)) FILTER (exec_type = 'Trade'), 0) AS DECIMAL(38, 12)) AS volume,
                coalesce(sum(fee) FILTER (exec_type <> 'Funding'), 0) AS fees,
                coalesce(sum(realised_pnl), 0) AS realised,
                coalesce(sum(fee) FILTER (exec_type = 'Funding'), 0) AS funding,
                coalesce(sum(realised_pnl - fee), 0) AS net
            FROM corrected_executions WHERE {self._whose} AND {_within("exchange_ts", since, until)}"""

    def named_levels(self) -> str:
        """Of each of its symbols the newest order: price, and id, which has the price in ticks."""
        return f"""
            SELECT symbol, arg_max(price, seq) FILTER (order_link_id <> ''), arg_max(order_link_id, seq)
                FILTER (order_link_id <> '')
            FROM (
                SELECT symbol, price, order_link_id, seq FROM intents WHERE {self._whose}
                UNION ALL SELECT symbol, NULL, '', seq FROM executions WHERE {self._whose})
            GROUP BY symbol"""


@dataclass(frozen=True, slots=True)
class AccountSide(StoreSide):
    """Several strategies of an account together; `strategy` is what they are called."""

    names: tuple[str, ...] = ()

    @property
    def _whose(self) -> str:
        listed = ", ".join(map(quote, self.names)) or "''"
        return f"account = {quote(self.account)} AND strategy IN ({listed})"


def _within(time: str, since: datetime, until: datetime) -> str:
    return f"{time} >= {_time(since)} AND {time} < {_time(until)}"


def _time(moment: datetime) -> str:
    """A literal; `moment` is UTC."""
    return f"TIMESTAMP {quote(moment.replace(tzinfo=None).isoformat(sep=' '))}"
