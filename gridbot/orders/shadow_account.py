"""What the account would show if the orders, legs and results of its shadow strategies were real. Pure.

A live strategy's orders lock margin and its fills change the wallet, and so the next sizes of all strategies of the
account. The exchange's wallet knows nothing of shadow strategies, so theirs is put on top of it here, by the exchange's
own arithmetic (`core.margin`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal

from gridbot.core import Direction, Instrument, PositionEvent, WalletEvent
from gridbot.core.margin import order_cost, pair_liquidation, pair_margins
from gridbot.core.pnl import unrealised_pnl
from gridbot.core.risk_rules import LegState
from gridbot.orders.order import TrackedOrder

__all__ = ["MAKER_FEE", "TAKER_FEE", "ShadowAccount", "ShadowPair", "ShadowTerms"]

ZERO = Decimal(0)
ONE = Decimal(1)
UNIT = Decimal("1e-8")
"""What the exchange rounds average prices to, in USDT."""
MAKER_FEE = Decimal("0.0002")
TAKER_FEE = Decimal("0.00055")


@dataclass(frozen=True, slots=True)
class ShadowTerms:
    """What the real account has for a symbol: its leverage, and its fees as fractions of the traded value."""

    leverage: Decimal = ONE
    maker_fee: Decimal = MAKER_FEE
    taker_fee: Decimal = TAKER_FEE


@dataclass(slots=True)
class ShadowPair:
    """Both legs of a symbol in hedge mode, and its resting orders by key. `mark` is the market's newest mark price."""

    instrument: Instrument
    terms: ShadowTerms
    mark: Decimal | None = None
    resting: dict[str, TrackedOrder] = field(default_factory=dict)
    legs: dict[Direction, LegState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for direction in Direction:
            self.set_leg(direction, ZERO, None)

    def set_leg(self, direction: Direction, size: Decimal, entry: Decimal | None) -> None:
        """Base coin, USDT per coin."""
        self.legs[direction] = LegState(size, entry if size else None, None, self.terms.leverage)

    def fill(self, direction: Direction, qty: Decimal, price: Decimal, *, closes: bool) -> Decimal:
        """An order was executed; returns what was realised (USDT, before fees). A close never exceeds its leg."""
        leg = self.legs[direction]
        entry = leg.entry_price or price
        if closes:
            self.set_leg(direction, leg.size - qty, entry)
            return unrealised_pnl(direction, entry, price, qty)
        average = (entry * leg.size + price * qty) / (leg.size + qty)
        self.set_leg(direction, leg.size + qty, average.quantize(UNIT, ROUND_HALF_EVEN))
        return ZERO

    def unrealised(self, direction: Direction) -> Decimal:
        """USDT at the mark price; 0 for a flat leg, or while there is no price."""
        leg = self.legs[direction]
        if not leg.size or leg.entry_price is None or self.mark is None:
            return ZERO
        return unrealised_pnl(direction, leg.entry_price, self.mark, leg.size)

    def locked(self) -> Decimal:
        """Initial margin (USDT) of both legs and of the resting orders that open."""
        terms = self.terms
        return self._margin() + sum(
            (
                order_cost(order.direction, order.qty * order.price, terms.leverage, terms.taker_fee)
                for order in self.resting.values()
                if not order.reduce_only
            ),
            ZERO,
        )

    def positions(self, equity: Decimal | None, exchange_ts: int) -> list[PositionEvent]:
        """Both legs, flat ones included; `equity` (USD) of the account tells where they would be liquidated."""
        long, short = self.legs[Direction.LONG], self.legs[Direction.SHORT]
        prices: tuple[Decimal | None, Decimal | None] = (None, None)
        if self.instrument.tiers and equity is not None:
            at_long, at_short = pair_liquidation(long, short, equity, self.instrument.tiers)
            prices = self._shown(at_long), self._shown(at_short)
        return [
            PositionEvent(
                symbol=self.instrument.symbol,
                direction=direction,
                size=leg.size,
                entry_price=leg.entry_price,
                mark_price=self.mark,
                liq_price=price if leg.size else None,
                leverage=leg.leverage,
                unrealised_pnl=self.unrealised(direction),
                exchange_ts=exchange_ts,
            )
            for (direction, leg), price in zip(self.legs.items(), prices, strict=True)
        ]

    def _shown(self, price: Decimal | None) -> Decimal | None:
        """A liquidation price as the exchange tells it: on a tick, none outside the prices there can be."""
        instrument = self.instrument
        if price is None or not instrument.min_price < price < instrument.max_price:
            return None
        return instrument.price(instrument.ticks(price))

    def _margin(self) -> Decimal:
        long, short = self.legs[Direction.LONG], self.legs[Direction.SHORT]
        if self.mark is None or not (long.size or short.size):
            return ZERO
        if not self.instrument.tiers:
            return (long.size + short.size) * self.mark / self.terms.leverage
        pair = pair_margins(long, short, self.mark, self.instrument.tiers, self.terms.taker_fee)
        return pair[0].initial + pair[1].initial


@dataclass(slots=True)
class ShadowAccount:
    """One per account. `net` (USDT) is what all shadow strategies earned so far, less fees and funding; `wallet` the
    exchange's newest; `changed_ts` (ms UTC) when something of ours last changed it."""

    net: Decimal = ZERO
    wallet: WalletEvent | None = None
    changed_ts: int = 0
    _pairs: list[ShadowPair] = field(default_factory=list)

    def open(self, instrument: Instrument, terms: ShadowTerms) -> ShadowPair:
        """The legs of another symbol."""
        pair = ShadowPair(instrument, terms)
        self._pairs.append(pair)
        return pair

    def restore(self, net: Decimal) -> None:
        """Add what a strategy of ours earned in earlier runs (USDT)."""
        self.net += net

    def seen(self, wallet: WalletEvent) -> None:
        """The exchange's wallet has come."""
        self.wallet = wallet

    def earn(self, amount: Decimal, exchange_ts: int) -> None:
        """Add to the wallet (USDT), or take from it."""
        self.net += amount
        self.changed_ts = max(self.changed_ts, exchange_ts)

    def funds(self) -> WalletEvent | None:
        """The exchange's wallet with ours on top; None before the first. What it leaves out stays unknown."""
        wallet, unrealised = self.wallet, self._unrealised()
        if wallet is None:
            return None
        locked = _sum(pair.locked() for pair in self._pairs)
        return replace(
            wallet,
            wallet_balance=_plus(wallet.wallet_balance, self.net),
            equity=_plus(wallet.equity, self.net + unrealised),
            available_balance=_plus(wallet.available_balance, self.net + unrealised - locked),
            unrealised_pnl=_plus(wallet.unrealised_pnl, unrealised),
            total_equity=_plus(wallet.total_equity, self.net + unrealised),
            total_initial_margin=_plus(wallet.total_initial_margin, locked),
            exchange_ts=max(wallet.exchange_ts, self.changed_ts),
        )

    def equity(self) -> Decimal | None:
        """The account's total equity with ours, in USD; None before the first wallet."""
        if self.wallet is None:
            return None
        total = self.wallet.total_equity if self.wallet.total_equity is not None else self.wallet.equity
        return _plus(total, self.net + self._unrealised())

    def _unrealised(self) -> Decimal:
        return _sum(pair.unrealised(direction) for pair in self._pairs for direction in Direction)


def _sum(figures: Iterable[Decimal]) -> Decimal:
    return sum(figures, ZERO)


def _plus(figure: Decimal | None, ours: Decimal) -> Decimal | None:
    return None if figure is None else figure + ours
