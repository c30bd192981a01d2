"""What every strategy shares. Pure: no I/O, no clock and no randomness in this package.

Basic terms (`vocabulary`), events (`events`), intents (`intents`), the trading rules of a symbol (`instrument`),
quantities (`sizing`), the risk rules that scale them (`risk_rules`, `position`), and money (`pnl`, `margin`,
`execution_ledger`). The invariants are in `docs/core.md`.
"""

from gridbot.core.events import (
    Event,
    ExecType,
    ExecutionEvent,
    OrderStatus,
    OrderUpdateEvent,
    PositionEvent,
    TickerEvent,
    WalletEvent,
)
from gridbot.core.instrument import Instrument, RiskTier
from gridbot.core.intents import CancelIntent, Intent, LimitOrder, LimitOrders, PlaceLimitIntent
from gridbot.core.margin import (
    LegMargin,
    MarginBalance,
    check_tiers,
    fee_to_close,
    initial_margin,
    liquidation_prices,
    maintenance_margin,
    margin_percent,
    order_cost,
    order_margin,
    pair_margins,
    reserve_fee,
    tier_for,
)
from gridbot.core.pnl import GridTrade, GridTrades, price_gain, roe_percent, unrealised_pnl
from gridbot.core.position import Position
from gridbot.core.risk_rules import (
    LegState,
    Multipliers,
    RiskConfig,
    RiskInputs,
    imbalance_multiplier,
    is_low_balance,
    risk_multipliers,
)
from gridbot.core.sizing import AmountKind, AmountRule, closable, quantity_for
from gridbot.core.vocabulary import Direction, Side

__all__ = [
    "AmountKind",
    "AmountRule",
    "CancelIntent",
    "Direction",
    "Event",
    "ExecType",
    "ExecutionEvent",
    "GridTrade",
    "GridTrades",
    "Instrument",
    "Intent",
    "LegMargin",
    "LegState",
    "LimitOrder",
    "LimitOrders",
    "MarginBalance",
    "Multipliers",
    "OrderStatus",
    "OrderUpdateEvent",
    "PlaceLimitIntent",
    "Position",
    "PositionEvent",
    "RiskConfig",
    "RiskInputs",
    "RiskTier",
    "Side",
    "TickerEvent",
    "WalletEvent",
    "check_tiers",
    "closable",
    "fee_to_close",
    "imbalance_multiplier",
    "initial_margin",
    "is_low_balance",
    "liquidation_prices",
    "maintenance_margin",
    "margin_percent",
    "order_cost",
    "order_margin",
    "pair_margins",
    "price_gain",
    "quantity_for",
    "reserve_fee",
    "risk_multipliers",
    "roe_percent",
    "tier_for",
    "unrealised_pnl",
]
