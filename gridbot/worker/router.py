"""Routes what has arrived from the streams: first the account's events, in order, then the newest prices.

A fault in one event affects nothing else (incident L59):

    what raises                       what it costs
    an event of a symbol, a price     its strategy is halted, with its orders still tracked
    the wallet, at one strategy       that strategy is halted
    the wallet itself, a gap, a       an alert
    trade of the market
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from gridbot.core import ExecutionEvent, OrderUpdateEvent, PositionEvent, TickerEvent, WalletEvent
from gridbot.exchange.stream_news import Drained, Gap, OneWayPosition, PrivateEvent
from gridbot.records import builders
from gridbot.records.record_types import StreamGapRecord, UtcUs
from gridbot.strategies.base import CannotTrade
from gridbot.worker.context import WorkerContext
from gridbot.worker.schedule import Due
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Router"]

log = logging.getLogger(__name__)

_NAMES: Mapping[type, str] = {
    ExecutionEvent: "an execution",
    OrderUpdateEvent: "an update of an order",
    PositionEvent: "a position",
    WalletEvent: "the wallet",
    OneWayPosition: "a position",
}


class Router:
    """One per account. `runners` are all strategies by symbol; only those in `live` have orders on the exchange.

    Each symbol's ticker is recorded every `ticker_interval_s` seconds (0: never). `on_private_back` is called after a
    gap of the private stream. `saw` hears the id of each order that news are about.
    """

    def __init__(
        self,
        context: WorkerContext,
        runners: Mapping[str, StrategyRunner],
        live: Mapping[str, StrategyRunner],
        *,
        ticker_interval_s: float,
        on_private_back: Callable[[], None] = lambda: None,
        saw: Callable[[str], None] | None = None,
    ) -> None:
        self._saw = saw
        self._context = context
        self._runners = runners
        self._live = live
        self._ticker_interval_s = ticker_interval_s
        self._sampled = Due()
        self._on_private_back = on_private_back

    def route(self, drained: Drained) -> None:
        """Pass each event to its strategy, record gaps and the market's trades."""
        faults = self._context.faults
        if drained.private:
            self.take_private(drained.private)
        for gap in drained.gaps:
            with faults.contained(f"a gap of the {gap.kind} stream"):
                self._on_gap(gap)
        for ticker in drained.tickers:
            self.take_ticker(ticker)
        for trade in drained.trades:
            with faults.contained("a trade of the market"):
                self._context.recorder.record(builders.of_public_trade(trade))

    def take_private(self, events: Iterable[PrivateEvent]) -> None:
        """Pass events of the account on, in their order."""
        for event in events:
            try:
                self._on_private(event)
            except Exception as error:  # noqa: BLE001 - reported with its traceback
                self._failed(error, getattr(event, "symbol", ""), _NAMES.get(type(event), "an event"))

    def take_ticker(self, ticker: TickerEvent) -> None:
        """Pass a price on."""
        runner = self._runners.get(ticker.symbol)
        if runner is None:
            return
        context = self._context
        try:
            context.trace.begin(ticker.received_ns)
            if runner.risk_state.halted:
                runner.set_price(ticker)
            else:
                runner.on_ticker(ticker)
            every_s = self._ticker_interval_s
            if every_s and self._sampled.take(ticker.symbol, every_s, context.clock.monotonic_s()):
                context.recorder.record(builders.of_ticker(ticker))
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            self._failed(error, ticker.symbol, "a price")

    def on_wallet(self, wallet: WalletEvent, source: str) -> None:
        """Take the wallet from stream or REST: the newer figure counts, for all strategies of the account."""
        before = self._context.funds.wallet
        now_s = self._context.clock.monotonic_s()
        if not self._context.gate.wallet_seen(wallet, now_s, was_asked=source == "rest"):
            return
        is_isolated = wallet.available_balance is None  # only isolated margin has none
        wallet = self._context.funds.wallet or wallet  # with the coin's figures of before where it has none
        is_other_mode = False
        for symbol, runner in self._live.items():
            is_other_mode = is_other_mode or runner.risk_state.symbol_watch.is_isolated is not is_isolated
            if runner.hears_wallet:
                try:
                    runner.on_wallet(wallet)
                except Exception as error:  # noqa: BLE001 - reported with its traceback
                    self._failed(error, symbol, "the wallet")
        if is_other_mode:
            self._context.requests.read_margin_mode()  # somebody has switched to it, or back
        self._context.shadows.on_wallet(wallet)
        if before is None or before.wallet_balance != wallet.wallet_balance or source == "rest":
            self._context.recorder.record(builders.of_wallet(wallet, source=source))

    def _on_private(self, event: PrivateEvent) -> None:
        if type(event) is WalletEvent:
            self.on_wallet(event, "stream")
            return
        if self._saw is not None and isinstance(event, (ExecutionEvent, OrderUpdateEvent)):
            self._saw(event.order_link_id)
        runner = self._live.get(event.symbol)
        if runner is None:
            return  # a symbol without a live strategy: shadow, or traded by hand
        if type(event) is PositionEvent:
            runner.on_position_update(event)
        elif type(event) is OrderUpdateEvent:
            runner.on_order_update(event)
        elif type(event) is ExecutionEvent:
            runner.on_execution(event)
        elif type(event) is OneWayPosition:
            self._context.requests.read_terms(event.symbol)

    def _on_gap(self, gap: Gap) -> None:
        log.warning("%s stream was away for %d ms", gap.kind, gap.ended_ts_ms - gap.started_ts_ms)
        since_ms = gap.started_ts_ms if gap.kind == "private" else None
        if gap.kind == "private":
            self._on_private_back()
        self._context.requests.reconcile(f"the {gap.kind} stream reconnected", since_ms=since_ms)
        self._context.recorder.record(
            StreamGapRecord(
                stream=gap.kind,
                started_at=UtcUs(gap.started_ts_ms * 1000),
                ended_at=UtcUs(gap.ended_ts_ms * 1000),
            )
        )

    def _failed(self, error: Exception, symbol: str, what: str) -> None:
        """Halt the strategy of `symbol`, whose event has raised; a fault of ours is reported as well."""
        runner = self._runners.get(symbol)
        if isinstance(error, CannotTrade) and runner is not None:
            runner.halt(str(error))
        else:
            is_ours = not isinstance(error, CannotTrade)
            self._context.faults.report(f"{symbol or 'the account'}: {what}", error, symbol if is_ours else "")
