"""SQL of positions, prices, fills and ladders over a span. Pure."""

from __future__ import annotations

from typing import Final

from gridbot.report.span_sql import AT, FEWEST_BUCKETS, Span

__all__ = ["GAP_S", "fills", "ladders", "leg_curves", "legs", "price_curves", "price_ends", "price_gaps"]

GAP_S: Final = 180
"""Prices that are apart by more, and by three times their usual distance, have a gap between them."""


def legs(span: Span) -> str:
    """Each leg as it was when the span began (`place` before), and when it ended.

    By our clock: the exchange's time of a leg that is read again is that of its last change, not of its mark.
    """
    columns = """strategy, symbol, direction, shadow, size, entry_price, mark_price, liq_price, unrealised_pnl"""
    newest = "QUALIFY row_number() OVER (PARTITION BY symbol, direction, shadow ORDER BY seq DESC) = 1"
    found = f"FROM position_events WHERE {span.account}"
    return f"""
        SELECT * FROM (SELECT 'before' AS place, {columns} {found} AND local_ts < {span.start} {newest})
        UNION ALL
        SELECT * FROM (SELECT 'last', {columns} {found} AND local_ts < {span.end} {newest})
        ORDER BY ALL"""


def leg_curves(span: Span) -> str:
    rows = f"""
        SELECT seq, epoch_ms(local_ts) AS at_ms, strategy, symbol, direction, shadow, size, entry_price, mark_price,
            liq_price, CASE WHEN size > 0 AND mark_price > 0 AND liq_price > 0
                THEN (mark_price - liq_price) * if(direction = 'long', 1, -1) / mark_price END AS distance
        FROM position_events WHERE {span.within("local_ts")}{span.own}"""
    return span.thinned(
        rows,
        "size, entry_price, mark_price, liq_price, distance",
        ("size", "distance"),
        "strategy, symbol, direction, shadow",
    )


def price_curves(span: Span) -> str:
    rows = f"""
        SELECT seq, epoch_ms({AT}) AS at_ms, symbol, last_price, mark_price
        FROM tickers WHERE {span.within()}"""
    return span.thinned(rows, "last_price, mark_price", ("last_price",), "symbol")


def price_ends(span: Span) -> str:
    """First and last prices; the mark prices are those of the first and the last balance, as near as they are."""
    until = f"(SELECT max({AT}) FROM wallets WHERE {span.within()} AND coin = 'USDT' AND equity IS NOT NULL)"
    return f"""
        SELECT symbol, count(*) AS rows, count(mark_price) AS marks, epoch_ms(min({AT})) AS first_ms,
            epoch_ms(max({AT})) AS last_ms, arg_min(last_price, seq) AS first_price,
            arg_max(last_price, seq) AS last_price,
            arg_min(mark_price, seq) AS first_mark, arg_max(mark_price, seq) FILTER ({AT} <= {until}) AS last_mark
        FROM tickers WHERE {span.within()} GROUP BY symbol ORDER BY symbol"""


def price_gaps(span: Span) -> str:
    """Times without prices, between minutes that have one: sorting each of a year's prices would take gigabytes."""
    return f"""
        WITH minutes AS (
            SELECT symbol, epoch_ms(min({AT})) AS first_ms, epoch_ms(max({AT})) AS last_ms,
                count(*) AS prices
            FROM tickers WHERE {span.within()} GROUP BY symbol, epoch_ms({AT}) // 60000),
        steps AS (
            SELECT symbol, prices, first_ms AS to_ms,
                lag(last_ms) OVER (PARTITION BY symbol ORDER BY first_ms) AS from_ms
            FROM minutes),
        usual AS (
            SELECT symbol, CASE WHEN max(prices) > 1 THEN 60000 ELSE median(to_ms - from_ms) END AS step_ms
            FROM steps GROUP BY symbol),
        gaps AS (
            SELECT * FROM steps JOIN usual USING (symbol)
            WHERE to_ms - from_ms > greatest({GAP_S * 1000}, 3 * step_ms))
        SELECT symbol, count(*) AS gaps, CAST(sum(to_ms - from_ms) AS BIGINT) AS missing_ms,
            max(to_ms - from_ms) AS longest_ms, arg_max(from_ms, to_ms - from_ms) AS longest_from_ms
        FROM gaps GROUP BY symbol ORDER BY symbol"""


def fills(span: Span) -> str:
    """Of each bucket and side the fills with the lowest and the highest price."""
    bucket_ms = span.bucket(max(FEWEST_BUCKETS, span.buckets * 2 // 3))
    return f"""
        SELECT DISTINCT strategy, symbol, direction, side, shadow, p.at_ms AS at_ms, p.price AS price FROM (
            SELECT strategy, symbol, direction, side, shadow,
                unnest([arg_min(p, p.price), arg_max(p, p.price)]) AS p
            FROM (
                SELECT strategy, symbol, direction, side, shadow,
                    {{'at_ms': epoch_ms(exchange_ts), 'price': price}} AS p,
                    (epoch_ms(exchange_ts) - {span.from_ms}) // {bucket_ms} AS bucket
                FROM executions WHERE {span.within("exchange_ts")} AND exec_type = 'Trade'{span.own})
            GROUP BY strategy, symbol, direction, side, shadow, bucket)
        ORDER BY ALL"""


def ladders(span: Span) -> str:
    """The newest ladder of each bucket, and the one that was there when the span began."""
    bucket_ms = span.bucket(max(FEWEST_BUCKETS, span.buckets // 2))
    columns = "strategy, symbol, epoch_ms(local_ts) AS at_ms, anchor, levels"
    return f"""
        SELECT * FROM (
            SELECT {columns} FROM grid_snapshots WHERE {span.account} AND local_ts < {span.start}{span.own}
            QUALIFY row_number() OVER (PARTITION BY strategy ORDER BY seq DESC) = 1)
        UNION ALL
        SELECT * FROM (
            SELECT {columns} FROM grid_snapshots WHERE {span.within("local_ts")}{span.own}
            QUALIFY row_number() OVER (
                PARTITION BY strategy, (epoch_ms(local_ts) - {span.from_ms}) // {bucket_ms} ORDER BY seq DESC) = 1)
        ORDER BY strategy, at_ms"""
