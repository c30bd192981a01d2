"""SQL of what happened in a span beside trades. Pure."""

from __future__ import annotations

from typing import Final

from gridbot.report.span_sql import Span

__all__ = ["adjustments", "alerts", "halts", "lost", "other_coins", "refusals", "runs", "stream_gaps", "unusual"]

MOST_LISTED: Final = 100
"""Rows of what a page lists one by one."""


def refusals(span: Span) -> str:
    """Orders that were not placed: by our own gate (`ret_code` NULL) and by the exchange, by reason."""
    times = "count(*) AS times, epoch_ms(min(local_ts)) AS first_ms, epoch_ms(max(local_ts)) AS last_ms"
    return f"""
        SELECT strategy, NULL AS ret_code, reason, {times}
        FROM intents WHERE {span.within("local_ts")} AND verdict = 'refused'{span.own} GROUP BY ALL
        UNION ALL
        SELECT strategy, ret_code, reason, {times}
        FROM orders WHERE {span.within("local_ts")} AND state = 'rejected' AND NOT shadow{span.own} GROUP BY ALL
        ORDER BY times DESC, strategy, reason LIMIT {MOST_LISTED}"""


def halts(span: Span) -> str:
    """Latches, pauses, breakers, cooldowns, bans: how often each was set, since when, and whether it is at the end.

    One that was set before the span and still was at its beginning counts, from then on; a worker that starts records
    anew what still stands.
    """
    starts = f"FROM run_events WHERE {span.account} AND event = 'start' AND local_ts <= {span.start}"
    return f"""
        WITH own AS (
            SELECT *, local_ts < {span.start} AS earlier FROM latches
            WHERE {span.account} AND local_ts < {span.end}{span.own_or_whole}),
        found AS (
            FROM own WHERE NOT earlier
            UNION ALL
            FROM (FROM own WHERE earlier AND run_id = (SELECT arg_max(run_id, seq) {starts})
                QUALIFY row_number() OVER (PARTITION BY strategy, kind, level ORDER BY seq DESC) = 1)
            WHERE is_set AND coalesce(until > {span.start}, true)),
        levels AS (
            SELECT strategy, kind, level, count(*) FILTER (is_set) AS times, min(local_ts) AS first_ts,
                max(local_ts) AS last_ts, arg_max(reason, seq) FILTER (is_set) AS reason,
                max(seq) FILTER (is_set) AS set_seq,
                arg_max(is_set AND coalesce(until >= {span.end}, true), seq) AS still
            FROM found GROUP BY ALL)
        SELECT strategy, kind, CAST(sum(times) AS BIGINT) AS times, epoch_ms(min(first_ts)) AS first_ms,
            epoch_ms(max(last_ts)) AS last_ms, arg_max(reason, set_seq) AS reason, bool_or(still) AS still
        FROM levels GROUP BY ALL HAVING sum(times) > 0
        ORDER BY first_ms, kind, strategy LIMIT {MOST_LISTED}"""


def alerts(span: Span) -> str:
    return f"""
        SELECT level, key, strategy, count(*) AS times, epoch_ms(min(local_ts)) AS first_ms,
            epoch_ms(max(local_ts)) AS last_ms, arg_max(text, seq) AS text
        FROM alerts WHERE {span.within("local_ts")} AND level IN ('ERROR', 'CRITICAL'){span.own_or_whole} GROUP BY ALL
        ORDER BY level, first_ms LIMIT {MOST_LISTED}"""


def runs(span: Span) -> str:
    """Lives of the worker that touch the span, the oldest first; of one that runs, up to its newest record."""
    return f"""
        SELECT * FROM (
            SELECT run_id, environment, version, epoch_ms(started_at) AS started_ms,
                epoch_ms(CASE state WHEN 'running' THEN greatest(started_at, updated_at) ELSE ended_at END)
                    AS ended_ms,
                state, reason, config_hash, config,
                started_at = (SELECT min(started_at) FROM runs WHERE {span.account}) AS is_first
            FROM runs LEFT JOIN ingest_offsets USING (account)
            WHERE {span.account} AND started_at < {span.end}
                AND (state = 'running' OR ended_at IS NULL OR ended_at >= {span.start})
            ORDER BY started_at DESC LIMIT {10 * MOST_LISTED})
        ORDER BY started_ms"""


def stream_gaps(span: Span) -> str:
    """Times in which a stream was not connected, as far as they lie in the span."""
    return f"""
        SELECT stream, count(*) AS gaps, CAST(sum(length) AS BIGINT) AS missing_ms, max(length) AS longest_ms,
            epoch_ms(arg_max(since, length)) AS longest_from_ms
        FROM (
            SELECT stream, greatest(started_at, {span.start}) AS since,
                date_diff('millisecond', since, least(ended_at, {span.end})) AS length
            FROM stream_gaps WHERE {span.account} AND started_at < {span.end} AND ended_at > {span.start})
        GROUP BY stream ORDER BY stream"""


def lost(span: Span) -> str:
    """Records that are not in the file: their numbers, and why. Which times they are of nobody knows."""
    return f"""
        SELECT reason, CAST(sum(to_seq - from_seq + 1) AS BIGINT) AS records
        FROM ingest_gaps WHERE {span.account} GROUP BY reason
        UNION ALL
        SELECT 'fit no table: ' || any_value(error), count(*) FROM ingest_rejects
        WHERE {span.account} HAVING count(*) > 0
        ORDER BY ALL"""


def adjustments(span: Span) -> str:
    return f"""
        SELECT strategy, symbol, direction, epoch_ms(exchange_ts) AS at_ms, size_before, size, reason
        FROM adjustments WHERE {span.within("exchange_ts")}{span.own} ORDER BY seq LIMIT {MOST_LISTED}"""


def unusual(span: Span) -> str:
    """Executions that are neither trades nor fundings: liquidation, deleveraging, delivery."""
    return f"""
        SELECT strategy, symbol, direction, epoch_ms(exchange_ts) AS at_ms, exec_type, side, price, qty,
            realised_pnl, shadow
        FROM corrected_executions WHERE {span.within("exchange_ts")} AND exec_type NOT IN ('Trade', 'Funding')
        ORDER BY exchange_ts, seq LIMIT {MOST_LISTED}"""


def other_coins(span: Span) -> str:
    return f"""
        SELECT fee_currency AS coin, count(*) AS executions FROM executions
        WHERE {span.within("exchange_ts")} AND NOT shadow AND other_fees IS NOT NULL GROUP BY ALL ORDER BY ALL"""
