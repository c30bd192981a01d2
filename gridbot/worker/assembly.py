"""The composition root of one account: makes its parts, connects them, and closes them. It decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.order_gateway import BybitOrderGateway
from gridbot.bybit.streams import StreamSet
from gridbot.bybit.trade_socket import TradeSocket
from gridbot.config.account_models import StrategyConfig
from gridbot.config.snapshots import account_snapshot
from gridbot.exchange.bans import Ban
from gridbot.exchange.order_entry import by_socket
from gridbot.execution.executor import Executor
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.lease.record_floor import first_number
from gridbot.orders.ids import account_tag
from gridbot.orders.retry import RetryQueue
from gridbot.ports import Clock, Ids
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.recorder import Recorder
from gridbot.risk.gate import Gate
from gridbot.state import flatten_file
from gridbot.state.documents import StateFile, StopFile
from gridbot.state.generation_file import generations_from
from gridbot.state.holds_file import HoldsFile
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.state.run_log import RunLog
from gridbot.state.state_log import StateLog
from gridbot.state.strategy_store import GridAnchorStore, file_name
from gridbot.state.unkept_holds import BEGINS_PAUSED, take_unkept
from gridbot.worker.account_guards import account_guards
from gridbot.worker.ban_file import BanFile
from gridbot.worker.context import WorkerContext
from gridbot.worker.entry_proof import EntryProof
from gridbot.worker.entry_ways import leased, ways_of
from gridbot.worker.faults import Faults
from gridbot.worker.file_watch import FileWatch
from gridbot.worker.fleet_link import FleetLink
from gridbot.worker.known_account import KnownAccount, NotAsKnown, prove, settings_of
from gridbot.worker.line_file import stream_settings, wait_for_room
from gridbot.worker.newer_state import refuse_newer
from gridbot.worker.operator_alerts import Alerts, Tell
from gridbot.worker.orchestrator import FlattenParts, Orchestrator, Parts
from gridbot.worker.outside import Outside
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.reloading import Reloading
from gridbot.worker.shadow_side import end_shadow_orders, shadow_wire
from gridbot.worker.shadow_wire import Shadows
from gridbot.worker.spec import KNOWN, WorkerSpec
from gridbot.worker.startup import CLOCK_AGE_S, PreparedSymbol, prepare_account, refused_by_disk
from gridbot.worker.strategy_runner import Keeping, StrategyRunner
from gridbot.worker.tallies import Tallies

__all__ = ["Assembly"]

log = logging.getLogger(__name__)


class Assembly:
    """One per process. `start` may be called again after `undo_start`; `close` always comes last.

    `records` is the queue to the writer, or None; `alert` hears how incidents begin and end, after the records.
    `begin_anew` asks for another start, with the reason. `hand` gives a document that stops orders to the supervisor,
    `share` each file of state, and whether it stops orders, to the hosts of a fleet.
    `outside` makes what reaches the exchange and the disk; without it, the real ones. `fleet` is what is shared.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        records: Any,
        *,
        alert: Tell,
        clock: Clock,
        ids: Ids,
        outside: Outside | None = None,
        begin_anew: Callable[[str], None] = log.warning,
        hand: Callable[[str, dict[str, Any]], None] = lambda name, document: None,
        share: Callable[[str, bytes, bool], None] | None = None,
        fleet: FleetLink | None = None,
    ) -> None:
        settings = spec.settings
        self._spec, self._clock, self._begin_anew, self._hand = spec, clock, begin_anew, hand
        self._outside = outside or Outside()
        self._fleet = fleet or FleetLink(clock)
        self._run_id = f"{spec.run_id[:8]}-{ids.token(8)}"
        self._config = settings.account(spec.account)
        self._strategies = settings.strategies_of(spec.account)
        self.ready = False
        """Whether there is an orchestrator."""
        self.recorder = self._make_recorder(records)
        self.recorder.go_on_above(0 if spec.lease is None else first_number(spec.lease.epoch))
        self.alerts = Alerts(self.recorder, alert, clock)
        snapshot = account_snapshot(settings, spec.account)
        # After the journal: its lock guarantees that no other process writes the account's state.
        self._files = self._outside.files(spec.data_dir / "state" / spec.account)
        refuse_newer(self._files, [file_name(each.decided_by.name, each.strat_id) for each in self._strategies])
        self._lines = stream_settings(spec, self._files, clock)
        self.lease = None if spec.lease is None else LeaseWatch(spec.lease, self._outside.boot_ns, clock.wall_ms)
        run_file, epoch = StateFile(self._files, "run.json"), None if spec.lease is None else spec.lease.epoch
        self._run = RunLog(run_file, self.recorder, snapshot, self._config.environment, epoch=epoch)
        self._run.begin()
        shared = share if spec.lease is not None else None
        handed = {name: dict(document) for name, document in spec.held.items()}
        self._states = StateLog(self._files, self.recorder, hand=hand, handed=handed, share=shared)
        self.checkpoint = Checkpoint(
            StateFile(self._files, "ledger.json", share=shared),
            self.recorder,
            self._states,
            lambda text: self.alerts("error", "ledger_file", text),
        )
        self._ledger = self.checkpoint.load(clock.wall_ms())
        self._generation_file = StateFile(self._files, "generation.json")
        self._generations = generations_from(self._generation_file, clock)
        self._proof = EntryProof(StateFile(self._files, "order_entry.json"), self._config.environment)
        self._socket: TradeSocket | None = None
        self._holds = HoldsFile(StopFile(self._states, "holds.json"))
        self._ban = BanFile(StopFile(self._states, "ban.json"), clock)
        self._flatten = flatten_file.FlattenFile(StopFile(self._states, flatten_file.NAME))
        names = [strategy.strat_id for strategy in self._strategies]
        now_ms, lifted_by = clock.wall_ms(), f"resume {spec.account}"
        unread = (self._flatten.load(now_ms, lifted_by), self._holds.load(names, now_ms, lifted_by))
        take_unkept(spec.unkept, self._holds, self._flatten, hand)
        self._unread = "; ".join(filter(None, unread))
        key, secret = self._config.api_key, self._config.api_secret
        self._credentials = Credentials(key.get_secret_value(), secret.get_secret_value())
        self._settings = settings_of(snapshot, self._credentials.api_key)
        self._endpoints = endpoints_for(self._config.environment, spec.paper_url, self._credentials)
        # Last: it is told nothing when the disk has refused the rest.
        self._fleet.hear_bans(partial(self._banned, others=True))

    @property
    def context(self) -> WorkerContext:
        return self.orchestrator.context

    def _banned(self, ban: Ban, *, others: bool = False) -> None:
        """The exchange bans our address, as it has told us or another account: nothing leaves by HTTP."""
        self._ban.begin(ban.until_s - self._clock.monotonic_s())
        if not others:
            self._fleet.banned(ban)
        elif hasattr(self, "rest"):
            self.rest.banned(ban)
        if self.ready:
            self.context.executor.banned(ban)

    # ------------------------------------------------------------------ start and stop

    async def start(self) -> None:
        """Check the account, build everything, reconcile with the exchange.

        Raises ExchangeError or StartRefused, also when the disk refuses what has to be safe before the first order.
        """
        try:
            await self._start(KnownAccount.of(self._spec, self._settings, self._clock.monotonic_s()))
        except NotAsKnown as why:
            log.warning("%s; nothing has traded, and the start begins anew", why)
            await self.undo_start()
            await self._start(None)

    async def _start(self, known: KnownAccount | None) -> None:
        settings = self._spec.settings
        await wait_for_room(self._lines.room, self._fleet.line_starts, self._clock, self.alerts)
        self.rest = self._outside.rest(
            self._endpoints,
            self._credentials,
            timeout=settings.rest_fetch_timeout,
            banned_for_s=max(self._ban.left_s(), self._fleet.ban_left_s()),
            on_ban=self._banned,
            budget=self._fleet.budget,
            facts=self._fleet.facts,
            **leased(self.lease),
        )
        now_ms, read_s, age_s = self._clock.wall_ms(), self._clock.monotonic_s(), self._fleet.facts_age_s
        prepared = await prepare_account(
            self.rest, self._config, self._strategies, now_ms, facts_age_s=age_s, known=known
        )
        if self._ledger.last_exec_ts == 0:
            self._ledger.begin(await self.rest.server_time_ms(max_age_s=CLOCK_AGE_S))  # earlier executions do not count
            try:
                self.checkpoint.save_now(self._ledger)  # a death before the first fill must not begin it again, later
            except OSError as error:
                raise refused_by_disk(self._spec.data_dir, error) from error
        context = self._make_context()
        end_shadow_orders(context)
        if self._unread:
            self.alerts("error", "holds", self._unread)
            self._unread = ""
        losses, caps = account_guards(self._spec, self._states, context, self._fleet.tell_caps)
        parts = Parts(
            config=self._config,
            settings=settings,
            context=context,
            queries=self.rest,
            recorder=self.recorder,
            open_streams=self._streams,
            order_socket=self._socket,
            losses=losses,
            caps=caps,
            checkpoint=self.checkpoint,
            flatten=FlattenParts(self._flatten, self.rest, self.gateway, lambda: self._states.unsaved),
            files=FileWatch(self.recorder, self._files, self.checkpoint, self.alerts),
            strategies=self._strategies,
            begin_anew=self._begin_anew,
            refused=RefusedStrategies(
                prepared.refused, load=self._holds.of, keep=self._holds.keep, wall_ms=self._clock.wall_ms
            ),
            user_id=prepared.user_id,
            cancels_when_lost=self._spec.cancels_when_lost,
        )
        runners = [
            self._runner(strategy, prepared.symbols[strategy.symbol], context)
            for strategy in self._strategies
            if strategy.symbol in prepared.symbols
        ]
        self.orchestrator = Orchestrator(parts, runners)
        self.reloading = Reloading(
            self.orchestrator, self.rest, lambda strategy, symbol: self._runner(strategy, symbol, context), settings
        )
        if self._spec.paused:
            for runner in runners:
                runner.pause(reason=self._spec.paused)
            for each in parts.refused:
                parts.refused.pause(each.strat_id, reason=self._spec.paused)
            self._hand(BEGINS_PAUSED, {})
        self.ready = True
        await self.orchestrator.start(partial(prove, known, context.requests))
        if known is None:
            found = KnownAccount(prepared.user_id, frozenset(self.orchestrator.live), read_s)
            self._hand(KNOWN, found.document(self._settings))

    async def undo_start(self) -> None:
        """Close what a failed start had opened."""
        if self.ready:
            self.ready = False
            await self.orchestrator.stop()
        self.rest.close()

    async def close(self, reason: str) -> str:
        """Stop trading, flush, and record that the run ended; each step whatever became of the one before it.

        A sentence when the disk has not taken everything; "" when it has.
        """
        with contextlib.ExitStack() as steps:
            steps.callback(self._files.close)
            steps.callback(self._save_all)
            steps.callback(self.recorder.close)
            steps.callback(self._run.end, reason)
            if hasattr(self, "rest"):
                steps.callback(self.rest.close)
            if self.ready:
                await self.orchestrator.stop()
        stats = self.recorder.stats
        lost = stats.last_seq - stats.written_seq
        if lost <= 0:
            return ""
        why = stats.journal_error or "the journal ended before"
        return f"the disk did not take the last {lost} records ({why}){self.only_in_memory()}"

    def only_in_memory(self) -> str:
        """To be put behind a sentence: that the disk does not have what stops orders now. "" when it has."""
        names = ", ".join(self._states.unsaved)
        if not names:
            return ""
        return (
            f"; the disk did not take {names}: what was paused, halted, latched or resumed since holds as long as this "
            "supervisor runs, and no longer"
        )

    def _save_all(self) -> None:
        """With the journal closed, so safe. A failed write is logged: the stop has to finish."""
        try:
            self._generation_file.save_now({"next": self._generations.unused})  # the rest of its block is not skipped
            self.checkpoint.save_now(self._ledger)
            self._states.share()
            self._run.confirm()
        except OSError as error:
            log.error("cannot write the state of this run: %s; the next start reads the journal instead", error)

    # ------------------------------------------------------------------ parts

    def _make_recorder(self, records: Any) -> Recorder:
        account, storage, disk = self._spec.account, self._spec.settings.storage, self._outside.journal_disk
        directory = journal_directory(self._spec.data_dir, account)
        journal = Journal(directory, account, storage.durability, disk=disk, is_cut_off=self._spec.takes_over)
        return Recorder(account, self._run_id, journal, records, clock=self._clock, keep_journal=storage.keep_journal)

    def _make_context(self) -> WorkerContext:
        requests = RefreshRequests()
        faults = Faults(self.alerts, requests)
        self.gateway = self._make_gateway(requests)
        executor = Executor(
            self.gateway,
            self._clock,
            before_send=self.recorder.write_ahead,
            on_fault=faults.report,
            address=self._fleet.budget,
        )
        gate = Gate(
            self._clock.wall_ms,
            account_max_notional=self._config.caps.max_notional,
            auth_cooldown_s=self._spec.settings.auth_cooldown_minutes * 60,
            warn=self._cap_warning,
        )
        return WorkerContext(
            name=self._config.name,
            account_tag=account_tag(self._config.environment, self._config.name),
            run_id=self._run_id,
            clock=self._clock,
            gate=gate,
            executor=executor,
            ledger=self._ledger,
            generations=self._generations,
            retry=RetryQueue(),
            recorder=self.recorder,
            requests=requests,
            alert=self.alerts,
            faults=faults,
            shadows=Shadows(self._clock, gate.shadow()),
            trace=executor.trace,
            tallies=Tallies(self.rest.answers),
            passage=PassageWatch(self._clock, requests),
            recorded=self.checkpoint.orders,
            keeps_raw=self._spec.settings.storage.raw_messages,
            data_dir=self._spec.data_dir,
            address=self._fleet.budget,
            lease=self.lease,
        )

    def _make_gateway(self, requests: RefreshRequests) -> BybitOrderGateway:
        """Orders by HTTP, and by a trade socket where one is wanted."""
        self._socket = None
        if not by_socket(self._config.order_entry, self._config.environment, self._proof.acknowledged):
            return self.rest.orders

        make = partial(
            self._outside.trade_socket,
            self._endpoints.ws_trade,
            self._credentials,
            name=self._run_id,
            timeout=self._spec.settings.rest_fetch_timeout,
            settings=self._lines,
            **leased(self.lease),
        )
        self._socket, gateway = ways_of(self.rest, make, self._proof, requests)
        return gateway

    def _runner(self, strategy: StrategyConfig, symbol: PreparedSymbol, context: WorkerContext) -> StrategyRunner:
        name, kind, instrument = strategy.strat_id, strategy.decided_by, symbol.instrument
        states = GridAnchorStore(
            self._states, kind, lambda text: self.alerts("error", f"{kind.name}_file", text, strategy=name)
        )
        saved = states.load(name)
        engine = kind.make(strategy, instrument, name, None if saved is None else saved.state)
        if engine.restore_note:
            log.info("%s: the %s is built anew: %s", name, kind.name, engine.restore_note)
        holds = self._holds.of(name)
        for hold, held in holds.held.items():
            log.warning("%s starts %s, as an earlier run was (%s): %s", name, hold, held.who, held.reason)
        wire = shadow_wire(context, name, symbol) if strategy.shadow_mode else None
        runner = StrategyRunner(
            strategy,
            instrument,
            engine,
            context,
            keeping=Keeping(
                save_state=lambda told: states.save(name, runner.engine.state(), told),
                told=() if saved is None else [told for told in saved.told if self._ledger.is_new(told)],
                keep_holds=lambda held: self._holds.keep(name, held),
                holds=holds,
            ),
            wire=wire,
        )
        if saved is not None:
            runner.catch_up(saved.untold)
        runner.saving.save()
        return runner

    def _streams(self, symbols: Sequence[str], on_wake: Callable[[], None]) -> StreamSet:
        return self._outside.streams(
            self._endpoints,
            self._credentials,
            symbols,
            loop=asyncio.get_running_loop(),
            on_wake=on_wake,
            settings=self._lines,
            clock_offset_ms=lambda: self.rest.clock_offset_ms,
        )

    def _cap_warning(self, key: str, text: str) -> None:
        self.alerts("warning", f"cap.{key}", text)
