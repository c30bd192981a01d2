"""The SQL of a report, as texts: who asks them opens the records (`supervisor.store.query`). Pure.

The file is held only while DuckDB works, and a year of prices has 30 million rows: curves are thinned there, to the
rows of each bucket of time at which something was first, last, lowest or highest. A drawn curve has every extreme.
Times are ms UTC; each question names the class of `facts` that its rows are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridbot.report.report_span import Asked
from gridbot.store.views import grid_trades_sql

__all__ = ["ACCOUNTS", "BACKTEST_ROW", "HAS_BACKTESTS", "MOST_LISTED", "questions", "strategies_of"]

MOST_LISTED: Final = 100
"""Rows of what a page lists one by one."""
MOST_BUCKETS: Final = 300
FEWEST_BUCKETS: Final = 40
ALL_BUCKETS: Final = 1200
"""Buckets of all strategies together: what keeps the file below 2 MB."""
GAP_S: Final = 180
"""Prices that are apart by more, and by three times their usual distance, have a gap between them."""

_AT: Final = "coalesce(exchange_ts, local_ts)"

ACCOUNTS: Final = """
    SELECT account, epoch_ms(min(begun)) AS first_ms, epoch_ms(max(ended)) AS last_ms
    FROM (
        SELECT account, min(local_ts) AS begun, max(local_ts) AS ended FROM run_events GROUP BY account
        UNION ALL SELECT account, min(local_ts), max(local_ts) FROM executions GROUP BY account
        UNION ALL SELECT account, min(local_ts), max(local_ts) FROM wallets GROUP BY account)
    WHERE account <> '_supervisor' GROUP BY account ORDER BY account"""

HAS_BACKTESTS: Final = "SELECT 1 FROM duckdb_tables() WHERE table_name = 'backtests'"

BACKTEST_ROW: Final = "SELECT * FROM backtests LIMIT 1"


def strategies_of(account: str) -> str:
    """Strategies of an account that traded, held or watched something, shadow ones too."""
    tables = ("daily_sums", "latest_positions", "grid_snapshots")
    each = " UNION ".join(f"SELECT strategy FROM {table} WHERE account = {_literal(account)}" for table in tables)
    return f"SELECT DISTINCT strategy FROM ({each}) WHERE strategy <> '' ORDER BY strategy"


def questions(asked: Asked, strategies: int) -> dict[str, str]:
    """A statement for each field of `facts.Facts`. `strategies`: how many the curves of the page belong to."""
    made = _Statements(asked, min(MOST_BUCKETS, max(FEWEST_BUCKETS, ALL_BUCKETS // max(1, strategies))))
    return {
        "balances": made.balances(),
        "wallet_curve": made.wallet_curve(),
        "hours_of_equity": made.hours_of_equity(),
        "money": made.money(),
        "money_outside": made.money_outside(),
        "hours_of_money": made.hours_of_money(),
        "pairs": made.pairs(shadow=False),
        "shadow_pairs": made.pairs(shadow=True),
        "legs": made.legs(),
        "leg_curves": made.leg_curves(),
        "price_curves": made.price_curves(),
        "price_ends": made.price_ends(),
        "price_gaps": made.price_gaps(),
        "fills": made.fills(),
        "ladders": made.ladders(),
        "refusals": made.refusals(),
        "halts": made.halts(),
        "alerts": made.alerts(),
        "runs": made.runs(),
        "stream_gaps": made.stream_gaps(),
        "lost": made.lost(),
        "adjustments": made.adjustments(),
        "unusual": made.unusual(),
        "other_coins": made.other_coins(),
    }


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _time(ms: int) -> str:
    return f"make_timestamp({ms * 1000})"


class _Statements:
    """Each method is one statement of a span."""

    def __init__(self, asked: Asked, buckets: int) -> None:
        self.account = f"account = {_literal(asked.account)}"
        self.start, self.end = _time(asked.from_ms), _time(asked.to_ms)
        self.from_ms, self.buckets, self.length_ms = asked.from_ms, buckets, asked.length_ms
        self.own = "" if asked.strategy is None else f" AND strategy = {_literal(asked.strategy)}"
        self.bucket_ms = self._bucket(buckets)

    def _bucket(self, buckets: int) -> int:
        return max(1, -(-self.length_ms // buckets))

    def within(self, at: str = _AT) -> str:
        """The condition that a row of this account lies in the span."""
        return f"{self.account} AND {at} >= {self.start} AND {at} < {self.end}"

    def thinned(self, rows: str, columns: str, extremes: Sequence[str], keys: str = "") -> str:
        """The rows at which something is first, last, lowest or highest in a bucket of time.

        `rows` has `at_ms`, `seq` and all `columns` and `keys`; the order is that of time.
        """
        names = ["at_ms", "seq", *columns.split(", ")]
        pack = "{" + ", ".join(f"'{name}': {name}" for name in names) + "}"
        picks = ["arg_min(p, seq)", "arg_max(p, seq)"]
        picks += [f"{pick}(p, {name})" for name in extremes for pick in ("arg_min", "arg_max")]
        before = f"{keys}, " if keys else ""
        unpacked = ", ".join(f"p.{name} AS {name}" for name in names)
        return f"""
            SELECT DISTINCT {before}{unpacked} FROM (
                SELECT {before}unnest([{", ".join(picks)}]) AS p FROM (
                    SELECT *, {pack} AS p, (at_ms - {self.from_ms}) // {self.bucket_ms} AS bucket FROM ({rows}))
                GROUP BY {before}bucket)
            WHERE p IS NOT NULL ORDER BY {before}at_ms, seq"""

    # -- money -------------------------------------------------------------------------------------------------------

    def balances(self) -> str:
        """The newest balance up to the beginning, the first after it, the last before the end."""
        columns = f"seq, epoch_ms({_AT}) AS at_ms, wallet_balance, equity, unrealised_pnl"
        usdt = f"FROM wallets WHERE {self.account} AND coin = 'USDT' AND equity IS NOT NULL"
        return f"""
            (SELECT 'before' AS place, {columns} {usdt} AND {_AT} <= {self.start} ORDER BY seq DESC LIMIT 1)
            UNION ALL (SELECT 'first', {columns} {usdt} AND {_AT} > {self.start} AND {_AT} < {self.end}
                ORDER BY seq LIMIT 1)
            UNION ALL (SELECT 'last', {columns} {usdt} AND {_AT} < {self.end} ORDER BY seq DESC LIMIT 1)"""

    def wallet_curve(self) -> str:
        rows = f"""
            SELECT seq, epoch_ms({_AT}) AS at_ms, equity, max(equity) OVER (ORDER BY seq) - equity AS drawdown,
                wallet_balance, unrealised_pnl, available_balance, total_initial_margin, total_maintenance_margin
            FROM wallets WHERE {self.within()} AND coin = 'USDT' AND equity IS NOT NULL"""
        columns = (
            "equity, drawdown, wallet_balance, unrealised_pnl, available_balance, total_initial_margin, "
            "total_maintenance_margin"
        )
        return self.thinned(rows, columns, ("equity", "drawdown", "total_initial_margin"))

    def hours_of_equity(self) -> str:
        return f"""
            SELECT epoch_ms(date_trunc('hour', {_AT})) AS hour_ms, arg_min(equity, seq) AS first_equity,
                arg_max(equity, seq) AS last_equity
            FROM wallets WHERE {self.within()} AND coin = 'USDT' AND equity IS NOT NULL GROUP BY 1 ORDER BY 1"""

    _SUMS: Final = """
        count(*) FILTER (exec_type = 'Trade') AS fills,
        count(*) FILTER (exec_type = 'Trade' AND is_maker) AS maker_fills,
        coalesce(sum(CAST(TRY(price * qty) AS DECIMAL(38, 12))) FILTER (exec_type = 'Trade'), 0) AS volume,
        coalesce(sum(realised_pnl), 0) AS realised,
        coalesce(sum(fee) FILTER (exec_type <> 'Funding'), 0) AS fees,
        coalesce(sum(fee) FILTER (exec_type = 'Funding'), 0) AS funding"""

    def money(self) -> str:
        return f"""
            SELECT strategy, symbol, direction, shadow, {self._SUMS}
            FROM corrected_executions WHERE {self.within("exchange_ts")} GROUP BY ALL ORDER BY ALL"""

    def money_outside(self) -> str:
        """What executions of the span changed that no balance of it can show: before the first, after the last."""
        first = f"(SELECT min({_AT}) FROM wallets WHERE {self.within()} AND coin = 'USDT' AND equity IS NOT NULL)"
        before = f"""(SELECT max({_AT}) FROM wallets WHERE {self.account} AND coin = 'USDT' AND equity IS NOT NULL
            AND {_AT} <= {self.start})"""
        last = first.replace("min(", "max(")
        return f"""
            SELECT count(*) AS executions, coalesce(sum(realised_pnl - fee), 0) AS net
            FROM corrected_executions WHERE {self.within("exchange_ts")} AND NOT shadow
                AND (exchange_ts <= coalesce({before}, {first}) OR exchange_ts > {last})"""

    def hours_of_money(self) -> str:
        return f"""
            SELECT strategy, shadow, epoch_ms(date_trunc('hour', exchange_ts)) AS hour_ms, {self._SUMS}
            FROM corrected_executions WHERE {self.within("exchange_ts")} GROUP BY ALL ORDER BY ALL"""

    def pairs(self, *, shadow: bool) -> str:
        """Matched pairs, closed in the span, twice: by level, and by hour (then `level` is NULL)."""
        which = f"{'' if shadow else 'NOT '}shadow AND {self.account}"
        closed = f"closed_at >= {self.start} AND closed_at < {self.end}{self.own}"
        return f"""
            SELECT strategy, symbol, direction, open_price AS level, epoch_ms(hour) AS hour_ms, count(*) AS pairs,
                sum(profit) AS profit, sum(fees) AS fees
            FROM (SELECT *, date_trunc('hour', closed_at) AS hour FROM ({grid_trades_sql(which)}) WHERE {closed})
            GROUP BY GROUPING SETS ((strategy, symbol, direction, open_price), (strategy, symbol, hour))
            ORDER BY ALL"""

    # -- positions and prices ----------------------------------------------------------------------------------------

    def legs(self) -> str:
        """Each leg as it was when the span began (`place` before), and when it ended."""
        columns = """strategy, symbol, direction, shadow, size, entry_price, mark_price, liq_price, unrealised_pnl"""
        newest = "QUALIFY row_number() OVER (PARTITION BY symbol, direction, shadow ORDER BY seq DESC) = 1"
        found = f"FROM position_events WHERE {self.account}"
        return f"""
            SELECT * FROM (SELECT 'before' AS place, {columns} {found} AND {_AT} < {self.start} {newest})
            UNION ALL
            SELECT * FROM (SELECT 'last', {columns} {found} AND {_AT} < {self.end} {newest})
            ORDER BY ALL"""

    def leg_curves(self) -> str:
        rows = f"""
            SELECT seq, epoch_ms({_AT}) AS at_ms, strategy, symbol, direction, shadow, size, entry_price, mark_price,
                liq_price, CASE WHEN size > 0 AND mark_price > 0 AND liq_price > 0
                    THEN abs(mark_price - liq_price) / mark_price END AS distance
            FROM position_events WHERE {self.within()}{self.own}"""
        return self.thinned(
            rows,
            "size, entry_price, mark_price, liq_price, distance",
            ("size", "distance"),
            "strategy, symbol, direction, shadow",
        )

    def price_curves(self) -> str:
        rows = f"""
            SELECT seq, epoch_ms({_AT}) AS at_ms, symbol, last_price, mark_price
            FROM tickers WHERE {self.within()}"""
        return self.thinned(rows, "last_price, mark_price", ("last_price",), "symbol")

    def price_ends(self) -> str:
        return f"""
            SELECT symbol, count(*) AS rows, count(mark_price) AS marks, epoch_ms(min({_AT})) AS first_ms,
                epoch_ms(max({_AT})) AS last_ms, arg_min(last_price, seq) AS first_price,
                arg_max(last_price, seq) AS last_price,
                arg_min(mark_price, seq) AS first_mark, arg_max(mark_price, seq) AS last_mark
            FROM tickers WHERE {self.within()} GROUP BY symbol ORDER BY symbol"""

    def price_gaps(self) -> str:
        return f"""
            WITH steps AS (
                SELECT symbol, epoch_ms({_AT}) AS to_ms, lag(epoch_ms({_AT})) OVER (PARTITION BY symbol ORDER BY seq)
                    AS from_ms
                FROM tickers WHERE {self.within()}),
            usual AS (SELECT symbol, median(to_ms - from_ms) AS step_ms FROM steps GROUP BY symbol),
            gaps AS (
                SELECT * FROM steps JOIN usual USING (symbol)
                WHERE to_ms - from_ms > greatest({GAP_S * 1000}, 3 * step_ms))
            SELECT symbol, count(*) AS gaps, CAST(sum(to_ms - from_ms) AS BIGINT) AS missing_ms,
                max(to_ms - from_ms) AS longest_ms, arg_max(from_ms, to_ms - from_ms) AS longest_from_ms
            FROM gaps GROUP BY symbol ORDER BY symbol"""

    def fills(self) -> str:
        """Of each bucket and side the fills with the lowest and the highest price."""
        bucket_ms = self._bucket(max(FEWEST_BUCKETS, self.buckets * 2 // 3))
        return f"""
            SELECT DISTINCT strategy, symbol, direction, side, shadow, p.at_ms AS at_ms, p.price AS price FROM (
                SELECT strategy, symbol, direction, side, shadow,
                    unnest([arg_min(p, p.price), arg_max(p, p.price)]) AS p
                FROM (
                    SELECT strategy, symbol, direction, side, shadow,
                        {{'at_ms': epoch_ms(exchange_ts), 'price': price}} AS p,
                        (epoch_ms(exchange_ts) - {self.from_ms}) // {bucket_ms} AS bucket
                    FROM executions WHERE {self.within("exchange_ts")} AND exec_type = 'Trade'{self.own})
                GROUP BY strategy, symbol, direction, side, shadow, bucket)
            ORDER BY ALL"""

    def ladders(self) -> str:
        """The newest ladder of each bucket, and the one that was there when the span began."""
        bucket_ms = self._bucket(max(FEWEST_BUCKETS, self.buckets // 2))
        columns = "strategy, symbol, epoch_ms(local_ts) AS at_ms, anchor, levels"
        return f"""
            SELECT * FROM (
                SELECT {columns} FROM grid_snapshots WHERE {self.account} AND local_ts < {self.start}{self.own}
                QUALIFY row_number() OVER (PARTITION BY strategy ORDER BY seq DESC) = 1)
            UNION ALL
            SELECT * FROM (
                SELECT {columns} FROM grid_snapshots WHERE {self.within("local_ts")}{self.own}
                QUALIFY row_number() OVER (
                    PARTITION BY strategy, (epoch_ms(local_ts) - {self.from_ms}) // {bucket_ms} ORDER BY seq DESC) = 1)
            ORDER BY strategy, at_ms"""

    # -- what happened -----------------------------------------------------------------------------------------------

    def refusals(self) -> str:
        """Orders that were not placed: by our own gate (`ret_code` NULL) and by the exchange, by reason."""
        times = "count(*) AS times, epoch_ms(min(local_ts)) AS first_ms, epoch_ms(max(local_ts)) AS last_ms"
        return f"""
            SELECT strategy, NULL AS ret_code, reason, {times}
            FROM intents WHERE {self.within("local_ts")} AND verdict = 'refused'{self.own} GROUP BY ALL
            UNION ALL
            SELECT strategy, ret_code, reason, {times}
            FROM orders WHERE {self.within("local_ts")} AND state = 'rejected' AND NOT shadow{self.own} GROUP BY ALL
            ORDER BY times DESC, strategy, reason LIMIT {MOST_LISTED}"""

    def halts(self) -> str:
        """Latches, pauses, breakers, cooldowns, bans: how often each was set, and since when it still is."""
        return f"""
            SELECT strategy, kind, count(*) FILTER (is_set) AS times, epoch_ms(min(local_ts)) AS first_ms,
                epoch_ms(max(local_ts)) AS last_ms, arg_max(reason, seq) FILTER (is_set) AS reason,
                arg_max(is_set, seq) AS still
            FROM latches WHERE {self.within("local_ts")} GROUP BY ALL HAVING count(*) FILTER (is_set) > 0
            ORDER BY first_ms, kind, strategy LIMIT {MOST_LISTED}"""

    def alerts(self) -> str:
        return f"""
            SELECT level, key, strategy, count(*) AS times, epoch_ms(min(local_ts)) AS first_ms,
                epoch_ms(max(local_ts)) AS last_ms, arg_max(text, seq) AS text
            FROM alerts WHERE {self.within("local_ts")} AND level IN ('ERROR', 'CRITICAL') GROUP BY ALL
            ORDER BY level, first_ms LIMIT {MOST_LISTED}"""

    def runs(self) -> str:
        """Lives of the worker that touch the span, the oldest first; of one that runs, up to its newest record."""
        return f"""
            SELECT * FROM (
                SELECT run_id, environment, version, epoch_ms(started_at) AS started_ms,
                    epoch_ms(CASE state WHEN 'running' THEN greatest(started_at, updated_at) ELSE ended_at END)
                        AS ended_ms,
                    state, reason, config_hash, config
                FROM runs LEFT JOIN ingest_offsets USING (account)
                WHERE {self.account} AND started_at < {self.end}
                    AND (state = 'running' OR ended_at IS NULL OR ended_at >= {self.start})
                ORDER BY started_at DESC LIMIT {10 * MOST_LISTED})
            ORDER BY started_ms"""

    def stream_gaps(self) -> str:
        length = "date_diff('millisecond', started_at, ended_at)"
        return f"""
            SELECT stream, count(*) AS gaps, CAST(sum({length}) AS BIGINT) AS missing_ms, max({length}) AS longest_ms,
                epoch_ms(arg_max(started_at, {length})) AS longest_from_ms
            FROM stream_gaps WHERE {self.within("started_at")} GROUP BY stream ORDER BY stream"""

    def lost(self) -> str:
        """Records that are not in the file: their numbers, and why. Which times they are of nobody knows."""
        return f"""
            SELECT reason, CAST(sum(to_seq - from_seq + 1) AS BIGINT) AS records
            FROM ingest_gaps WHERE {self.account} GROUP BY reason
            UNION ALL
            SELECT 'fit no table: ' || any_value(error), count(*) FROM ingest_rejects
            WHERE {self.account} HAVING count(*) > 0
            ORDER BY ALL"""

    def adjustments(self) -> str:
        return f"""
            SELECT strategy, symbol, direction, epoch_ms(exchange_ts) AS at_ms, size_before, size, reason
            FROM adjustments WHERE {self.within("exchange_ts")}{self.own} ORDER BY seq LIMIT {MOST_LISTED}"""

    def unusual(self) -> str:
        """Executions that are neither trades nor fundings: liquidation, deleveraging, delivery."""
        return f"""
            SELECT strategy, symbol, direction, epoch_ms(exchange_ts) AS at_ms, exec_type, side, price, qty,
                realised_pnl, shadow
            FROM corrected_executions WHERE {self.within("exchange_ts")} AND exec_type NOT IN ('Trade', 'Funding')
            ORDER BY exchange_ts, seq LIMIT {MOST_LISTED}"""

    def other_coins(self) -> str:
        return f"""
            SELECT fee_currency AS coin, count(*) AS executions FROM executions
            WHERE {self.within("exchange_ts")} AND NOT shadow AND other_fees IS NOT NULL GROUP BY ALL ORDER BY ALL"""
