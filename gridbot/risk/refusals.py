"""Why the gate refuses an order, and where an order may come from."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["PRICE_BLIND", "Producer", "Refusal"]


class Refusal(StrEnum):
    """The first reason why an order may not be sent."""

    STOPPING = "stopping"
    NOT_READY = "not_ready"
    LATCHED = "latched"
    PAUSED = "paused"
    REDUCING = "reducing"
    HALTED = "halted"
    AUTH_COOLDOWN = "auth_cooldown"
    STALE_PRICE = "stale_price"
    CAP_LATCH = "cap_latch"
    ONLY_REDUCES = "only_reduces"
    NOT_TRADING = "not_trading"
    REDUCE_ONLY = "reduce_only"
    LEVEL_TAKEN = "level_taken"
    PRICE_BAND = "outside_price_band"
    BREAKER_OPEN = "breaker_open"
    TOO_SMALL = "too_small"
    NOT_COVERED = "not_covered"
    POSITION_UNSURE = "position_unsure"
    MAX_OPEN_ORDERS = "max_open_orders"
    MAX_ORDERS_PER_MINUTE = "max_orders_per_minute"
    MAX_NOTIONAL = "max_notional"
    ACCOUNT_MAX_NOTIONAL = "account_max_notional"
    FLEET_MAX_NOTIONAL = "fleet_max_notional"
    MAX_MARGIN = "max_margin"
    FUNDS = "insufficient_balance"
    LOSS_LIMIT = "session_loss_limit"
    NO_NUMBER = "no_order_number"


class Producer(StrEnum):
    """Where an order comes from. A RETRY has its level and its funds already; an operator's CLOSE may only reduce."""

    STRATEGY = "strategy"
    RETRY = "retry"
    CLOSE = "close"


PRICE_BLIND = frozenset(
    {Refusal.LEVEL_TAKEN, Refusal.TOO_SMALL, Refusal.NOT_COVERED, Refusal.MAX_OPEN_ORDERS, Refusal.MAX_MARGIN}
)
"""Refusals that neither time nor price can lift, only a change of the book, a position or the wallet."""
