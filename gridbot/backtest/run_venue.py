"""The exchange of one account in a backtest: the paper exchange's engine, and what it pushes to the worker.

The markets are those of the data (`run_market`); orders, fills, margin, liquidation and funding are the engine's own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple

from gridbot.backtest.beginning import NEW, Beginning
from gridbot.backtest.direct_calls import DirectCalls
from gridbot.backtest.event_outbox import EventOutbox, leg_event, wallet_event
from gridbot.backtest.run_books import ChangeCount, RunBooks
from gridbot.backtest.run_loop import RunLoop
from gridbot.backtest.run_market import MarkMoves, RunMarket
from gridbot.backtest.run_options import Options
from gridbot.backtest.symbol_feed import Place, SymbolFeed
from gridbot.config.account_models import AccountConfig
from gridbot.core.events import PositionEvent, WalletEvent
from gridbot.core.vocabulary import Direction, Side
from gridbot.exchange.stream_news import PrivateEvent
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.api.dispatch import Api
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import listing_under
from gridbot.paper.settings import PaperConfig
from gridbot.paper.worth.cross_holdings import Pair
from gridbot.paper.worth.valuation import Totals

__all__ = ["NO_MARK", "RunVenue"]

TOPICS = ("order", "execution", "position", "wallet")
ZERO: Final = Decimal(0)
LEGS: Final = (0, 1, 2)
"""Of a symbol: in one-way mode, long, short."""
NO_LEG: Final = (ZERO, ZERO, ZERO)
PART_USED: Final = Decimal("0.25")
"""Of the room to a liquidation. No maintenance rate is above 1, so twice the value is the most that can be needed."""
PART_LEFT: Final = 1 - 2 * PART_USED
"""What fills and orders may use of it until the bounds are worked out anew."""
NO_MARK: Final = (Decimal(1), ZERO)
"""Bounds between which no mark lies."""


class _Basis(NamedTuple):
    """What the bounds were made of: USDT; `legs` have size, cost and unrealised PnL, `marks` are by symbol."""

    wallet: Decimal
    order_maintenance: Decimal
    spare: Decimal
    legs: Mapping[tuple[str, int], tuple[Decimal, Decimal, Decimal]]
    pairs: Mapping[str, Pair]
    marks: Mapping[str, Decimal]


class _Change(NamedTuple):
    """What the legs of a symbol have gained since then at the marks of then, and may need in addition (USDT)."""

    pair: Pair | None
    gained: Decimal
    used: Decimal


class RunVenue:
    """One per account. `hear` gets the private events of the frames that arrive together."""

    def __init__(
        self,
        paper: PaperConfig,
        account: AccountConfig,
        feeds: Mapping[str, SymbolFeed],
        options: Options,
        loop: RunLoop,
        beginning: Beginning = NEW,
    ) -> None:
        self._loop = loop
        self._options = options
        self._draw = random.Random(f"pushes:{options.seed}")
        self._arrived_us: dict[str, int] = {}
        self.under_way = 0
        """Frames that have not reached the worker yet."""
        self._push_us = round(paper.ack_delay_ms * 1000)
        self.hear: Callable[[Sequence[Sequence[PrivateEvent]]], None] = lambda frames: None
        now_ms = loop.now_us // 1000
        self._moves, self._changes = MarkMoves(len(feeds)), ChangeCount()
        self.markets = {symbol: self._market(paper, feed, now_ms) for symbol, feed in feeds.items()}
        make_outbox = partial(EventOutbox, now_ms=lambda: loop.now_us // 1000)
        self.exchange = Exchange(paper, self.markets, f"{options.seed & 0xFFFFFFFFFFFF:012x}", now_ms, make_outbox)
        balance = paper.default_balance if account.balance is None else account.balance
        balance = balance if beginning.wallet is None else beginning.wallet
        self.account = self.exchange.state.add_account(account.name, "backtest", "", balance, RunBooks)
        self.account.listening, self.account.changes = set(TOPICS), self._changes
        self._hold(beginning, now_ms)
        self._rest(beginning, now_ms)
        self.calls = DirectCalls(
            Api(self.exchange), self.account, loop, options, random.Random(f"requests:{options.seed}"), self.deliver
        )
        self.liquidations = 0
        self._totals_of: tuple[int, int] = (-1, -1)
        self._totals = self.exchange.totals(self.account)
        self._pairs_at = -1
        self._pairs: Mapping[str, Pair] = {}
        self._bounds_of: _Basis | None = None
        self._bounds_at = -1
        self._since: dict[str, _Change] = {}
        """By symbol, what has changed since the bounds were made."""
        self._bounds: dict[str, tuple[Decimal, Decimal]] = {}
        for symbol, feed in feeds.items():
            for due_ms, rate in feed.fundings:
                if due_ms >= now_ms:
                    loop.at(due_ms * 1000, self._fund, symbol, rate, of_exchange=True)

    def _hold(self, beginning: Beginning, now_ms: int) -> None:
        """Have the legs that the account begins with, as if they had been there before."""
        for (symbol, direction), (size, entry) in beginning.legs.items():
            if symbol in self.markets and size:
                self.account.hedge[symbol] = True
                leg = self.account.leg(symbol, 1 if direction is Direction.LONG else 2)
                leg.size, leg.cost, leg.seq = size, size * entry, 0
                leg.opened_ms = leg.updated_ms = now_ms

    def _rest(self, beginning: Beginning, now_ms: int) -> None:
        """Have the orders that the account begins with rest, also where the first trade fills them; the worker finds
        them when it starts."""
        state = self.exchange.state
        for order in beginning.resting:
            if order.symbol not in self.markets:
                continue
            self.account.hedge[order.symbol] = True
            leg = 1 if order.direction is Direction.LONG else 2
            request = NewOrder(
                order.symbol, order.side, order.qty, order.price, leg,
                time_in_force="PostOnly", order_link_id=order.link_id, reduce_only=order.closes,
            )  # fmt: skip
            placed = state.new_order(request, now_ms, closing=order.closes)
            placed.reserved = state.valuation.order_margin(self.account, placed).initial
            self.exchange.restore(self.account, placed)

    def _market(self, paper: PaperConfig, feed: SymbolFeed, now_ms: int) -> RunMarket:
        entry = paper.market.symbols.get(feed.symbol)
        level = (entry.level_notional if entry else None) or paper.market.level_notional
        first = feed.open(feed.first.day).prices[feed.first.at]
        listing = listing_under(feed.instrument, feed.instrument.price(first))
        return RunMarket(feed, listing, level, now_ms, self._moves)

    # ------------------------------------------------------------------ the market moves

    def trade(self, symbol: str, feed: SymbolFeed, place: Place) -> bool:
        """A trade of the market happens now. True when something of the account has changed."""
        opened = feed.open(place.day)
        index, now_ms = place.at, self._loop.now_us // 1000
        market = self.markets[symbol]
        market.newest = place
        side = Side.BUY if opened.sides[index] > 0 else Side.SELL
        size = opened.sizes[index]
        qty = market.instrument.qty_step * size if size else ZERO
        self.exchange.trade(symbol, side, opened.prices[index], qty, now_ms)
        moved = self._check_margin(market, now_ms)
        if self.exchange.outbox:
            self.deliver()
            return True
        return moved

    def mark(self, symbol: str) -> bool:
        """The mark price of a symbol is another now, as its market has it. As `trade`."""
        moved = self._check_margin(self.markets[symbol], self._loop.now_us // 1000)
        if self.exchange.outbox:
            self.deliver()
            return True
        return moved

    def _check_margin(self, market: RunMarket, now_ms: int) -> bool:
        """Liquidate the account if it is due. True when the marks at which it is not are others now."""
        if not self.is_exposed:
            return False
        if not self._options.every_tick:
            bounds = self.margin_bounds().get(market.listing.symbol)
            if bounds is None or bounds[0] <= market.mark <= bounds[1]:
                return False
        self.exchange.liquidator.liquidate_if_due(self.account, now_ms)
        self.liquidations += len(self.exchange.liquidator.take())
        self._bounds_of, self._bounds_at = None, -1
        return True

    def margin_bounds(self) -> Mapping[str, tuple[Decimal, Decimal]]:
        """Marks (lowest, highest, USDT) at which the account is certainly not due for liquidation, by symbol.

        As long as each symbol that it holds stays within its own; others are not in it. Where it is due at the present
        marks, as a fill or a funding makes it, the next price of any symbol finds that: each has `NO_MARK`. The same
        object as before while they are the same.
        """
        count = self._changes.count
        if count != self._bounds_at:
            self._bounds_at = count
            if not self._bounds_hold():
                self._bounds = self._new_bounds()
        return self._bounds

    def _bounds_hold(self) -> bool:
        """Whether what has changed since they were made, at the marks of then, is within what was left for it.

        A leg that is bigger or smaller by some value loses at most so much more, and needs at most so much more.
        """
        account, basis = self.account, self._bounds_of
        if basis is None or account.isolated:
            return False
        gained, used = account.wallet - basis.wallet, max(ZERO, account.order_maintenance - basis.order_maintenance)
        pairs, since = self.pairs, self._since
        for symbol, pair in pairs.items():
            if basis.pairs.get(symbol) is not pair:
                known = since.get(symbol)
                if known is None or known.pair is not pair:
                    found = self._change_of(symbol, pair, basis)
                    if found is None:
                        return False
                    known = since[symbol] = found
                gained, used = gained + known.gained, used + known.used
        for symbol in basis.pairs.keys() - pairs.keys():
            gone = self._change_of(symbol, None, basis)
            if gone is None:
                return False
            gained, used = gained + gone.gained, used + gone.used
        return used - min(ZERO, gained) <= basis.spare * PART_LEFT

    def _change_of(self, symbol: str, pair: Pair | None, basis: _Basis) -> _Change | None:
        """What the legs of a symbol that are others now make of it; None where it had no mark then."""
        gained = used = ZERO
        for index in LEGS:
            leg = self.account.legs.get((symbol, index))
            if leg is None:
                continue
            size, cost, unrealised = basis.legs.get((symbol, index), NO_LEG)
            if leg.size == size and leg.cost == cost:
                continue
            mark = basis.marks.get(symbol)
            if mark is None:
                return None
            gained += leg.unrealised(mark) - unrealised
            used += 2 * abs(leg.size - size) * self._bounds[symbol][1]
        return _Change(pair, gained, used)

    def _new_bounds(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Were each mark to move by this part, no more would be lost, and no more maintenance needed, than there is."""
        account = self.account
        held = {name: leg for name, leg in account.legs.items() if leg.size}
        marks = {leg.symbol: self.markets[leg.symbol].mark for leg in held.values()}
        self._bounds_of = None
        self._since.clear()
        if not held:
            return {}
        figures = self.exchange.totals(account)
        spare = figures.equity - figures.maintenance
        if spare <= 0:
            return dict.fromkeys(self.markets, NO_MARK)
        value = sum((leg.size * marks[leg.symbol] for leg in held.values()), ZERO)
        legs = {name: (leg.size, leg.cost, leg.unrealised(marks[leg.symbol])) for name, leg in held.items()}
        self._bounds_of = _Basis(account.wallet, account.order_maintenance, spare, legs, self.pairs, marks)
        room = spare / value * PART_USED
        return {symbol: (mark * (1 - room), mark * (1 + room)) for symbol, mark in marks.items()}

    @property
    def pairs(self) -> Mapping[str, Pair]:
        """What it holds, by symbol, in cross margin; the same objects while a symbol's legs are the same."""
        if self._changes.count != self._pairs_at:
            self._pairs_at, self._pairs = self._changes.count, self.exchange.state.valuation.cross(self.account).pairs
        return self._pairs

    @property
    def looks_at_all(self) -> bool:
        """Whether the run is one that jumps over nothing."""
        return self._options.every_tick

    @property
    def is_exposed(self) -> bool:
        """Whether the account holds anything."""
        return any(leg.size for leg in self.account.legs.values())

    def _fund(self, symbol: str, rate: Decimal) -> None:
        now_ms = self._loop.now_us // 1000
        market = self.markets[symbol]
        market.revalue(now_ms)
        low, high = self._bounds.get(symbol, (market.mark, market.mark))
        if not low <= market.mark <= high:  # this mark price is looked at no more: the account may be due by it
            self._bounds_of, self._bounds_at = None, -1
        market.fundings.append((now_ms, rate))
        self.exchange.settle_funding(symbol, rate, now_ms)
        market.set_funding(now_ms)
        self.deliver()

    # ------------------------------------------------------------------ what it has to say

    def deliver(self) -> None:
        """Send what the private streams have to say; each topic keeps its order."""
        loop, arrived_us = self._loop, self._arrived_us
        push, together_us = self._options.push, -1
        sent_us, fixed_us = loop.now_us + self._push_us, push.us(self._draw) if push.is_fixed else None
        frames: list[Sequence[Any]] = []
        about: set[str] = set()
        for _, topic, found in self.exchange.outbox.take():
            due_us = sent_us + (push.us(self._draw) if fixed_us is None else fixed_us)
            if due_us < (last_us := arrived_us.get(topic, 0)):
                due_us = last_us
            arrived_us[topic] = due_us
            self.under_way += 1
            events: Sequence[Any] = found  # the rows of an `EventOutbox` are events
            if due_us != together_us:
                together_us, frames, about = due_us, [], set()
                loop.at(due_us, self._arrive, frames, about, about=about)
            frames.append(events)  # nothing can come between frames of one moment that left together
            if topic != "wallet":
                for event in events:
                    about.add(event.symbol)

    def _arrive(self, frames: Sequence[Sequence[Any]], about: Collection[str], *, waits: bool = True) -> None:
        """A worker looks into its mailbox after what else has come: an answer of that moment is taken in before."""
        loop = self._loop
        if waits and loop.next_us() == loop.now_us:
            loop.at(loop.now_us, partial(self._arrive, frames, about, waits=False), about=about)
            return
        self.under_way -= len(frames)
        self.hear(frames)

    # ------------------------------------------------------------------ what is read of it

    @property
    def changes(self) -> int:
        """Grows with whatever may make the account's figures others, but for prices."""
        return self._changes.count

    def _figures(self) -> Totals:
        """The account's figures; the same while neither it nor a mark price has changed."""
        now = self._moves.count, self._changes.count
        if now != self._totals_of:
            self._totals_of, self._totals = now, self.exchange.totals(self.account)
        return self._totals

    def legs(self, symbol: str) -> list[PositionEvent]:
        """Both legs of a symbol as position/list has them now."""
        state = self.exchange.state
        figures = self._figures()
        return [leg_event(self.account, leg, state.valuation, figures) for leg in state.legs(self.account, symbol)]

    def wallet(self) -> WalletEvent:
        """The wallet as wallet-balance has it now."""
        return wallet_event(self._figures(), self._loop.now_us // 1000, is_whole=True)
