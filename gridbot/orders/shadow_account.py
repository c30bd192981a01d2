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
from gridbot.core.margin import (
    LegMargin,
    MarginBalance,
    liquidation_prices,
    order_cost,
    order_margin,
    pair_margins,
    reserve_fee,
)
from gridbot.core.pnl import unrealised_pnl
from gridbot.core.risk_rules import LegState
from gridbot.orders.order import TrackedOrder

__all__ = ["MAKER_FEE", "TAKER_FEE", "ShadowAccount", "ShadowPair", "ShadowTerms"]

ZERO = Decimal(0)
ONE = Decimal(1)
UNIT = Decimal("1e-8")
"""What the exchange rounds average prices to, in USDT."""
NO_MARGIN = LegMargin(ZERO, ZERO)
MAKER_FEE = Decimal("0.0002")
TAKER_FEE = Decimal("0.00055")


@dataclass(frozen=True, slots=True)
class ShadowTerms:
    """What the real account has for a symbol: its leverage, and its fees as fractions of the traded value."""

    leverage: Decimal = ONE
    maker_fee: Decimal = MAKER_FEE
    taker_fee: Decimal = TAKER_FEE

    @property
    def reserve_fee(self) -> Decimal:
        """What the exchange reserves for a taker's fee; a country's tax on it is not known here."""
        return reserve_fee(self.taker_fee)


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

    def locked(self) -> LegMargin:
        """Initial and maintenance margin (USDT) of both legs and of the resting orders that open."""
        terms, fee, tiers = self.terms, self.terms.reserve_fee, self.instrument.tiers
        legs = self._margins()
        initial, maintenance = legs[0].initial + legs[1].initial, legs[0].maintenance + legs[1].maintenance
        for order in self.resting.values():
            if not order.reduce_only:
                value = order.qty * order.price
                if tiers:
                    margin = order_margin(order.direction, value, terms.leverage, tiers, fee)
                    initial, maintenance = initial + margin.initial, maintenance + margin.maintenance
                else:
                    initial += order_cost(order.direction, value, terms.leverage, fee)
        return LegMargin(initial, maintenance)

    def positions(self, account: MarginBalance | None, exchange_ts: int) -> list[PositionEvent]:
        """Both legs, flat ones included; what the account can lose (USD) tells where they would be liquidated."""
        long, short = self.legs[Direction.LONG], self.legs[Direction.SHORT]
        prices: tuple[Decimal | None, Decimal | None] = (None, None)
        if self.instrument.tiers and self.mark is not None and account is not None:
            at_long, at_short = liquidation_prices(long, short, self.mark, account, self.instrument.tiers)
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
        """A liquidation price as the exchange tells it: in its unit, none outside the prices there can be."""
        instrument = self.instrument
        if price is None or not instrument.min_price < price < instrument.max_price:
            return None
        return price.quantize(UNIT, ROUND_HALF_EVEN)

    def _margins(self) -> tuple[LegMargin, LegMargin]:
        long, short = self.legs[Direction.LONG], self.legs[Direction.SHORT]
        if self.mark is None or not (long.size or short.size):
            return NO_MARGIN, NO_MARGIN
        if not self.instrument.tiers:
            return LegMargin((long.size + short.size) * self.mark / self.terms.leverage, ZERO), NO_MARGIN
        return pair_margins(long, short, self.mark, self.instrument.tiers, self.terms.reserve_fee)


@dataclass(slots=True)
class ShadowAccount:
    """One per account. `net` (USDT) is what all shadow strategies earned so far, less fees and funding; `wallet` the
    exchange's newest; `changed_ts` (ms UTC) of the newest that changed it."""

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
        """The exchange's wallet has come. It counts though the exchange's clock was set back: whose is newer is
        decided before.
        """
        self.wallet = wallet
        self.changed_ts = max(self.changed_ts, wallet.exchange_ts)

    def earn(self, amount: Decimal, exchange_ts: int) -> None:
        """Add to the wallet (USDT), or take from it."""
        self.net += amount
        self.changed_ts = max(self.changed_ts, exchange_ts)

    def funds(self) -> WalletEvent | None:
        """The exchange's wallet with ours on top; None before the first. What it leaves out stays unknown."""
        wallet, unrealised = self.wallet, self._unrealised()
        if wallet is None:
            return None
        locked = self._locked()
        return replace(
            wallet,
            wallet_balance=_plus(wallet.wallet_balance, self.net),
            equity=_plus(wallet.equity, self.net + unrealised),
            available_balance=_plus(wallet.available_balance, self.net + unrealised - locked.initial),
            unrealised_pnl=_plus(wallet.unrealised_pnl, unrealised),
            total_equity=_plus(wallet.total_equity, self.net + unrealised),
            total_initial_margin=_plus(wallet.total_initial_margin, locked.initial),
            total_maintenance_margin=_plus(wallet.total_maintenance_margin, locked.maintenance),
            exchange_ts=self.changed_ts,
        )

    def margin_balance(self) -> MarginBalance | None:
        """What the account and ours together can lose, in USD; None before the first wallet, or without its equity."""
        wallet = self.wallet
        total = None if wallet is None else wallet.equity if wallet.total_equity is None else wallet.total_equity
        if wallet is None or total is None:
            return None
        maintenance = (wallet.total_maintenance_margin or ZERO) + self._locked().maintenance
        return MarginBalance(total + self.net + self._unrealised(), maintenance)

    def _locked(self) -> LegMargin:
        locked = [pair.locked() for pair in self._pairs]
        return LegMargin(_sum(each.initial for each in locked), _sum(each.maintenance for each in locked))

    def _unrealised(self) -> Decimal:
        return _sum(pair.unrealised(direction) for pair in self._pairs for direction in Direction)


def _sum(figures: Iterable[Decimal]) -> Decimal:
    return sum(figures, ZERO)


def _plus(figure: Decimal | None, ours: Decimal) -> Decimal | None:
    return None if figure is None else figure + ours
