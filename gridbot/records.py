"""What is persisted, as types. The database schema, its documentation and the journal's codec derive from these.

Every record of an account gets a `Header` when it is appended: a gapless number, the run, and the local time. Field
types decide the column: `Decimal` is DECIMAL, `UtcMs` (milliseconds UTC, the exchange's clock) and `UtcUs`
(microseconds UTC, ours) are TIMESTAMPs, `Json` is a JSON document, `str`, `int`, `bool` what they are, `X | None`
is nullable. The docstring of a class documents its table, the `doc` metadata of a field its column.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, NewType

__all__ = [
    "ExecutionRecord",
    "Header",
    "IntentRecord",
    "Json",
    "OrderRecord",
    "PositionRecord",
    "Record",
    "RunRecord",
    "TickerRecord",
    "UtcMs",
    "UtcUs",
    "WalletRecord",
]

UtcMs = NewType("UtcMs", int)
UtcUs = NewType("UtcUs", int)
Json = NewType("Json", str)


def col(doc: str, **kwargs: Any) -> Any:
    """Dataclass field with the sentence that documents its column."""
    return field(metadata={"doc": doc}, **kwargs)


@dataclass(frozen=True, slots=True)
class Header:
    """Columns that every table starts with."""

    account: str = col("Account name from the configuration.")
    run_id: str = col("Run that wrote the row: one life of one worker process.")
    seq: int = col("Number of the record within the account; without gaps.")
    local_ts: UtcUs = col("When the worker recorded it, UTC, its own clock.")


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    verdict: str = col("sent, shadow, or refused.")
    reason: str = col("Why it was refused, or why it is cancelled.", default="")
    order_link_id: str = col("Wire id given to it; empty when refused.", default="")
    last_price: Decimal | None = col("Last price the decision was made at.", default=None)
    exchange_ts: UtcMs | None = col("Exchange time of the event that caused it.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRecord:
    """One execution, exactly once: trades, and funding, ADL and liquidation as the exchange reports them."""

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
    fee: Decimal = col("Fee in USDT; positive paid, negative earned.")
    realised_pnl: Decimal = col("Realised by this execution in USDT, before fees, at average entry.")
    exec_type: str = col("Trade, Funding, AdlTrade, BustTrade, ...")
    is_maker: bool = col("True when it added liquidity.")
    shadow: bool = col("True for hypothetical fills of shadow strategies.", default=False)
    source: str = col("stream, backfill or shadow.", default="stream")
    exchange_ts: UtcMs = col("Execution time on the exchange.")


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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


Record = RunRecord | IntentRecord | OrderRecord | ExecutionRecord | PositionRecord | WalletRecord | TickerRecord
