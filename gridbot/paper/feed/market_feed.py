"""The one way in which prices move: a trade or a price comes in, orders fill, changes are published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from gridbot.core.strict_numbers import amount_or_none, decimal_or_none, time_or_none
from gridbot.core.vocabulary import Side
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import AUCTION_PHASES, TRADES_IN, Phase
from gridbot.paper.market.synthetic import MarketTrade
from gridbot.paper.streams.outgoing import Outgoing
from gridbot.paper.streams.publisher import Publisher

__all__ = ["MarketFeed"]


class MarketFeed:
    """Sources use it, and tests that push trades themselves."""

    def __init__(self, exchange: Exchange, publisher: Publisher, now_ms: Callable[[], int], outgoing: Outgoing) -> None:
        self._exchange = exchange
        self._publisher = publisher
        self._now_ms = now_ms
        self._outgoing = outgoing
        self.trade_count = 0
        self.publish_each = False

    def trade(self, symbol: str, price: Decimal | str, size: Decimal | str, side: Side | str) -> None:
        """Push one public trade now: orders fill, tickers and trades are published at once.

        ValueError for a price that no order could have; nothing is changed then.
        """
        price, size = self.possible(symbol, price), Decimal(size)
        if not size >= 0:
            raise ValueError("expected no negative size")
        self.feed(MarketTrade(symbol, Side(side), price, size))
        self._settle()

    def set_mark(self, symbol: str, price: Decimal | str | None) -> None:
        """Pin the mark price apart from the last price; None lets it go again."""
        market = self._exchange.markets[symbol]
        market.pinned_mark = None if price is None else self.possible(symbol, price)
        market.revalue(self._now_ms())
        self._publisher.changed(symbol, None)
        self._settle()

    def possible(self, symbol: str, price: Decimal | str) -> Decimal:
        """A price that an order of the symbol could have; ValueError for any other one."""
        price, highest = Decimal(price), self._exchange.markets[symbol].instrument.max_price
        if not 0 < price <= highest:
            raise ValueError(f"expected a price above 0 and up to {highest}, got {price}")
        return price

    def list_as(
        self, symbol: str, *, status: str | None = None, delivery_ms: int | None = None, phase: str = ""
    ) -> None:
        """List a symbol with another status, or set when it is delivered; one that is due is delivered now."""
        self._exchange.listing.change(symbol, self._now_ms(), status=status, delivery_ms=delivery_ms, phase=phase)
        self._publisher.changed(symbol, None)
        self._settle()

    def launch(
        self, symbol: str, call_s: float, no_cancel_s: float = 0.0, matching_s: float = 0.0, trading_s: float = 0.0
    ) -> None:
        """Let a symbol go through the phases before a launch, each so long; trading without a time has no end."""
        begins_ms, phases = self._now_ms(), []
        for name, length_s in zip(AUCTION_PHASES[1:], (call_s, no_cancel_s, matching_s, trading_s), strict=True):
            ends_ms = begins_ms + round(length_s * 1000)
            if length_s or name == TRADES_IN:
                phases.append(Phase(name, begins_ms, ends_ms if length_s else 0))
            begins_ms = ends_ms
        self._exchange.listing.launch(symbol, phases, self._now_ms())
        self._publisher.changed(symbol, None)
        self._settle()

    def delist(self, symbol: str, in_s: float, settling_s: float = 0.0) -> None:
        """Announce that a symbol ends in so many seconds; it is Settling for so many before positions are closed."""
        now_ms = self._now_ms()
        ends_ms, settling_ms = now_ms + round(in_s * 1000), round(settling_s * 1000)
        self._exchange.listing.delist(symbol, ends_ms, now_ms, settling_ms=settling_ms)
        self._settle()

    def change_rules(
        self, symbol: str, *, tick_size: Decimal | str | None = None, qty_step: Decimal | str | None = None
    ) -> None:
        """Give a symbol another tick or lot while it trades."""
        tick, step = (None if each is None else Decimal(each) for each in (tick_size, qty_step))
        self._exchange.change_rules(symbol, tick_size=tick, qty_step=step)
        self._publisher.changed(symbol, None)
        self._settle()

    def cut_risk(self, account: str, symbol: str, position_idx: int, *, reduce_only: bool) -> None:
        """A cut of its risk tier: the leg can only be reduced, or no longer only."""
        self._exchange.listing.cut_risk(self._exchange.accounts[account], symbol, position_idx, reduce_only=reduce_only)
        self._settle()

    def reject_orders(self, reason: str) -> None:
        """Reject what was accepted for this reason of the engine's; "": no longer."""
        self._exchange.reject_orders(reason)

    def settle_funding(self, symbol: str, rate: Decimal | str) -> None:
        """Settle a funding of this rate now, out of turn."""
        now_ms = self._now_ms()
        self._exchange.markets[symbol].fundings.append((now_ms, Decimal(rate)))
        self._exchange.settle_funding(symbol, Decimal(rate), now_ms)
        self._settle()

    def carry_out(self, command: Mapping[str, Any]) -> None:
        """Something of the exchange's own that no market makes (`paper/ledger/strange_executions.py`)."""
        self._exchange.strange.carry_out(command, self._now_ms())
        self._settle()

    def announce(self, command: Mapping[str, Any]) -> None:
        """Announce maintenance or news (`paper/market/announced.py`)."""
        self._exchange.announced.carry_out(command, self._now_ms())
        if command["action"] == "maintain":
            rows = self._exchange.announced.maintenance(str(command["id"]), "")
            self._outgoing.hold(lambda: self._publisher.maintenance_changed(rows), lambda: None)

    def _settle(self) -> None:
        """Do at once what otherwise waits for the next turn of the clock."""
        self._exchange.on_time(self._now_ms())
        self._outgoing.changed()
        self._publisher.flush()

    def set_price(self, symbol: str, price: Decimal | str) -> None:
        """Move the price without volume: orders that it passes fill, the ticker is published at once."""
        last = self._exchange.markets[symbol].last
        self.trade(symbol, price, Decimal(0), Side.BUY if Decimal(price) >= last else Side.SELL)

    def reopen(self, symbol: str, price: Decimal) -> None:
        """Begin a symbol's market again at this price; for sources that learn it late."""
        self._exchange.markets[symbol].reopen(price, self._now_ms())
        self._publisher.changed(symbol, None)

    def follow(self, symbol: str, ticker: Mapping[str, str]) -> None:
        """Take mark and index price, funding rate and funding time from a ticker, as far as it has them."""
        market = self._exchange.markets[symbol]
        mark, index = amount_or_none(ticker.get("markPrice")), amount_or_none(ticker.get("indexPrice"))
        rate, next_ms = decimal_or_none(ticker.get("fundingRate")), time_or_none(ticker.get("nextFundingTime"))
        highest = market.instrument.max_price
        market.pinned_mark = mark if mark and mark <= highest else market.pinned_mark
        market.pinned_index = index if index and index <= highest else market.pinned_index
        if rate is not None:
            market.funding_rate = rate
        if next_ms is not None and next_ms > self._now_ms():
            market.next_funding_ms = next_ms
        market.revalue(self._now_ms())
        self._publisher.changed(symbol, None)

    def feed(self, trade: MarketTrade) -> None:
        """Apply a trade of a source; publishing waits for the ticker interval unless it is zero.

        An exchange that stands still lets it pass by, and so does a contract that is over.
        """
        if self._outgoing.stands_still:
            return
        market = self._exchange.markets[trade.symbol]
        if market.listing.is_over:
            return
        ticks = max(1, market.instrument.ticks(trade.price))
        size, step = trade.size, market.instrument.qty_step
        if size % step:
            size = max(size // step, Decimal(1)) * step  # klines taken apart have any size
        shown = self._exchange.trade(trade.symbol, trade.side, ticks, size, self._now_ms())
        self.trade_count += 1
        self._publisher.changed(trade.symbol, shown)
        self._outgoing.changed()
        if self.publish_each:
            self._publisher.flush()

    def flush_trades(self, symbol: str) -> None:
        self._publisher.flush_trades(symbol)
