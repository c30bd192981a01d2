"""One account: its strategies, its streams, and what runs around them. One asyncio loop, nothing blocking.

New frames call `_drain`, which routes them. Everything else happens once a second (`Clockwork`) or in the background
(`Jobs`). Each `_drain` ends with one write to the journal.

What raises here, and what it costs (`Faults` tells of each; see `Router`, `Clockwork` and `Jobs` for the rest):

    reading what arrived        an alert, and everything is compared with the exchange
    preparing a decision        an alert; it is made when the price comes
    a guard over losses, caps   all live strategies are halted: none may trade without it
    withdrawing, stopping       the strategy concerned is halted; the others are withdrawn and stopped
    saving the ledger           an alert; the journal has the executions
    the clock, the look-ups     fatal: the worker ends with an error
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from gridbot import background
from gridbot.config.account_models import AccountConfig, StrategyConfig
from gridbot.config.models import GridbotConfig
from gridbot.exchange.order_entry import HTTP_ONLY, EntryHealth
from gridbot.flatten.flatten_drive import FlattenQueries
from gridbot.ports import ExchangeQueries, OpenStreams, OrderGateway, OrderSocket, Timer
from gridbot.records.recorder import Recorder
from gridbot.state.flatten_file import FlattenFile
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.worker.account_records import AccountRecords
from gridbot.worker.adoption import Adoption
from gridbot.worker.bounded_wait import is_set_within
from gridbot.worker.cap_actions import CapActions
from gridbot.worker.cap_guard import CapGuard
from gridbot.worker.clockwork import Clockwork
from gridbot.worker.context import WorkerContext
from gridbot.worker.dead_man_watch import DeadManWatch
from gridbot.worker.explanations import Explanations
from gridbot.worker.file_watch import FileWatch
from gridbot.worker.flattening import Flattening
from gridbot.worker.jobs import Jobs
from gridbot.worker.lease_guard import LeaseGuard
from gridbot.worker.loss_guard import LossGuard
from gridbot.worker.money_watch import MoneyWatch
from gridbot.worker.notice_watch import NoticeWatch
from gridbot.worker.readings import Readings
from gridbot.worker.reconciler import Reconciler
from gridbot.worker.refused_strategies import NOBODY, RefusedStrategies
from gridbot.worker.router import Router
from gridbot.worker.schedule import CLOCK_S, LEASED_CLOCK_S, Intervals
from gridbot.worker.strategy_runner import StrategyRunner
from gridbot.worker.symbol_states import SymbolStates
from gridbot.worker.terms import Terms

__all__ = ["FlattenParts", "Orchestrator", "Parts"]

log = logging.getLogger(__name__)

OFFER_S = 0.05
CHECKPOINT_S = 10.0
SETTLE_S = 5.0
NOTICES_WITHIN_S = 60
FIRST_S, FIRST_WITHIN_S = 5, 10
"""From the start of trading to the first readings after it: one by one, and not while a fleet starts."""
FEW = 8
"""With so many accounts on an address all may start and read everything again at once."""
"""The exchange's announcements are read first within this time of a start, by each account at another moment."""


@dataclass(frozen=True, slots=True)
class FlattenParts:
    """What flattening needs; see `Flattening`."""

    file: FlattenFile
    queries: FlattenQueries
    gateway: OrderGateway
    unsaved: Callable[[], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What an orchestrator needs; made by the assembly."""

    config: AccountConfig
    settings: GridbotConfig
    context: WorkerContext
    queries: ExchangeQueries
    recorder: Recorder
    open_streams: OpenStreams
    losses: LossGuard
    caps: CapGuard
    checkpoint: Checkpoint
    files: FileWatch
    flatten: FlattenParts
    strategies: Sequence[StrategyConfig]
    begin_anew: Callable[[str], None]
    """Asks for another start of this worker, with the reason."""
    refused: RefusedStrategies = NOBODY
    order_socket: OrderSocket | None = None
    """None where orders go by HTTP alone."""
    user_id: str = ""
    """The exchange's number of the account; "" where it does not tell."""
    cancels_when_lost: bool = False
    """Whether all orders are cancelled shortly before a lease ends that was not renewed."""


class Orchestrator:
    """`start`, then `run_until_shutdown`, then `stop`, which leaves orders as they are."""

    def __init__(self, parts: Parts, runners: Sequence[StrategyRunner]) -> None:
        settings, context = parts.settings, parts.context
        self.config = parts.config
        self.settings = settings
        self.context = context
        self.recorder = parts.recorder
        self.losses = parts.losses
        self.caps = parts.caps
        self.files = parts.files
        self.refused = parts.refused
        """Strategies that could not start."""
        self.runners = {runner.symbol: runner for runner in runners}
        """All strategies that trade by symbol; `live` has those with orders on the exchange."""
        self.live = {runner.symbol: runner for runner in runners if not runner.is_shadow}
        self.flattening = _flattening(parts, self.live)
        self.streams = parts.open_streams(list(self.runners), self._wake)
        self._order_socket = parts.order_socket
        self.notices = _notice_watch(parts, self.runners)
        self.dead_man = DeadManWatch(
            parts.config.dead_man, parts.queries, context.requests, lambda: self.streams.dead_man_refused
        )
        self.records = AccountRecords(
            parts.recorder,
            context,
            self.runners,
            parts.refused,
            self.notices,
            lambda: self.order_entry,
            lambda: {**self.caps.standing(), **self.dead_man.standing(), **self.lease_guard.standing()},
        )
        self._cap_actions = CapActions(context, self.live, self.flattening, parts.refused)
        self.lease_guard = LeaseGuard(context, self.live, cancels=parts.cancels_when_lost)
        self.explanations = Explanations(context, self.runners.values(), parts.refused, parts.caps.rows)
        self._router = Router(
            context,
            self.runners,
            self.live,
            ticker_interval_s=settings.storage.ticker_interval,
            on_private_back=self.dead_man.is_due,
            saw=self.lease_guard.saw if context.lease is not None else None,
        )
        self.reconciler = Reconciler(
            parts.queries,
            self.live,
            context,
            on_wallet=self._router.on_wallet,
            refused=parts.refused,
            saw=self.lease_guard.saw if context.lease is not None else None,
        )
        self.adoption = Adoption(context, parts.queries, self.reconciler.run, parts.recorder.write)
        self.money = MoneyWatch(parts.queries, context, lambda: parts.recorder.last_seq)
        self.states = SymbolStates(context, self.runners, parts.refused)
        self.readings = self._readings(parts)
        self._jobs = Jobs(context.faults, context.jobs, context.clock, parts.recorder.flush)
        self.clockwork = Clockwork(
            context,
            self.runners.values(),
            self.readings,
            intervals=Intervals(
                order_sync_s=settings.order_sync_interval,
                position_check_s=settings.position_check_interval,
                wallet_s=settings.wallet_cache_interval,
                notices_after_s=crc32(context.name.encode()) % NOTICES_WITHIN_S,
                clock_s=CLOCK_S if context.lease is None else LEASED_CLOCK_S,
                first_s=_first_s(context.name, settings.neighbours(parts.config.name)),
            ),
            jobs=self._jobs,
            records=self.records,
            files=self.files,
            states=self.states,
            private_alive=lambda: self.streams.private_alive,
        )
        context.executor.tell_sight(lambda: self.streams.private_alive and not self.reconciler.misses_news)
        self._checkpoint = parts.checkpoint
        self._tasks: list[asyncio.Task[None]] = []
        self._routing = self._reconciled = False
        self._offer_timer: Timer | None = None

    @property
    def order_entry(self) -> EntryHealth:
        """By which way orders leave now."""
        return HTTP_ONLY if self._order_socket is None else self._order_socket.health()

    # ------------------------------------------------------------------ life

    async def start(self, prove: Callable[[], None] = lambda: None) -> None:
        """Connect, reconcile with the exchange, then let the strategies trade. Raises ExchangeError.

        `prove` is called when all is compared and nothing trades yet; what it raises ends the start.

        The streams are up before the listings are read: what happens meanwhile waits in their queue and is applied
        afterwards, so nothing is missed.
        """
        for refused in self.refused:
            self.context.alert("warning" if refused.waits else "error", refused.key, str(refused), refused.strat_id)
        if self._order_socket is not None:
            self._order_socket.start()
        await self.streams.start()
        self.dead_man.is_due()
        report = await self.reconciler.begin(knows_last=not self._checkpoint.is_brought)
        log.info("reconciled (start): %s", report)
        prove()
        self._reconciled = True
        self.guard_losses()  # before anything trades: an earlier life may have died before it looked
        self.flattening.load()
        for runner in self.runners.values():
            runner.ready()
        self._routing = True
        self._drain()
        self._tasks = [
            background.awaited(self.clockwork.run(), name="clockwork"),
            background.awaited(self._serve_look_ups(), name="look-ups"),
        ]
        self.flattening.go_on()

    def enroll(self, runner: StrategyRunner) -> None:
        """A strategy is one of this account (`members`)."""
        self.runners[runner.symbol] = runner
        if not runner.is_shadow:
            self.live[runner.symbol] = runner

    def withdraw(self, runner: StrategyRunner) -> None:
        """It is none any more (`members`)."""
        self.runners.pop(runner.symbol)
        self.live.pop(runner.symbol, None)

    def until_stop(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        """Run something that ends with this account at the latest."""
        self._tasks.append(background.awaited(coroutine, name=name))

    async def run_until_shutdown(self, shutdown: asyncio.Event) -> None:
        """Trade until `shutdown` is set. If one of our own tasks fails, raises its exception: the worker has to end."""
        clock = self.context.clock
        saved_s = clock.monotonic_s()
        while not shutdown.is_set():
            self._raise_failure()
            await is_set_within(shutdown, self.lease_guard.every_s(self.caps.every_s), clock)
            with self.context.faults.contained("the watch over the lease"):
                self.lease_guard.look()
            self.guard_losses()
            with self.context.faults.contained("saving the state"):
                self._checkpoint.release()
            if clock.monotonic_s() - saved_s > CHECKPOINT_S:
                saved_s = clock.monotonic_s()
                with self.context.faults.contained("saving the ledger"):
                    self._checkpoint.save(self.context.ledger)
        self._raise_failure()

    async def stop(self) -> None:
        """Send nothing new, wait for requests under way, close the streams."""
        await self.flattening.stop()
        self.context.gate.stop()
        for symbol, runner in self.runners.items():
            with self.context.faults.contained(f"{symbol}: stopping", symbol):
                runner.stop()
        await self.context.executor.drain(SETTLE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._jobs.stop()
        await self.reconciler.stop()
        self._drain()
        await self.streams.stop()
        self.context.executor.close()
        if self._order_socket is not None:
            await self._order_socket.stop()
        if self._offer_timer is not None:
            self._offer_timer.cancel()
        for runner in self.runners.values():
            runner.fill_lines.tell_rest()
        self.records.record_state()
        self.recorder.flush()

    def take_caps(self, word: Mapping[str, Any]) -> None:
        """The supervisor's word about the caps of groups and fleet: it counts at once."""
        self.caps.on_word(word, self.live.values())
        self.guard_losses()

    def guard_losses(self) -> None:
        """Latch the account when it has lost too much, look at its caps, and withdraw what they do not allow."""
        faults, latched = self.context.faults, False
        try:
            latched = self.losses.check()
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            for symbol in self.live:
                faults.report("the guard over the losses", error, symbol)
        if latched:
            for symbol, runner in self.live.items():
                with faults.contained(f"{symbol}: withdrawing all orders", symbol):
                    runner.orders.cancel_all("session_loss_limit")
        try:
            brake = self.caps.check(self.live.values(), is_counted=self._reconciled)
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            for symbol in self.live:
                faults.report("the guard over the caps", error, symbol)
        else:
            self._cap_actions.carry_out(brake, flattens=self.caps.is_flattening)

    # ------------------------------------------------------------------ inside

    def _readings(self, parts: Parts) -> Readings:
        instruments = {symbol: runner.instrument for symbol, runner in self.runners.items()}
        context = parts.context
        terms = Terms(
            parts.queries,
            parts.strategies,
            instruments,
            context.passage,
            states=self.states,
            alert=context.alert,
            begin_anew=parts.begin_anew,
            wall_ms=context.clock.wall_ms,
        )
        shadows = {symbol: runner.shadow for symbol, runner in self.runners.items() if runner.shadow is not None}
        return Readings(self.reconciler, self.money, terms, shadows, parts.context.faults, self.notices, self.dead_man)

    def _wake(self) -> None:
        if self._routing:
            self._drain()

    def _drain(self) -> None:
        """Route everything that has arrived, write the new records, and prepare for the next price."""
        try:
            self._router.route(self.streams.drain())
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            self.context.faults.report("reading what has arrived", error)
            self.context.requests.reconcile("what has arrived could not be read")
        if self.recorder.write():  # else no order has changed, and all is prepared
            if self._offer_timer is None:
                self._offer_timer = self.context.clock.call_later(OFFER_S, self._offer)
            for symbol, runner in self.runners.items():
                with self.context.faults.contained(f"{symbol}: preparing the next decision"):
                    runner.prepare()

    def _offer(self) -> None:
        """Offer the records to the store's writer: a little later, so that no order waits for it."""
        self._offer_timer = None
        self.recorder.flush()

    async def _serve_look_ups(self) -> None:
        while True:
            order = await self.context.requests.next_look_up()
            with self.context.faults.contained(f"{order.symbol}: beginning a look-up", order.symbol):
                self.reconciler.look_up(order)

    def _raise_failure(self) -> None:
        for task in self._tasks:
            failure = task.exception() if task.done() and not task.cancelled() else None
            if failure is not None:
                raise failure


def _first_s(name: str, neighbours: int) -> float:
    """When the account reads again what its start has read, among so many on its address."""
    return FIRST_S + crc32(name.encode()) % FIRST_WITHIN_S if neighbours > FEW else 0.0


def _flattening(parts: Parts, live: Mapping[str, StrategyRunner]) -> Flattening:
    """For the strategies with orders on the exchange, and those that could not start."""
    flatten = parts.flatten
    return Flattening(
        parts.context,
        live,
        {each.symbol: each.strat_id for each in parts.refused if not each.shadow},
        flatten.file,
        flatten.queries,
        flatten.gateway,
        unsaved=flatten.unsaved,
        write_ahead=parts.recorder.write_ahead,
    )


def _notice_watch(parts: Parts, runners: Mapping[str, StrategyRunner]) -> NoticeWatch:
    """For the symbols that are traded and those that are waited for."""
    symbols = {symbol: runner.strat_id for symbol, runner in runners.items()}
    waiting = {each.symbol: each.strat_id for each in parts.refused if each.waits}
    environment = parts.config.environment
    return NoticeWatch(parts.queries, parts.context, symbols | waiting, environment=environment, user_id=parts.user_id)
