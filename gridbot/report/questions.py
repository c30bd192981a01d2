"""The SQL of a report, as texts: who asks them opens the records (`supervisor.store.query`). Pure.

Times in the answers are ms UTC; each question has the name of the field of `facts.Facts` that its rows are.
"""

from __future__ import annotations

from typing import Final

from gridbot.doors.pseudo_account import is_supervisor_sql
from gridbot.report import event_questions, money_questions, position_questions
from gridbot.report.report_span import Asked
from gridbot.report.span_sql import Span, literal

__all__ = ["ACCOUNTS", "BACKTEST_ROW", "HAS_BACKTESTS", "questions", "strategies_of"]

ACCOUNTS: Final = f"""
    SELECT account, epoch_ms(min(begun)) AS first_ms, epoch_ms(max(ended)) AS last_ms
    FROM (
        SELECT account, min(local_ts) AS begun, max(local_ts) AS ended FROM run_events GROUP BY account
        UNION ALL SELECT account, min(local_ts), max(local_ts) FROM executions GROUP BY account
        UNION ALL SELECT account, min(local_ts), max(local_ts) FROM wallets GROUP BY account)
    WHERE NOT {is_supervisor_sql()} GROUP BY account ORDER BY account"""

HAS_BACKTESTS: Final = "SELECT 1 FROM duckdb_tables() WHERE table_name = 'backtests'"

BACKTEST_ROW: Final = "SELECT * FROM backtests LIMIT 1"


def strategies_of(account: str) -> str:
    """Strategies of an account that traded, held or watched something, shadow ones too."""
    tables = ("daily_sums", "latest_positions", "grid_snapshots")
    each = " UNION ".join(f"SELECT strategy FROM {table} WHERE account = {literal(account)}" for table in tables)
    return f"SELECT DISTINCT strategy FROM ({each}) WHERE strategy <> '' ORDER BY strategy"


def questions(asked: Asked, strategies: int) -> dict[str, str]:
    """A statement for each field of `facts.Facts`. `strategies`: how many the curves of the page belong to."""
    span = Span(asked, strategies)
    return {
        "balances": money_questions.balances(span),
        "wallet_curve": money_questions.wallet_curve(span),
        "hours_of_equity": money_questions.hours_of_equity(span),
        "money": money_questions.money(span),
        "money_outside": money_questions.money_outside(span),
        "hours_of_money": money_questions.hours_of_money(span),
        "pairs": money_questions.pairs(span, shadow=False),
        "shadow_pairs": money_questions.pairs(span, shadow=True),
        "legs": position_questions.legs(span),
        "leg_curves": position_questions.leg_curves(span),
        "price_curves": position_questions.price_curves(span),
        "price_ends": position_questions.price_ends(span),
        "price_gaps": position_questions.price_gaps(span),
        "fills": position_questions.fills(span),
        "ladders": position_questions.ladders(span),
        "refusals": event_questions.refusals(span),
        "halts": event_questions.halts(span),
        "alerts": event_questions.alerts(span),
        "runs": event_questions.runs(span),
        "stream_gaps": event_questions.stream_gaps(span),
        "lost": event_questions.lost(span),
        "adjustments": event_questions.adjustments(span),
        "unusual": event_questions.unusual(span),
        "other_coins": event_questions.other_coins(span),
    }
