"""The public face of the database: views people think in. `docs/sql-cookbook.md` shows each with an example.

Amounts are USDT unless a column says otherwise; shadow strategies have views of their own and appear in no other.
Within an account `seq` orders everything, so "newest" means highest `seq`. Users' tools may be as old as DuckDB 1.4,
the format of the file: only functions that it has, and no IF(), which 2.0 stores in a way that older ones do not know.
"""

from __future__ import annotations

from typing import Final

from gridbot.doors.pseudo_account import is_supervisor_sql
from gridbot.store.grid_tables import GRID_VIEWS
from gridbot.store.view_type import View

__all__ = ["VIEWS"]


_FILL_COLUMNS: Final = """
    account, strategy, symbol, direction, side, price, qty, TRY(price * qty) AS value, fee,
    realised_pnl, closed_size, is_maker, exchange_ts, order_link_id, order_id, exec_id, source, local_ts, run_id, seq"""

_POSITION_COLUMNS: Final = """
    account, strategy, symbol, direction, size, entry_price, mark_price, liq_price, leverage, unrealised_pnl, rule,
    multiplier_buy, multiplier_sell, exchange_ts, local_ts, run_id, seq"""

_PNL: Final = """
    CAST(coalesce(sum(executions) FILTER (exec_type = 'Trade'), 0) AS BIGINT) AS fills,
    CAST(coalesce(sum(volume) FILTER (exec_type = 'Trade'), 0) AS DECIMAL(38, 12)) AS volume,
    sum(realised_pnl) AS realised_pnl,
    coalesce(sum(fee) FILTER (exec_type <> 'Funding'), 0) AS fees,
    coalesce(sum(fee) FILTER (exec_type = 'Funding'), 0) AS funding,
    sum(realised_pnl) - sum(fee) AS net_pnl"""

_FITS: Final = "abs(realised_pnl) < 1e20 AND abs(fee) < 1e20"
"""Amounts that a market has: others would overflow as they are added up, and one such row end every question.
`daily_sums` leaves them out too."""


def _fills(shadow: str) -> str:
    return f"SELECT {_FILL_COLUMNS} FROM corrected_executions WHERE exec_type = 'Trade' AND {shadow}"


def _positions(shadow: str) -> str:
    return f"SELECT {_POSITION_COLUMNS} FROM latest_positions WHERE {shadow}"


VIEWS: Final = (
    View(
        "runs",
        "One row per life of a worker: when it started, how and when it ended. state is running, ended or crashed; a "
        "run whose process was killed stays running until the account's next start closes it.",
        """
        SELECT account, about_run_id AS run_id, max(environment) AS environment, max(version) AS version,
            min(local_ts) FILTER (event = 'start') AS started_at,
            CASE arg_max(event, seq) WHEN 'start' THEN 'running' WHEN 'end' THEN 'ended'
                ELSE arg_max(event, seq) END AS state,
            max(CASE event WHEN 'end' THEN local_ts WHEN 'crashed' THEN coalesce(last_heartbeat, local_ts) END)
                AS ended_at,
            arg_max(reason, seq) AS reason, arg_min(pid, seq) AS pid, arg_min(config_hash, seq) AS config_hash,
            arg_min(config, seq) AS config
        FROM run_events GROUP BY account, about_run_id""",
    ),
    View(
        "corrected_executions",
        "Executions of every kind with what they realised and cost as known now: as recorded, plus their corrections.",
        """
        SELECT executions.* REPLACE (
            coalesce(TRY(executions.realised_pnl + added.realised_pnl), executions.realised_pnl) AS realised_pnl,
            coalesce(TRY(executions.fee + added.fee), executions.fee) AS fee)
        FROM executions LEFT JOIN (
            SELECT account, exec_id, sum(realised_pnl) FILTER (abs(realised_pnl) < 1e20) AS realised_pnl,
                sum(fee) FILTER (abs(fee) < 1e20) AS fee
            FROM corrections GROUP BY ALL) AS added USING (account, exec_id)""",
    ),
    View("fills", "Trades of real orders, one row per execution, each exactly once.", _fills("NOT shadow")),
    View("shadow_fills", "Hypothetical trades of shadow strategies.", _fills("shadow")),
    View("positions", "Newest state of each account, symbol and direction.", _positions("NOT shadow")),
    View("shadow_positions", "Newest hypothetical positions of shadow strategies.", _positions("shadow")),
    View(
        "open_orders",
        "Orders whose newest state is not final, by account and order.",
        """
        SELECT account, strategy, symbol, direction, side, price, qty, cum_exec_qty, reduce_only, state, order_link_id,
            order_id, attempt, exchange_ts, local_ts, run_id, seq
        FROM live_orders""",
    ),
    View(
        "pnl_by_strategy",
        "Per account, strategy and symbol: fills, volume, realised before fees, fees, funding and what is left. "
        "Funding is positive when paid.",
        f"SELECT account, strategy, symbol, {_PNL} FROM daily_sums WHERE NOT shadow GROUP BY ALL",
    ),
    View(
        "pnl_daily",
        "The same per UTC day of the execution.",
        f"SELECT day, account, strategy, symbol, {_PNL} FROM daily_sums WHERE NOT shadow GROUP BY ALL",
    ),
    View(
        "equity",
        "The account's money over time, one row per wallet change, with the fall from the highest equity so far.",
        """
        SELECT account, coalesce(exchange_ts, local_ts) AS ts, coin, wallet_balance, equity, unrealised_pnl,
            available_balance, total_initial_margin, total_maintenance_margin,
            max(equity) OVER (PARTITION BY account, coin ORDER BY seq) - equity AS drawdown, seq
        FROM wallets WHERE equity IS NOT NULL""",
    ),
    View(
        "ledger",
        "Wallet rows beside what our executions say the balance must be: the first balance plus realised PnL minus "
        "fees and funding since. difference is 0 but for the exchange's rounding; a row whose executions are still on "
        "their way may show one for a moment, deposits and withdrawals show for good.",
        f"""
        WITH balances AS (
            SELECT account, coin, seq, local_ts, coalesce(exchange_ts, local_ts) AS ts, wallet_balance,
                first_value(wallet_balance) OVER first_row AS first_balance,
                first_value(coalesce(exchange_ts, local_ts)) OVER first_row AS first_ts
            FROM wallets WHERE wallet_balance IS NOT NULL
            WINDOW first_row AS (PARTITION BY account, coin ORDER BY seq)),
        sums AS (
            SELECT account, exchange_ts, sum(realised_pnl - fee) OVER (PARTITION BY account ORDER BY exchange_ts) AS net
            FROM corrected_executions WHERE NOT shadow AND {_FITS}),
        newest AS (SELECT DISTINCT account, exchange_ts, net FROM sums)
        SELECT balances.account, coin, ts, wallet_balance,
            first_balance + coalesce(upto.net, 0) - coalesce(before.net, 0) AS expected,
            wallet_balance - first_balance - coalesce(upto.net, 0) + coalesce(before.net, 0) AS difference, seq
        FROM balances
        ASOF LEFT JOIN newest AS upto ON balances.account = upto.account AND upto.exchange_ts <= balances.ts
        ASOF LEFT JOIN newest AS before ON balances.account = before.account AND before.exchange_ts <= first_ts""",
    ),
    View(
        "fees",
        "Trading fees per UTC day, maker and taker apart; fee_bps is fees over volume in hundredths of a percent.",
        """
        SELECT day, account, strategy, symbol, CAST(sum(executions) AS BIGINT) AS fills,
            CAST(coalesce(sum(executions) FILTER (is_maker), 0) AS BIGINT) AS maker_fills,
            CAST(sum(volume) AS DECIMAL(38, 12)) AS volume,
            coalesce(sum(fee) FILTER (is_maker), 0) AS maker_fees,
            coalesce(sum(fee) FILTER (NOT is_maker), 0) AS taker_fees, sum(fee) AS fees,
            CASE WHEN sum(volume) > 0 THEN round(sum(fee) / sum(volume) * 10000, 3) END AS fee_bps
        FROM daily_sums WHERE exec_type = 'Trade' AND NOT shadow GROUP BY ALL""",
    ),
    View(
        "fees_by_currency",
        "What executions of every kind but funding cost per UTC day and coin, taxes (GST, VAT) included and apart. "
        "Other coins than USDT take nothing from the USDT balance, and are in no other figure.",
        f"""
        SELECT CAST(exchange_ts AS DATE) AS day, account, strategy, symbol, currency, count(*) AS executions,
            sum(fee) AS fees, sum(taxes) AS taxes
        FROM (
            SELECT account, strategy, symbol, exchange_ts, 'USDT' AS currency, fee, coalesce(taxes, 0) AS taxes
            FROM corrected_executions WHERE exec_type <> 'Funding' AND NOT shadow AND {_FITS}
                AND (fee <> 0 OR other_fees IS NULL)
            UNION ALL
            SELECT account, strategy, symbol, exchange_ts, charged.key, TRY_CAST(charged.value AS DECIMAL(38, 12)), 0
            FROM (
                SELECT account, strategy, symbol, exchange_ts,
                    unnest(map_entries(TRY_CAST(other_fees AS MAP(VARCHAR, VARCHAR)))) AS charged
                FROM executions WHERE other_fees IS NOT NULL AND NOT shadow)
            WHERE coalesce(abs(TRY_CAST(charged.value AS DECIMAL(38, 12))) < 1e20, false))
        GROUP BY ALL""",
    ),
    View(
        "funding",
        "Funding payments; paid is positive when the account paid.",
        """
        SELECT account, strategy, symbol, direction, exchange_ts, qty AS position_size, price AS mark_price,
            fee AS paid, exec_id, seq
        FROM corrected_executions WHERE exec_type = 'Funding' AND NOT shadow""",
    ),
    View(
        "rejections",
        "What was not placed and why: refused by our own gate, or rejected by the exchange; counted by reason.",
        """
        SELECT account, strategy, symbol, 'gate' AS refused_by, NULL AS ret_code, reason, count(*) AS times,
            min(local_ts) AS first_at, max(local_ts) AS last_at
        FROM intents WHERE verdict = 'refused' GROUP BY ALL
        UNION ALL
        SELECT account, strategy, symbol, 'exchange', ret_code, reason, count(*), min(local_ts), max(local_ts)
        FROM orders WHERE state = 'rejected' AND NOT shadow GROUP BY ALL""",
    ),
    View(
        "holds",
        "What holds orders back now, as of each account's newest run: latches, pauses, breakers, cooldowns, bans.",
        """
        SELECT account, strategy, kind, level, reason, local_ts AS since, until
        FROM (
            SELECT * FROM latches
            SEMI JOIN (SELECT account, arg_max(run_id, seq) AS run_id FROM run_events WHERE event = 'start'
                GROUP BY account) AS newest USING (account, run_id)
            QUALIFY row_number() OVER (PARTITION BY account, strategy, kind, level ORDER BY seq DESC) = 1)
        WHERE is_set""",
    ),
    View(
        "latency",
        "One row per order of ours: when it was decided, first known to be open, and filled, on our clock; "
        "to_open_ms is the round trip to the exchange.",
        """
        SELECT account, strategy, symbol, order_link_id, min(decided_at) AS decided_at, min(open_at) AS open_at,
            min(filled_at) AS filled_at, date_diff('microsecond', min(decided_at), min(open_at)) / 1000 AS to_open_ms,
            max(attempts) AS attempts
        FROM (
            SELECT account, strategy, symbol, order_link_id, local_ts AS decided_at, NULL AS open_at,
                NULL AS filled_at, NULL AS attempts
            FROM intents WHERE action = 'place' AND verdict = 'sent' AND order_link_id <> ''
            UNION ALL
            SELECT account, strategy, symbol, order_link_id, NULL, CASE WHEN state = 'open' THEN local_ts END,
                CASE WHEN state = 'filled' THEN local_ts END, attempt
            FROM orders WHERE NOT shadow AND order_link_id <> '')
        GROUP BY ALL HAVING min(decided_at) IS NOT NULL""",
    ),
    View(
        "uptime",
        "Per account: how long its workers ran, how often they crashed, and the share of time since its first start.",
        """
        SELECT account, count(*) AS runs, count(*) FILTER (state = 'crashed') AS crashes,
            min(started_at) AS first_start, max(up_until) AS last_sign,
            sum(date_diff('second', started_at, up_until)) AS up_seconds,
            round(100 * sum(date_diff('microsecond', started_at, up_until))
                / greatest(1, date_diff('microsecond', min(started_at), max(up_until))), 2) AS up_percent
        FROM (
            SELECT runs.*, CASE state WHEN 'running' THEN greatest(started_at, updated_at) ELSE ended_at END AS up_until
            FROM runs LEFT JOIN ingest_offsets USING (account) WHERE started_at IS NOT NULL)
        GROUP BY account""",
    ),
    View(
        "operator_commands",
        "The commands of operators: who gave each, for what (ACCOUNT, ACCOUNT/STRATEGY, a process, an alert; all when "
        "empty), and what came of it. Also what was refused, and what its operator did not confirm.",
        f"""
        SELECT local_ts, who, name,
            CASE WHEN NOT {is_supervisor_sql()}
                THEN account || CASE strategy WHEN '' THEN '' ELSE '/' || strategy END
                ELSE coalesce((args ->> '$.account') || coalesce('/' || (args ->> '$.args.strategy'), ''),
                    args ->> '$.child', args ->> '$.targets', args ->> '$.alert', args ->> '$.what', '') END AS target,
            ok, result, args, account, run_id, seq
        FROM commands""",
    ),
    *GRID_VIEWS,
    View(
        "statement",
        "Per strategy what the account's money is made of, USDT: realised (of which matched in the grid), fees, "
        "funding, what is left of them, and what the open positions would bring at the mark price.",
        """
        SELECT account, strategy, symbol, realised_pnl, coalesce(grid_profit, 0) AS grid_profit, fees, funding, net_pnl,
            coalesce(open_pnl, 0) AS unrealised_pnl, net_pnl + coalesce(open_pnl, 0) AS total_pnl
        FROM pnl_by_strategy
        LEFT JOIN (SELECT account, strategy, symbol, sum(profit) AS grid_profit FROM grid_levels GROUP BY ALL)
            USING (account, strategy, symbol)
        LEFT JOIN (SELECT account, strategy, symbol, sum(unrealised_pnl) AS open_pnl FROM positions GROUP BY ALL)
            USING (account, strategy, symbol)""",
    ),
    View(
        "shadow_vs_live",
        "Per UTC day and symbol: what live strategies did beside what shadow strategies would have done.",
        """
        SELECT day, symbol, CAST(coalesce(sum(executions) FILTER (NOT shadow), 0) AS BIGINT) AS live_fills,
            CAST(coalesce(sum(executions) FILTER (shadow), 0) AS BIGINT) AS shadow_fills,
            coalesce(sum(realised_pnl - fee) FILTER (NOT shadow), 0) AS live_net_pnl,
            coalesce(sum(realised_pnl - fee) FILTER (shadow), 0) AS shadow_net_pnl
        FROM daily_sums WHERE exec_type = 'Trade' GROUP BY ALL""",
    ),
)
