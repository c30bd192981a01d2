"""What the gate should answer, written the slow and plain way: whole lists, no sums kept, nothing of `gridbot.risk`.

Refusals, holds and producers are texts here. Times in seconds, money in USDT.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

__all__ = ["Model", "ModelOrder", "ModelStrategy"]

D = Decimal
LONG, SHORT = "long", "short"


@dataclass
class ModelOrder:
    """`is_over` on the exchange; `is_gone` when its executions are in as well."""

    leg: str
    side: str
    ticks: int
    qty: Decimal
    closes: bool
    is_over: bool = False
    is_gone: bool = False

    @property
    def price(self) -> Decimal:
        return self.ticks * D("0.1")


@dataclass
class ModelStrategy:
    """`caps` by name; money caps as (number, whether of the wallet)."""

    name: str
    caps: dict[str, Any]
    holds: dict[str, str] = field(default_factory=lambda: {"not_ready": "the start is not complete"})
    price: Decimal | None = None
    price_s: float = 0.0
    sizes: dict[str, Decimal] = field(default_factory=lambda: {LONG: D(0), SHORT: D(0)})
    leverage: dict[str, Decimal | None] = field(default_factory=lambda: {LONG: None, SHORT: None})
    unsure: set[str] = field(default_factory=set)
    orders: list[ModelOrder] = field(default_factory=list)
    attempts: list[float] = field(default_factory=list)

    def open_orders(self) -> list[ModelOrder]:
        return [order for order in self.orders if not order.is_over]

    def opens(self, leg: str) -> Decimal:
        mine = [order for order in self.open_orders() if order.leg == leg and not order.closes]
        return sum((order.qty * order.price for order in mine), D(0))

    def worth(self) -> Decimal:
        price = self.price or D(0)
        return sum((self.sizes[leg] * price + self.opens(leg) for leg in (LONG, SHORT)), D(0))


@dataclass
class Model:
    """The account."""

    cap: Decimal
    strategies: dict[str, ModelStrategy]
    holds: dict[str, str] = field(default_factory=dict)
    wallet: tuple[int, Decimal, Decimal | None] | None = None
    """Exchange time, balance, available."""
    wallet_s: float = 0.0
    promised: list[Decimal] = field(default_factory=list)
    probe_s: float | None = None
    key_failures: int = 0
    cooling_until: float = -1.0
    refusals: dict[tuple[str, str, str, int], list[float]] = field(default_factory=dict)
    open_until: dict[tuple[str, str, str, int], float] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)
    brake: str = ""
    """What caps stop: "opens" or "all"."""
    share: Decimal | None = None

    # ------------------------------------------------------------------ events

    def see_wallet(self, ts: int, balance: Decimal, available: Decimal | None, now: float) -> None:
        if self.wallet is None or ts >= self.wallet[0]:
            self.wallet, self.wallet_s, self.promised = (ts, balance, available), now, []

    def fail_key(self, now: float) -> bool:
        if now < self.cooling_until:
            return False
        self.key_failures += 1
        if self.key_failures < 5:
            return False
        self.key_failures, self.cooling_until = 0, now + 1800
        return True

    def accept_key(self) -> None:
        self.key_failures, self.cooling_until = 0, -1.0

    def refuse(self, name: str, order: ModelOrder, now: float) -> bool:
        level = (name, order.leg, order.side, order.ticks)
        if now < self.open_until.get(level, -1.0):
            return False
        self.refusals.setdefault(level, []).append(now)
        if len([at for at in self.refusals[level] if now - at <= 60]) < 3:
            return False
        self.open_until[level], self.refusals[level] = now + 60, []
        return True

    # ------------------------------------------------------------------ the question

    def ask(self, name: str, order: ModelOrder, now: float, who: str) -> str | None:
        """The first reason against it, or None; then it counts."""
        strategy = self.strategies[name]
        reason = next(self._reasons(strategy, order, now, who), None)
        if reason is not None:
            return reason
        strategy.attempts.append(now)
        if who == "strategy" and not order.closes:
            if self._fresh(now) is None:
                self.probe_s = now
            self.promised.append(self._need(strategy, order))
        return None

    def _reasons(self, strategy: ModelStrategy, order: ModelOrder, now: float, who: str) -> Iterator[str]:
        if who != "close":
            for hold in ("stopping", "not_ready", "session_loss_limit", "halted", "paused"):
                if hold in self.holds or hold in strategy.holds:
                    yield hold
            if now < self.cooling_until:
                yield "auth_cooldown"
            if strategy.price is None or now - strategy.price_s > 30:
                yield "stale_price"
            if self.brake == "all":
                yield "cap_latch"
            if self.brake == "opens" and not order.closes:
                yield "only_reduces"
            if who == "strategy" and any(
                other.leg == order.leg and other.ticks == order.ticks and not other.is_gone for other in strategy.orders
            ):
                yield "level_taken"
            if now < self.open_until.get((strategy.name, order.leg, order.side, order.ticks), -1.0):
                yield "breaker_open"
        if order.qty == 0:
            yield "not_covered" if order.closes else "too_small"
        if order.closes:
            if order.leg in strategy.unsure:
                yield "position_unsure"
            beside = [o.qty for o in strategy.open_orders() if o.leg == order.leg and o.closes and o is not order]
            if sum(beside, order.qty) > strategy.sizes[order.leg]:
                yield "not_covered"
        if who == "strategy":
            yield from self._caps(strategy, order, now)

    def _caps(self, strategy: ModelStrategy, order: ModelOrder, now: float) -> Iterator[str]:
        name, caps, notional = strategy.name, strategy.caps, order.qty * order.price
        balance = self.wallet[1] if self.wallet else D(0)
        if self._above(f"{name}.max_open_orders", D(len(strategy.open_orders()) + 1), caps.get("max_open_orders")):
            yield "max_open_orders"
        recent = [at for at in strategy.attempts if now - at < 60]
        per_minute = caps.get("max_orders_per_minute")
        used = D(min(len(recent), per_minute or 0) + 1)
        if self._above(f"{name}.max_orders_per_minute", used, per_minute):
            yield "max_orders_per_minute"
        if order.closes:
            return
        if caps.get("max_margin") is not None:
            leg = strategy.sizes[order.leg] * (strategy.price or order.price) + strategy.opens(order.leg) + notional
            if balance <= 0 or self._above(f"{name}.max_margin.{order.leg}", leg / balance, caps["max_margin"]):
                yield "max_margin"
        if self._above(f"{name}.max_notional", strategy.worth() + notional, caps.get("max_notional")):
            yield "max_notional"
        total = sum((other.worth() for other in self.strategies.values()), notional)
        if self._above("account.max_notional", total, self.cap):
            yield "account_max_notional"
        if self.share is not None and total > self.share:
            yield "fleet_max_notional"
        available, need = self._fresh(now), self._need(strategy, order)
        if available is None:
            if self.probe_s is not None and now - self.probe_s < 5:
                yield "insufficient_balance"
        elif sum(self.promised, need) > available:
            yield "insufficient_balance"

    def _above(self, key: str, value: Decimal, limit: Any) -> bool:
        if limit is None:
            return False
        if value >= limit * D("0.8"):
            self.warned.add(key)
        else:
            self.warned.discard(key)
        return bool(value > limit)

    def _need(self, strategy: ModelStrategy, order: ModelOrder) -> Decimal:
        value = order.qty * order.price
        margin = value / (strategy.leverage[order.leg] or 1)
        bankrupt = value - margin if order.leg == LONG else value + margin
        return (margin + (value + bankrupt) * D("0.00055")) * D("1.05")

    def _fresh(self, now: float) -> Decimal | None:
        if self.wallet is None or now - self.wallet_s > 45:
            return None
        return self.wallet[2]
