"""The record types. The database schema, its documentation and the journal's codec derive from them.

Every record of an account gets a `Header` when it is appended. Field types decide the column: `UtcMs` (milliseconds
UTC, the exchange's clock) and `UtcUs` (microseconds UTC, ours) are TIMESTAMPs, `X | None` is nullable, the others are
what they say. The docstring of a class documents its table, the `doc` metadata of a field its column.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from gridbot.commands.command_table import COMMANDS
from gridbot.core.quick_values import quick_value
from gridbot.records.record_fields import Header, Json, UtcMs, UtcUs, col

__all__ = [
    "AdjustmentRecord",
    "AlertRecord",
    "CommandRecord",
    "CorrectionRecord",
    "ExecutionRecord",
    "GridRecord",
    "Header",
    "HealthRecord",
    "IntentRecord",
    "Json",
    "LatchRecord",
    "OrderRecord",
    "PositionRecord",
    "PublicTradeRecord",
    "RawMessageRecord",
    "ReconcileRecord",
    "Record",
    "RunRecord",
    "StreamGapRecord",
    "TickerRecord",
    "UtcMs",
    "UtcUs",
    "WalletRecord",
]


@quick_value(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One row when a worker starts and one when it ends; `runs` shows the newest state of each."""

    TABLE: ClassVar[str] = "run_events"

    event: str = col("start, end, or crashed (written by the next start for a run that never ended).")
    about_run_id: str = col("The run the event is about; differs from run_id only for crashed.")
    environment: str = col("paper, testnet, demo or mainnet.")
    version: str = col("Version of gridbot.")
    config_hash: str = col("SHA-256 of the account's configuration, secrets removed.")
    config: Json = col("The account's configuration, secrets removed.")
    pid: int = col("Process id of the worker.")
    reason: str = col("Why it ended; empty at the start.", default="")
    last_heartbeat: UtcUs | None = col("Last sign of life of a crashed run.", default=None)
    epoch: int | None = col("Which holder of the account the run was, in a fleet of several hosts.", default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class IntentRecord:
    """What a strategy wanted and what the gate answered; also the decisions of shadow strategies."""

    TABLE: ClassVar[str] = "intents"

    strategy: str = col("strat_id of the strategy.")
    symbol: str = col("Symbol, such as BTCUSDT.")
    action: str = col("place or cancel.")
    direction: str = col("long or short.")
    side: str = col("Buy or Sell.")
    price: Decimal = col("Limit price in USDT.")
    qty: Decimal | None = col("Quantity in base coin; empty for a cancel.", default=None)
    reduce_only: bool = col("True for an order that closes.", default=False)
    verdict: str = col("sent, shadow or refused; a cancel also dropped (never rested) or waiting (for a look-up).")
    reason: str = col("Why it was refused, or why it is cancelled.", default="")
    order_link_id: str = col("Wire id given to it; empty when refused.", default="")
    last_price: Decimal | None = col("Last price the decision was made at.", default=None)
    exchange_ts: UtcMs | None = col("Exchange time of the event that caused it.", default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """Each transition of each order."""

    TABLE: ClassVar[str] = "orders"

    strategy: str = col("strat_id; empty for foreign orders.")
    symbol: str = col("Symbol.")
    order_link_id: str = col("Our wire id; empty for foreign orders.")
    order_id: str = col("The exchange's id; empty until known.")
    direction: str = col("long or short.")
    side: str = col("Buy or Sell.")
    price: Decimal = col("Limit price in USDT.")
    qty: Decimal = col("Ordered quantity in base coin.")
    cum_exec_qty: Decimal = col("Executed so far, base coin.")
    reduce_only: bool = col("True for an order that closes.")
    state: str = col("State after the transition.")
    attempt: int = col("Which attempt to send it this is, from 1; 0 when it was not sent by us.", default=0)
    ret_code: int | None = col("retCode of the exchange's answer, when there was one.", default=None)
    reason: str = col("Text of the answer, cancel reason or how we learned of it.", default="")
    shadow: bool = col("True for hypothetical orders of shadow strategies.", default=False)
    exchange_ts: UtcMs | None = col("Exchange time of the update.", default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class ExecutionRecord:
    """One execution, exactly once: trades, and funding, ADL, liquidation and all else as the exchange reports it."""

    TABLE: ClassVar[str] = "executions"

    strategy: str = col("strat_id; empty when no strategy owns the symbol.")
    symbol: str = col("Symbol.")
    exec_id: str = col("The exchange's unique id of the execution.")
    order_id: str = col("The exchange's order id.")
    order_link_id: str = col("Our wire id; empty for foreign orders.")
    direction: str = col("long or short.")
    side: str = col("Buy or Sell.")
    price: Decimal = col("Execution price in USDT.")
    qty: Decimal = col("Quantity in base coin.")
    leaves_qty: Decimal = col("Left on the order after it, base coin.")
    closed_size: Decimal = col("Part of qty that reduced the position.")
    fee: Decimal = col("What it cost in USDT, taxes included; positive paid, negative earned.")
    realised_pnl: Decimal = col("Realised by it in USDT before fees, as known then; later knowledge is in corrections.")
    exec_type: str = col("As the exchange calls it: Trade, Funding, AdlTrade, BustTrade, Delivery, ...")
    is_maker: bool = col("True when it added liquidity.")
    shadow: bool = col("True for hypothetical fills of shadow strategies.", default=False)
    source: str = col("stream, backfill or shadow.", default="stream")
    exchange_ts: UtcMs = col("Execution time on the exchange.")
    exchange_seq: int | None = col("The exchange's sequence number in the symbol; 0 when it gave none.", default=None)
    exchange_pnl: Decimal | None = col("Realised by it as its row states; empty where rows do not.", default=None)
    fee_currency: str | None = col("Coin of the exchange's own fee; empty before version 4: USDT.", default=None)
    taxes: Decimal | None = col("Part of fee that is on top of the exchange's own (GST, VAT), USDT.", default=None)
    other_fees: Json | None = col('What other coins were charged, as {"MNT": "0.5"}; empty: nothing.', default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class CorrectionRecord:
    """What is to be added to the recorded figures of one execution. Executions themselves are never changed."""

    TABLE: ClassVar[str] = "corrections"

    strategy: str = col("strat_id of the execution.")
    symbol: str = col("Symbol of it.")
    direction: str = col("long or short, as of the execution.")
    exec_id: str = col("The execution that is corrected.")
    realised_pnl: Decimal = col("To be added to what it realised, USDT.")
    fee: Decimal = col("To be added to its fee (or to the funding paid), USDT.")
    exec_type: str = col("As of the execution.")
    is_maker: bool = col("As of the execution.")
    shadow: bool = col("As of the execution.", default=False)
    final: bool = col("True when it makes the figures those of the exchange; false when an older execution came late.")
    reason: str = col("Why.")
    exchange_ts: UtcMs = col("Time of the execution on the exchange: the correction counts for that day.")


@quick_value(frozen=True, slots=True, kw_only=True)
class AdjustmentRecord:
    """The exchange's position was believed instead of what our executions add up to."""

    TABLE: ClassVar[str] = "adjustments"

    strategy: str = col("strat_id of the symbol's strategy.")
    symbol: str = col("Symbol.")
    direction: str = col("long or short.")
    size_before: Decimal = col("Size by our executions, base coin.")
    entry_before: Decimal | None = col("Entry by our executions, USDT; empty when unknown.", default=None)
    size: Decimal = col("Size by the exchange, base coin; 0 is flat.")
    entry_price: Decimal | None = col("Average entry by the exchange, USDT.", default=None)
    reason: str = col("Why it was believed.")
    exchange_seq: int = col("Sequence number of the row: executions up to it are in it.")
    exchange_ts: UtcMs = col("Time of the row on the exchange.")


@quick_value(frozen=True, slots=True, kw_only=True)
class PositionRecord:
    """One leg of a symbol after each change of size or entry, and at each position check."""

    TABLE: ClassVar[str] = "position_events"

    strategy: str = col("strat_id of the symbol's strategy.")
    symbol: str = col("Symbol.")
    direction: str = col("long or short.")
    size: Decimal = col("Position size in base coin; 0 is flat.")
    entry_price: Decimal | None = col("Average entry in USDT.", default=None)
    mark_price: Decimal | None = col("Mark price in USDT.", default=None)
    liq_price: Decimal | None = col("Liquidation price in USDT; empty when there is none.", default=None)
    leverage: Decimal | None = col("Leverage set on the symbol.", default=None)
    unrealised_pnl: Decimal | None = col("Unrealised PnL in USDT at the mark price.", default=None)
    multiplier_buy: Decimal = col("Risk multiplier of Buy orders of this leg.", default=Decimal(1))
    multiplier_sell: Decimal = col("Risk multiplier of Sell orders of this leg.", default=Decimal(1))
    rule: str = col("Risk rule in force, such as long_3; empty when none.", default="")
    shadow: bool = col("True for hypothetical positions of shadow strategies.", default=False)
    source: str = col("stream, rest or shadow.", default="stream")
    exchange_ts: UtcMs | None = col("Exchange time of the update.", default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class WalletRecord:
    """The settle coin of the account, after each change."""

    TABLE: ClassVar[str] = "wallets"

    coin: str = col("USDT.")
    wallet_balance: Decimal | None = col("Wallet balance in coin units.", default=None)
    equity: Decimal | None = col("Wallet balance plus unrealised PnL, coin units.", default=None)
    available_balance: Decimal | None = col("Free for new positions, USD.", default=None)
    unrealised_pnl: Decimal | None = col("Unrealised PnL, coin units.", default=None)
    total_initial_margin: Decimal | None = col("Initial margin of the account, USD.", default=None)
    total_maintenance_margin: Decimal | None = col("Maintenance margin of the account, USD.", default=None)
    source: str = col("stream or rest.", default="stream")
    exchange_ts: UtcMs | None = col("Exchange time of the update.", default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class TickerRecord:
    """Market prices as the worker saw them, sampled (see storage.ticker_interval)."""

    TABLE: ClassVar[str] = "tickers"

    symbol: str = col("Symbol.")
    last_price: Decimal = col("Last traded price in USDT.")
    mark_price: Decimal | None = col("Mark price in USDT.", default=None)
    index_price: Decimal | None = col("Index price in USDT.", default=None)
    bid1_price: Decimal | None = col("Best bid in USDT.", default=None)
    ask1_price: Decimal | None = col("Best ask in USDT.", default=None)
    funding_rate: Decimal | None = col("Current funding rate, a fraction.", default=None)
    exchange_ts: UtcMs | None = col("Exchange time of the ticker.", default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class PublicTradeRecord:
    """Each trade of the market in the symbols of the account; kept only with storage.public_trades."""

    TABLE: ClassVar[str] = "public_trades"

    symbol: str = col("Symbol.")
    trade_id: str = col("The exchange's id of the trade.")
    side: str = col("Buy or Sell: who took liquidity.")
    price: Decimal = col("Price in USDT.")
    qty: Decimal = col("Quantity in base coin.")
    exchange_ts: UtcMs = col("Time of the trade on the exchange.")


@quick_value(frozen=True, slots=True, kw_only=True)
class GridRecord:
    """The ladder of a strategy after it changed, the newest at most once a second."""

    TABLE: ClassVar[str] = "grid_snapshots"

    strategy: str = col("strat_id of the strategy.")
    symbol: str = col("Symbol.")
    version: int = col("Counts the changes of this grid; versions between two snapshots were not kept.")
    anchor: Decimal | None = col("Price in USDT that the grid was built around.")
    last_fill: Decimal | None = col("Price in USDT of the fill that moved it last; empty before the first.")
    levels: Json = col("The ladder from the lowest price up: [[price, Buy | Sell | Wait], ...], prices as text.")
    exchange_ts: UtcMs | None = col("Exchange time of the event that changed it.", default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class ReconcileRecord:
    """One comparison with the exchange: at start, after a reconnect, each minute, or after a contradiction."""

    TABLE: ClassVar[str] = "reconciles"

    reason: str = col("Why it was made: start, periodic, or the contradiction.")
    ok: bool = col("False when the exchange could not be read; then nothing was compared.")
    executions: int = col("Executions that had been missed and were applied.", default=0)
    adopted: int = col("Orders of ours that rested there and were unknown here.", default=0)
    looked_up: int = col("Orders that were known here and not listed there.", default=0)
    foreign_orders: int = col("Orders that are not ours; left alone.", default=0)
    took_ms: int = col("How long it took, milliseconds.")
    error: str = col("What the exchange answered when it could not be read.", default="")


@quick_value(frozen=True, slots=True, kw_only=True)
class LatchRecord:
    """A trading halt was set or released: a latch, a pause, a breaker, a cooldown, a ban."""

    TABLE: ClassVar[str] = "latches"

    strategy: str = col("strat_id; empty when it applies to the whole account.")
    kind: str = col(
        "latched, session_loss, cap_latch, only_reduces, halted, paused, reducing, breaker, auth_cooldown or ip_ban."
    )
    level: str = col("For a breaker the level, such as long Buy 60000.1; empty otherwise.", default="")
    is_set: bool = col("True when it was set, false when it was released.")
    reason: str = col("Why it was set.", default="")
    until: UtcUs | None = col("When it is released by itself; empty when an operator has to do it.", default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """What an operator should know, as it was told: an incident begins, gets worse, ends. A repetition is no row."""

    TABLE: ClassVar[str] = "alerts"

    strategy: str = col("strat_id; empty when it concerns the account or the machine.", default="")
    level: str = col("INFO (an end), WARNING, ERROR or CRITICAL.")
    key: str = col("What it is about, for grouping.")
    text: str = col("The alert.")
    phase: str | None = col("begun, worse or ended; empty in rows of earlier versions.", default=None)
    began_at: UtcUs | None = col("When the incident began: the same in all its rows.", default=None)
    count: int | None = col("How often it has come so far.", default=None)


@quick_value(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """A command of an operator and its result."""

    TABLE: ClassVar[str] = "commands"

    strategy: str = col("strat_id it was meant for; empty for all.", default="")
    name: str = col(f"{', '.join(command.name for command in COMMANDS)}.")
    args: Json = col("Its arguments.", default=Json("{}"))
    ok: bool = col("Whether it was carried out.")
    result: str = col("What was done, or why not.")
    who: str | None = col(
        "Who gave it: USER@HOST, or the name of a remote operator; NULL for a signal and in rows of earlier versions.",
        default=None,
    )


@quick_value(frozen=True, slots=True, kw_only=True)
class HealthRecord:
    """Health of a worker, and of the fleet as the supervisor sees it; one row each storage.health_interval."""

    TABLE: ClassVar[str] = "health_samples"

    state: str = col("starting, trading or stopping; running for the supervisor.")
    health: str = col("healthy, degraded, auth_cooldown or circuit_open.")
    freshness: str = col("active, stale or offline: the age of the newest price.")
    reasons: str = col("Why it is not healthy; several are separated by semicolons.", default="")
    rss: int = col("Memory of the process, bytes.")
    loop_lag_us: int = col("How late its event loop was, microseconds.")
    tick_age_ms: int | None = col("Age of the newest price, milliseconds.", default=None)
    private_age_ms: int | None = col("Since the last sign of life of the private stream, milliseconds.", default=None)
    reconcile_age_ms: int | None = col("Since the last complete comparison, milliseconds.", default=None)
    reconnects: int = col("Reconnects of the streams since the start of the run.")
    open_orders: int = col("Orders of all its strategies, shadow ones included.")
    unstored: int = col("Records that were not known to be in the database.")
    queue_dropped: int = col("Batches that did not fit the record queue since the start; read from the journal.")


@quick_value(frozen=True, slots=True, kw_only=True)
class StreamGapRecord:
    """A time in which a stream was not connected; what happened meanwhile was asked for by REST."""

    TABLE: ClassVar[str] = "stream_gaps"

    stream: str = col("public or private.")
    started_at: UtcUs = col("Last sign of life before it.")
    ended_at: UtcUs = col("When the stream was connected again.")


@quick_value(frozen=True, slots=True, kw_only=True)
class RawMessageRecord:
    """Messages as the exchange sent them, to check how they were read: executions, and orders it ended by itself."""

    TABLE: ClassVar[str] = "raw_messages"

    strategy: str = col("strat_id; empty when no strategy owns the symbol.")
    symbol: str = col("Symbol.")
    topic: str = col("execution or order.")
    ref_id: str = col("exec_id of the execution, order_id of the order.")
    payload: Json = col("The row as it came, from stream or REST.")
    exchange_ts: UtcMs | None = col("Time in it.", default=None)


Record = (
    RunRecord
    | IntentRecord
    | OrderRecord
    | ExecutionRecord
    | CorrectionRecord
    | AdjustmentRecord
    | PositionRecord
    | WalletRecord
    | TickerRecord
    | PublicTradeRecord
    | GridRecord
    | ReconcileRecord
    | LatchRecord
    | AlertRecord
    | CommandRecord
    | HealthRecord
    | StreamGapRecord
    | RawMessageRecord
)
