"""What the records say of a strategy at a time of the past: what held it, what was refused, what had happened before.

Everything is as of `at`: nothing that came later counts, also when it ended something. All questions are answered on
the same state of the records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.pseudo_account import is_supervisor_sql
from gridbot.store.schema import quote

__all__ = ["BEFORE", "Answers", "moment_of", "questions"]

BEFORE: Final = timedelta(minutes=10)
"""How long before the time what had happened is told."""
SOON: Final = timedelta(minutes=1)
MOST: Final = 50
Answers = Mapping[str, Sequence[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class _Times:
    at: str
    before: str
    after: str


def _times(at: datetime) -> _Times:
    def text(moment: datetime) -> str:
        return f"TIMESTAMP {quote(moment.replace(tzinfo=None).isoformat(sep=' '))}"

    return _Times(text(at), text(at - BEFORE), text(at + SOON))


def questions(account: str, strategy: str, at: datetime) -> dict[str, str]:
    """Statements by the name of what they ask; `at` is UTC. `strategy` is one of the account's."""
    t, who, mine = _times(at), f"account = {quote(account)}", f"strategy = {quote(strategy)}"
    run = f"""(SELECT arg_max(about_run_id, seq) FROM run_events
        WHERE {who} AND event = 'start' AND local_ts <= {t.at})"""
    supervisor = is_supervisor_sql()
    # Each host's supervisor has numbers of its own.
    supervisors = f"""(SELECT (account, arg_max(about_run_id, seq)) FROM run_events
        WHERE {supervisor} AND event = 'start' AND local_ts <= {t.at} GROUP BY account)"""
    window = f"local_ts BETWEEN {t.before} AND {t.at}"
    return {
        "run": f"""
            SELECT run_id, environment, version, started_at, ended_at, state, reason, config FROM runs
            WHERE {who} AND run_id = {run}""",
        "next_run": f"""
            SELECT run_id, started_at FROM runs WHERE {who} AND started_at > {t.at} ORDER BY started_at LIMIT 1""",
        "restarts": f"""
            SELECT local_ts, event, reason, last_heartbeat FROM run_events
            WHERE {who} AND local_ts BETWEEN {t.before} AND {t.after} ORDER BY seq LIMIT {MOST}""",
        "holds": f"""
            SELECT strategy, kind, level, reason, local_ts AS since, until FROM (
                SELECT * FROM latches WHERE {who} AND strategy IN ('', {quote(strategy)}) AND run_id = {run}
                    AND local_ts <= {t.at}
                QUALIFY row_number() OVER (PARTITION BY strategy, kind, level ORDER BY seq DESC) = 1)
            WHERE is_set AND (until IS NULL OR until > {t.at}) ORDER BY since LIMIT {MOST}""",
        "refused": f"""
            SELECT direction, side, price, arg_max(reason, seq) AS reason, max(local_ts) AS since FROM intents
            WHERE {who} AND {mine} AND run_id = {run} AND action = 'place' AND local_ts <= {t.at}
            GROUP BY ALL HAVING arg_max(verdict, seq) = 'refused' ORDER BY direction, price LIMIT 1000""",
        "rejected": f"""
            SELECT ret_code, reason, count(*) AS times, max(local_ts) AS last_at, min(price) AS low, max(price) AS high
            FROM orders WHERE {who} AND {mine} AND state = 'rejected' AND {window}
            GROUP BY ALL ORDER BY times DESC LIMIT {MOST}""",
        "incidents": f"""
            SELECT account, strategy, level, text, began_at, count FROM (
                SELECT * FROM alerts
                WHERE local_ts <= {t.at} AND coalesce(began_at, local_ts) > {t.at} - INTERVAL 7 DAY AND (
                    ({who} AND strategy IN ('', {quote(strategy)}) AND run_id = {run})
                    OR ({supervisor} AND (account, run_id) IN {supervisors}
                        AND (key = {quote(f"worker-{account}")} OR NOT starts_with(key, 'worker-'))))
                QUALIFY row_number() OVER (PARTITION BY account, strategy, key, began_at ORDER BY seq DESC) = 1)
            WHERE phase <> 'ended' ORDER BY began_at LIMIT {MOST}""",
        "commands": f"""
            SELECT local_ts, account, strategy, name, args, ok, result, who FROM commands
            WHERE local_ts BETWEEN {t.before} AND {t.after} AND ({who} OR {supervisor})
            ORDER BY local_ts LIMIT {MOST}""",
        "comparisons": f"""
            SELECT local_ts, reason, error FROM reconciles
            WHERE {who} AND NOT ok AND {window} ORDER BY seq LIMIT {MOST}""",
        "gaps": f"""
            SELECT stream, started_at, ended_at FROM stream_gaps
            WHERE {who} AND started_at <= {t.after} AND ended_at >= {t.before} ORDER BY seq LIMIT {MOST}""",
        "orders": f"""
            SELECT direction, side, reduce_only, state, count(*) AS orders, min(price) AS low, max(price) AS high
            FROM (SELECT * FROM orders WHERE {who} AND {mine} AND run_id = {run} AND local_ts <= {t.at}
                QUALIFY row_number() OVER (
                    PARTITION BY coalesce(nullif(order_link_id, ''), order_id) ORDER BY seq DESC) = 1)
            WHERE state NOT IN ('filled', 'cancelled', 'rejected') GROUP BY ALL ORDER BY ALL""",
        "legs": f"""
            SELECT direction, size, entry_price, mark_price, liq_price, unrealised_pnl, rule, local_ts
            FROM position_events WHERE {who} AND {mine} AND local_ts <= {t.at}
            QUALIFY row_number() OVER (PARTITION BY direction ORDER BY seq DESC) = 1 ORDER BY direction""",
        "wallet": f"""
            SELECT wallet_balance, equity, available_balance, local_ts FROM wallets
            WHERE {who} AND local_ts <= {t.at} ORDER BY seq DESC LIMIT 1""",
        "health": f"""
            SELECT state, health, freshness, reasons, tick_age_ms, local_ts FROM health_samples
            WHERE {who} AND local_ts <= {t.at} ORDER BY seq DESC LIMIT 1""",
        "grid": f"""
            SELECT levels, local_ts FROM grid_snapshots
            WHERE {who} AND {mine} AND local_ts <= {t.at} ORDER BY seq DESC LIMIT 1""",
        "prices": f"""
            SELECT symbol, arg_max(last_price, seq) AS last_price, max(local_ts) AS local_ts,
                min(last_price) AS low, max(last_price) AS high, count(*) AS samples
            FROM tickers WHERE {who} AND {window} GROUP BY symbol""",
        "fills": f"""
            SELECT count(*) AS fills, max(local_ts) AS last_at FROM executions
            WHERE {who} AND {mine} AND exec_type = 'Trade' AND {window}""",
    }


def moment_of(account: str, strategy: str, at: datetime, answers: Answers) -> dict[str, Any]:
    """The answers as one document: refusals of levels that the ladder no longer had are left out."""
    found: dict[str, Any] = {"account": account, "strategy": strategy, "at": at, **answers}
    for name in ("run", "next_run", "wallet", "health"):
        found[name] = next(iter(answers[name]), None)
    symbol = _symbol(found["run"], strategy)
    found["symbol"] = symbol
    found["prices"] = next((row for row in answers["prices"] if row["symbol"] == symbol), None)
    found["fills"] = answers["fills"][0]
    levels = _levels(answers["grid"])
    del found["grid"]
    found["levels"] = None if levels is None else len(levels)
    if levels is not None:
        found["refused"] = [row for row in answers["refused"] if row["price"] in levels]
    return found


def _symbol(run: Mapping[str, Any] | None, strategy: str) -> str:
    try:
        config = read_json(run["config"]) if run is not None else {}
        return next((str(s["symbol"]) for s in config.get("strategies", ()) if s["strat_id"] == strategy), "")
    except (JsonMistake, AttributeError, KeyError, TypeError):
        return ""


def _levels(rows: Sequence[Mapping[str, Any]]) -> set[Decimal] | None:
    try:
        return {Decimal(price) for price, _ in read_json(rows[0]["levels"])} if rows else None
    except (JsonMistake, ArithmeticError, TypeError, ValueError):
        return None
