"""One account at work in a backtest: the worker's own parts, put together without process, files and sockets.

What `Assembly` and `Orchestrator` do for a worker is done here: strategies with placement, gate, caps and funds, the
executor with its budget, the reconciler, the guard over the losses, the work of each second. Nothing is lost on the way
here, so of what a worker reads again and again only what may change a decision is read: positions and wallet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

from gridbot import background
from gridbot.backtest.calm_legs import Ahead
from gridbot.backtest.readings_at_once import ReadingsAtOnce, RunClockwork
from gridbot.backtest.run_loop import RunClock, RunLoop, Symbols
from gridbot.backtest.run_market import RunMarket
from gridbot.backtest.run_readings import RunQueries, RunReadings
from gridbot.backtest.run_records import RunRecords
from gridbot.backtest.run_seconds import SECOND_US, RunSeconds
from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.touched import Touched
from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.config.account_models import AccountConfig, StrategyConfig
from gridbot.config.models import GridbotConfig
from gridbot.core import Instrument, Side, TickerEvent, WalletEvent
from gridbot.core.execution_ledger import Ledger
from gridbot.exchange.stream_news import PrivateEvent
from gridbot.execution.executor import Executor
from gridbot.orders.ids import Generations, account_tag
from gridbot.orders.proposal import Proposal
from gridbot.orders.retry import RetryQueue
from gridbot.orders.shadow_venue import ShadowVenue
from gridbot.risk.band_watch import BandWatch
from gridbot.risk.gate import Gate
from gridbot.risk.loss_limit import LossLimit
from gridbot.risk.refusals import Producer, Refusal
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.state.documents import StopFile
from gridbot.worker.account_records import AccountRecords
from gridbot.worker.context import WorkerContext
from gridbot.worker.faults import Faults
from gridbot.worker.file_watch import FileWatch
from gridbot.worker.jobs import Jobs
from gridbot.worker.loss_guard import LossGuard
from gridbot.worker.operator_alerts import Alerts, Tell
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.readings import Readings
from gridbot.worker.reconciler import Reconciler
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.router import Router
from gridbot.worker.schedule import Intervals
from gridbot.worker.shadow_wire import Shadows
from gridbot.worker.startup import Prepared, PreparedSymbol, prepare_account
from gridbot.worker.strategy_runner import StrategyRunner
from gridbot.worker.symbol_states import SymbolStates

__all__ = ["RunAccount"]

ZERO: Final = Decimal(0)
NOWHERE: Final = Endpoints(rest="", ws_public="", ws_private="", ws_trade="")


class _NoFile:
    """What stops orders ends with the run."""

    def load_as(self, read: object) -> None:
        """There is none."""

    def save(self, document: object) -> None:
        """Kept nowhere."""


class _NoFiles:
    """Nothing to watch."""

    def look(self) -> None:
        """There are no files."""


class _Band(BandWatch):
    """The worker's price band, whose premium is looked up where a price is outside without it (`premiums`)."""

    def __init__(self, instrument: Instrument, market: RunMarket) -> None:
        super().__init__(instrument)
        self._market = market
        self._looks_up = False

    def note(self, ticker: TickerEvent) -> None:
        """A price has come."""
        self._ticker = ticker

    def is_beyond(self, side: Side, price: Decimal) -> bool:
        """As `BandWatch.is_beyond`."""
        self._looks_up = False
        if not super().is_beyond(side, price):
            return False
        self._looks_up = True
        return super().is_beyond(side, price)

    def _premium_at(self, ticker: TickerEvent) -> Decimal:
        told = self._market.told
        return self._market.premiums.of_tickers(told) if self._looks_up and told is not None else ZERO


class _Gate(Gate):
    """The worker's gate, which has all others' prices told before it counts their legs for the account's cap."""

    def __init__(self, ahead: Ahead, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ahead = ahead

    def admit(
        self, state: StrategyRiskState, proposal: Proposal, now_s: float, producer: Producer = Producer.STRATEGY
    ) -> Refusal | None:
        """As `Gate.admit`."""
        if self.account.max_notional is not None and not proposal.reduce_only:
            self._ahead.hear_all()
        return super().admit(state, proposal, now_s, producer)

    def worth(self) -> Decimal:
        """As `Gate.worth`."""
        self._ahead.hear_all()
        return super().worth()


def _told(times: int) -> None:
    """An alert tells how often it came."""


class RunAccount:
    """Made with what exists before the first request; `start` is a coroutine for the loop, then `is_ready`."""

    def __init__(
        self,
        settings: GridbotConfig,
        account: AccountConfig,
        strategies: Sequence[StrategyConfig],
        venue: RunVenue,
        loop: RunLoop,
        records: RunRecords,
        tell: Tell,
        states: Mapping[str, Any],
    ) -> None:
        self._settings, self._account, self._strategies = settings, account, strategies
        self._venue, self._loop, self.records = venue, loop, records
        self._clock = RunClock(loop)
        self._tell = tell
        self._states = states
        transport = cast(Any, lambda *args, **options: venue.calls)
        self._rest = RunQueries(NOWHERE, Credentials("backtest", ""), transport=transport, few_per_s={})
        self._rest.venue, self._rest.at_hand = venue, {}
        self.is_ready = False
        self.ahead: Ahead
        """Who knows the prices to come: whoever drives it says so."""
        self.shadows: frozenset[str] = frozenset()
        """Symbols of shadow strategies."""
        self.runners: dict[str, StrategyRunner] = {}
        self._ready_us = 0
        self._early: list[Sequence[PrivateEvent]] = []
        self._alive = -1
        self._settled: dict[str, int] = {}
        """By symbol, how many orders were settled when some were forgotten last."""
        self.touched = Touched()
        """To whose strategies something has happened since the prices to wait for were looked up."""
        self.has_other_balance = False
        """Whether the wallet's balance has become another since then (`take_other_balance`)."""
        venue.hear = self._hear

    @property
    def looks_across(self) -> bool:
        """Whether what happens to one symbol may look at the price of another: a strategy that hears of the wallet, a
        shadow, which waits for nobody. The gate, which counts all for a cap of the account, asks for them itself."""
        return any(each.shadow_mode or WalletEvent in each.decided_by.wants for each in self._strategies)

    @property
    def something_waits(self) -> bool:
        """Whether orders wait to be sent: each price asks again whether they may leave, and still should."""
        return self.is_ready and self.context.executor.queue.waits

    # ------------------------------------------------------------------ start

    async def start(self) -> None:
        """As `Assembly.start` and `Orchestrator.start`. Raises StartRefused."""
        prepared = await prepare_account(self._rest, self._account, self._strategies, self._clock.wall_ms())
        context = self.context = self._make_context()
        context.ledger.begin(self._clock.wall_ms())
        self.runners = {
            each.symbol: self._runner(each, prepared.symbols[each.symbol], context)
            for each in self._strategies
            if each.symbol in prepared.symbols
        }
        self._put_together(prepared)
        self.losses.load()
        await self.reconciler.run("start")
        self._seconds.guard()
        for runner in self.runners.values():
            runner.ready()
        self.is_ready = self._venue.calls.takes_time = True
        self._ready_us = self._loop.now_us
        self._seconds.begin()
        early, self._early = self._early, []
        self._hear(early)
        background.awaited(self._serve_look_ups(), name="look-ups")

    def _make_context(self) -> WorkerContext:
        account, clock = self._account, self._clock
        requests = RefreshRequests()
        alerts = Alerts(self.records, self._tell, clock)
        faults = Faults(alerts, requests)
        executor = Executor(self._rest.orders, clock, before_send=lambda: None, on_fault=faults.report)
        gate = _Gate(
            self.ahead,
            clock.wall_ms,
            account_max_notional=account.caps.max_notional,
            auth_cooldown_s=self._settings.auth_cooldown_minutes * 60,
            warn=lambda key, text: _told(alerts("warning", f"cap.{key}", text)),
        )
        return WorkerContext(
            name=account.name,
            account_tag=account_tag(account.environment, account.name),
            run_id="backtest",
            clock=clock,
            gate=gate,
            executor=executor,
            ledger=Ledger(),
            generations=Generations(clock.wall_ms(), lambda upto, safe: safe()),
            retry=RetryQueue(),
            recorder=self.records,
            requests=requests,
            alert=alerts,
            faults=faults,
            shadows=Shadows(clock, gate.shadow()),
            trace=executor.trace,
            passage=PassageWatch(clock, requests),
        )

    def _runner(self, config: StrategyConfig, symbol: PreparedSymbol, context: WorkerContext) -> StrategyRunner:
        engine = config.decided_by.make(config, symbol.instrument, config.strat_id, self._states.get(config.strat_id))
        wire = None
        if config.shadow_mode:
            account = context.shadows.account
            wire = context.shadows.wire(ShadowVenue(symbol.instrument, account, run_id="backtest", terms=symbol.shadow))
        runner = StrategyRunner(config, symbol.instrument, engine, context, wire=wire)
        runner.risk_state.band = _Band(symbol.instrument, self._venue.markets[config.symbol])
        runner.saving.save()
        return runner

    def _put_together(self, prepared: Prepared) -> None:
        context, settings = self.context, self._settings
        self.live = {symbol: runner for symbol, runner in self.runners.items() if not runner.is_shadow}
        self.shadows = frozenset(self.runners) - frozenset(self.live)
        refused = RefusedStrategies(prepared.refused)
        for each in refused:
            context.alert("error", each.key, str(each), each.strat_id)
        self._router = Router(context, self.runners, self.live, ticker_interval_s=0)
        self.reconciler = Reconciler(self._rest, self.live, context, on_wallet=self._on_wallet, refused=refused)
        caps = self._account.caps
        limit = LossLimit(caps.session_loss_limit, caps.session_loss_includes_unrealised, "the end of the run")
        live = [runner.strat_id for runner in self.live.values()]
        self.losses = LossGuard(limit, cast(StopFile, _NoFile()), context, live)
        jobs = Jobs(context.faults, context.jobs, context.clock, lambda: None)
        intervals = Intervals(
            order_sync_s=settings.order_sync_interval,
            position_check_s=settings.position_check_interval,
            wallet_s=settings.wallet_cache_interval,
        )
        readings = RunReadings(self.reconciler, self.runners, context, self._rest, self._on_wallet, self.records)
        account_records = AccountRecords(cast(Any, self.records), context, self.runners, refused)
        clockwork = RunClockwork(
            context,
            list(self.runners.values()),
            cast(Readings, readings),
            intervals=intervals,
            jobs=jobs,
            records=account_records,
            files=cast(FileWatch, _NoFiles()),
            states=SymbolStates(context, self.runners, refused),
            private_alive=lambda: True,
        )
        self._seconds = RunSeconds(
            *(self._loop, self._clock, context, self.records, self.runners),
            losses=self.losses,
            reconciler=self.reconciler,
            jobs=jobs,
            account_records=account_records,
            clockwork=clockwork,
            readings=readings,
            at_once=None if self._venue.looks_at_all or self.shadows else self._readings_at_once(readings),
            ahead=self.ahead,
        )

    def _readings_at_once(self, readings: RunReadings) -> ReadingsAtOnce:
        return ReadingsAtOnce(
            *(self._venue, self.live, self.context, self.records, self._loop, self.ahead),
            position_check_s=self._settings.position_check_interval,
            take_legs=readings.take_legs,
            sample_legs=readings.sample_legs,
            touch=self.touch,
            work_of=readings.of,
            take_wallet=self._on_wallet,
            on_pass=readings.pass_on,
            on_passed=readings.passed,
        )

    async def _serve_look_ups(self) -> None:
        while True:
            self.reconciler.look_up(await self.context.requests.next_look_up())

    # ------------------------------------------------------------------ what arrives

    def touch(self, about: Symbols) -> None:
        """Something happens to the strategies of these symbols; None: of all."""
        self.touched.note(about)
        self._seconds.touched.note(about)

    def _hear(self, frames: Sequence[Sequence[PrivateEvent]]) -> None:
        if self.is_ready:
            self._stream_alive()
            before = self._balance
            for events in frames:
                self._router.take_private(events)
                if self.records.has_later:
                    self.records.write()
            self._look_at_money(before)
        else:
            self._early.extend(frames)

    def _on_wallet(self, wallet: WalletEvent, source: str) -> None:
        """The wallet was read."""
        before = self._balance
        self._router.on_wallet(wallet, source)
        self._look_at_money(before)

    def _look_at_money(self, before: Decimal | None) -> None:
        """Another balance may happen to all whose sizes follow from it; nobody decides anew before the next price."""
        if self._balance != before:
            self.has_other_balance = True

    def take_other_balance(self) -> bool:
        """Whether the balance has become another since this was asked last."""
        found, self.has_other_balance = self.has_other_balance, False
        return found

    @property
    def _balance(self) -> Decimal | None:
        wallet = self.context.funds.wallet
        return None if wallet is None else wallet.wallet_balance

    def forget_settled(self) -> None:
        """Forget the orders that were settled when this was called last, when nothing of before then can be under way
        any more. A worker keeps the last 500 of each strategy, 1 kB each, for what comes late."""
        for symbol, runner in self.runners.items():
            index = runner.book.index
            index.forget(index.retired - self._settled.get(symbol, 0))
            self._settled[symbol] = index.retired

    def plan(self) -> None:
        """Have the work of seconds come when it is due. Call it after anything happened."""
        if self.is_ready:
            self._seconds.plan()

    def on_ticker(self, ticker: TickerEvent) -> None:
        """A price has come."""
        self.touch((ticker.symbol,))
        self._stream_alive()
        self._router.take_ticker(ticker)
        self.records.write()

    def on_quiet_ticker(self, ticker: TickerEvent) -> None:
        """A price has come a while ago at which nothing else has happened (`StrategyRunner.quiet_interval`)."""
        runner = self.runners.get(ticker.symbol)
        if runner is None:
            return
        runner.set_price(ticker)
        if not runner.risk_state.halted:
            if runner.is_shadow:
                runner.on_ticker(ticker)
            else:
                runner.engine.on_event(ticker, runner.book.limit_orders)

    def _stream_alive(self) -> None:
        """What each second says of the stream, up to the last one that has passed."""
        second = (self._loop.now_us - self._ready_us) // SECOND_US
        if second != self._alive:
            self._alive = second
            self.context.gate.stream_alive(self._clock.monotonic_s())
