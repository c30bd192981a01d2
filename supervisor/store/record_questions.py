"""What people otherwise type as SQL: profit, positions, orders, fills, alerts. Statements only; nothing is asked here.

Every row has a column `money`, which says whose money it is about: `real` (mainnet), `testnet`, `demo`, `paper`, or
`shadow`. An account may have traded in several places under one name, so the run of each row says which it was. No sum
is ever over two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gridbot.commands.targets import Addressed
from gridbot.doors.pseudo_account import is_supervisor_sql
from gridbot.store.schema import quote
from supervisor.store.recorded_fleet import where_addressed

__all__ = [
    "BY",
    "MONEY",
    "Asked",
    "alerts",
    "fills",
    "fills_after",
    "grid_profit",
    "newest_fills",
    "open_orders",
    "open_pnl",
    "order_history",
    "positions",
    "profit",
]

MONEY: Final = ("real", "demo", "testnet", "paper", "shadow", "unknown")
"""Each kind of money, in the order in which they are shown."""
BY: Final[Mapping[str, tuple[str, ...]]] = {
    "strategy": ("account", "strategy", "symbol"),
    "account": ("account",),
    "symbol": ("symbol",),
    "day": ("day",),
}
_MONEY: Final = """CASE WHEN shadow THEN 'shadow' WHEN environment = 'mainnet' THEN 'real'
    ELSE coalesce(environment, 'unknown') END AS money"""
_PLACES: Final = """
    places AS (SELECT account, about_run_id AS run_id, max(environment) AS environment
        FROM run_events WHERE event = 'start' GROUP BY ALL)"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about: None is everything. Times are UTC; `until` is not part of the span any more."""

    addressed: tuple[Addressed, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self, time: str | None = None, prefix: str = "") -> str:
        """A condition on the columns account and strategy, and on the column `time`."""
        parts = [where_addressed(self.addressed, account=f"{prefix}account", strategy=f"{prefix}strategy")]
        if time is not None:
            parts += [f"{time} >= {_moment(self.since)}"] if self.since is not None else []
            parts += [f"{time} < {_moment(self.until)}"] if self.until is not None else []
        return " AND ".join(parts)

    @property
    def has_whole_days(self) -> bool:
        """Whether the sums of whole UTC days answer it."""
        return all(each is None or not (each.hour or each.minute or each.second) for each in (self.since, self.until))


def profit(asked: Asked, by: str) -> str:
    """Fills, volume, what was realised before fees, fees, funding (positive: paid) and the net of them.

    Of accounts that have been in one place only, from the sums that the writer keeps; of others from their executions.
    """
    keys = ", ".join(BY[by])
    few = "kinds.places = 1" if asked.has_whole_days else "false"
    return f"""
        WITH {_PLACES},
        kinds AS (SELECT account, min(environment) AS environment, count(DISTINCT environment) AS places
            FROM places GROUP BY account),
        moves AS (
            SELECT day, sums.account, strategy, symbol, shadow, exec_type, executions, volume, realised_pnl, fee,
                environment
            FROM daily_sums AS sums JOIN kinds USING (account) WHERE {few} AND {asked.where("day", "sums.")}
            UNION ALL BY NAME
            SELECT CAST(exchange_ts AS DATE) AS day, done.account, strategy, symbol, shadow, exec_type, 1 AS executions,
                TRY_CAST(TRY(price * qty) AS DECIMAL(38, 18)) AS volume, realised_pnl, fee, places.environment
            FROM corrected_executions AS done LEFT JOIN places USING (account, run_id) LEFT JOIN kinds USING (account)
            WHERE NOT coalesce({few}, false) AND {asked.where("exchange_ts", "done.")})
        SELECT {keys}, {_MONEY},
            CAST(coalesce(sum(executions) FILTER (exec_type = 'Trade'), 0) AS BIGINT) AS fills,
            coalesce(sum(volume) FILTER (exec_type = 'Trade'), 0) AS volume,
            sum(realised_pnl) AS realised,
            coalesce(sum(fee) FILTER (exec_type <> 'Funding'), 0) AS fees,
            coalesce(sum(fee) FILTER (exec_type = 'Funding'), 0) AS funding,
            sum(realised_pnl) - sum(fee) AS net
        FROM moves GROUP BY ALL ORDER BY ALL"""


def grid_profit(asked: Asked, by: str, *more: str) -> str:
    """What matched pairs of the grid made before fees, at the time of the close; `more` are further keys of a row."""
    found = (*BY[by], *more)
    keys = ", ".join("CAST(closed_at AS DATE) AS day" if key == "day" else f"pairs.{key}" for key in found)
    accounts = _accounts(asked.addressed)
    pairs = " UNION ALL ".join(
        f"(SELECT *, {is_shadow} AS shadow FROM {name} WHERE true{accounts})"
        for is_shadow, name in (("false", "grid_trades"), ("true", "shadow_grid_trades"))
    )
    return f"""
        WITH {_PLACES},
        closes AS (SELECT account, exec_id, any_value(run_id) AS run_id FROM executions
            WHERE closed_size > 0 AND exec_type = 'Trade' GROUP BY ALL)
        SELECT {keys}, {_MONEY}, sum(profit) AS grid_profit, count(*) AS pairs
        FROM ({pairs}) AS pairs
        LEFT JOIN closes ON closes.account = pairs.account AND closes.exec_id = pairs.close_exec_id
        LEFT JOIN places ON places.account = pairs.account AND places.run_id = closes.run_id
        WHERE {asked.where("closed_at", "pairs.")} GROUP BY ALL"""


def open_pnl(asked: Asked, by: str) -> str:
    """What the open legs would bring at their last recorded mark price; not by day, which a leg does not have."""
    keys = ", ".join(f"legs.{key}" for key in BY[by])
    return f"""
        WITH {_PLACES}
        SELECT {keys}, {_MONEY}, sum(unrealised_pnl) AS unrealised, min(legs.local_ts) AS as_of
        FROM latest_positions AS legs LEFT JOIN places USING (account, run_id)
        WHERE size > 0 AND {asked.where(prefix="legs.")} GROUP BY ALL"""


def positions(asked: Asked, *, flat: bool = False) -> str:
    """The newest state of each leg; `liq_distance` in percent of the mark price, below 0 beyond it."""
    size = "true" if flat else "size > 0"
    return f"""
        WITH {_PLACES}
        SELECT {_MONEY}, legs.account, strategy, symbol, direction, size, entry_price, mark_price, liq_price,
            CAST(round(100 * (mark_price - liq_price) * if(direction = 'long', 1, -1) / mark_price, 2)
                AS DECIMAL(9, 2)) AS liq_distance, leverage,
            CAST(size * coalesce(mark_price, entry_price) AS DECIMAL(38, 4)) AS value, unrealised_pnl AS unrealised,
            rule, legs.local_ts AS as_of
        FROM latest_positions AS legs LEFT JOIN places USING (account, run_id)
        WHERE {size} AND {asked.where(prefix="legs.")} ORDER BY money, legs.account, strategy, symbol, direction"""


def open_orders(asked: Asked) -> str:
    """The orders that rest, or may rest, by the records."""
    return f"""
        WITH {_PLACES}
        SELECT {_MONEY}, open.account, strategy, symbol, direction, side, price, qty, cum_exec_qty AS filled,
            CAST(price * (qty - cum_exec_qty) AS DECIMAL(38, 4)) AS value, state, reduce_only, order_link_id,
            open.local_ts AS since
        FROM live_orders AS open LEFT JOIN places USING (account, run_id)
        WHERE {asked.where(prefix="open.")} ORDER BY money, open.account, strategy, direction, price DESC"""


def order_history(asked: Asked, lines: int) -> str:
    """The newest state of each order that changed in the span, the newest ones, the oldest of them first."""
    return f"""
        WITH {_PLACES},
        newest AS (
            SELECT * FROM orders WHERE {asked.where("local_ts")}
            QUALIFY row_number() OVER (
                PARTITION BY account, coalesce(nullif(order_link_id, ''), order_id) ORDER BY seq DESC) = 1
            ORDER BY local_ts DESC, seq DESC LIMIT {lines})
        SELECT newest.local_ts AS changed, {_MONEY}, newest.account, strategy, symbol, direction, side, price, qty,
            cum_exec_qty AS filled, state, ret_code, reason, attempt, order_link_id
        FROM newest LEFT JOIN places USING (account, run_id) ORDER BY changed, newest.account, seq"""


_FILL: Final = """
    done.exchange_ts, {money}, done.account, strategy, symbol, direction, side, price, qty,
    TRY_CAST(TRY(price * qty) AS DECIMAL(38, 4)) AS value, fee, realised_pnl AS realised,
    is_maker AS maker, exec_id, done.seq"""


def fills(asked: Asked, lines: int) -> str:
    """The newest trades of the span, the oldest of them first."""
    return f"""
        WITH {_PLACES},
        done AS (
            SELECT * FROM corrected_executions WHERE exec_type = 'Trade' AND {asked.where("exchange_ts")}
            ORDER BY exchange_ts DESC, account, seq DESC LIMIT {lines})
        SELECT {_FILL.format(money=_MONEY)} FROM done LEFT JOIN places USING (account, run_id)
        ORDER BY done.exchange_ts, done.account, done.seq"""


def newest_fills() -> str:
    """Of each account the number of its newest execution: where following begins."""
    return "SELECT account, max(seq) AS seq FROM executions GROUP BY account"


def fills_after(asked: Asked, seen: Mapping[str, int]) -> str:
    """Trades that were stored since: those with a higher number than the account's in `seen`, in the order of storing.

    Rows of an account are stored in the order of their numbers, each once, so none is missed and none comes twice.
    """
    known = " OR ".join(f"(account = {quote(name)} AND seq > {int(seq)})" for name, seq in seen.items())
    others = f"account NOT IN ({', '.join(map(quote, seen))})" if seen else "true"
    return f"""
        WITH {_PLACES},
        done AS (SELECT * FROM corrected_executions
            WHERE exec_type = 'Trade' AND ({known or "false"} OR {others}) AND {asked.where()})
        SELECT {_FILL.format(money=_MONEY)} FROM done LEFT JOIN places USING (account, run_id)
        ORDER BY done.local_ts, done.account, done.seq"""


def alerts(asked: Asked, lines: int) -> str:
    """What was told in the span, the newest, the oldest of them first; those of the supervisor for every account."""
    mine = asked.where("local_ts")
    own = f"({is_supervisor_sql()} AND {Asked(None, asked.since, asked.until).where('local_ts')})"
    return f"""
        SELECT * FROM (
            SELECT local_ts, account, strategy, level, phase, key, text, began_at, count FROM alerts
            WHERE ({mine}) OR {own} ORDER BY local_ts DESC, account, seq DESC LIMIT {lines})
        ORDER BY local_ts, account"""


def _accounts(addressed: Iterable[Addressed] | None) -> str:
    if addressed is None:
        return ""
    names = dict.fromkeys(each.account for each in addressed)
    return f" AND account IN ({', '.join(map(quote, names))})"


def _moment(moment: datetime | None) -> str:
    plain = "" if moment is None else moment.replace(tzinfo=None).isoformat(sep=" ")
    return f"TIMESTAMP {quote(plain)}"
