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
from gridbot.config.snapshots import account_snapshot
from gridbot.exchange.bans import Ban
from gridbot.exchange.order_entry import by_socket
from gridbot.execution.executor import Executor
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.orders.ids import account_tag
from gridbot.orders.retry import RetryQueue
from gridbot.ports import Clock, Ids
from gridbot.risk.gate import Gate
from gridbot.state.unkept_holds import BEGINS_PAUSED
from gridbot.worker.account_disk import AccountDisk
from gridbot.worker.account_guards import account_guards
from gridbot.worker.context import WorkerContext
from gridbot.worker.entry_ways import leased, ways_of
from gridbot.worker.faults import Faults
from gridbot.worker.file_watch import FileWatch
from gridbot.worker.fleet_link import FleetLink
from gridbot.worker.known_account import KnownAccount, NotAsKnown, prove, settings_of
from gridbot.worker.line_file import stream_settings, wait_for_room
from gridbot.worker.operator_alerts import Tell
from gridbot.worker.orchestrator import FlattenParts, Orchestrator, Parts
from gridbot.worker.outside import Outside
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.reloading import Reloading
from gridbot.worker.runner_making import make_runner
from gridbot.worker.shadow_side import end_shadow_orders
from gridbot.worker.shadow_wire import Shadows
from gridbot.worker.spec import KNOWN, WorkerSpec
from gridbot.worker.startup import CLOCK_AGE_S, prepare_account, refused_by_disk
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
        self._spec, self._clock, self._begin_anew, self._hand = spec, clock, begin_anew, hand
        self._outside = outside or Outside()
        self._fleet = fleet or FleetLink(clock)
        self._run_id = f"{spec.run_id[:8]}-{ids.token(8)}"
        self._config = spec.settings.account(spec.account)
        self._strategies = spec.settings.strategies_of(spec.account)
        self.ready = False
        """Whether there is an orchestrator."""
        self.disk = AccountDisk(
            spec,
            records,
            alert=alert,
            clock=clock,
            run_id=self._run_id,
            outside=self._outside,
            hand=hand,
            share=share,
        )
        self.recorder, self.alerts = self.disk.recorder, self.disk.alerts
        self._lines = stream_settings(spec, self.disk.files, clock)
        self.lease = None if spec.lease is None else LeaseWatch(spec.lease, self._outside.boot_ns, clock.wall_ms)
        self._socket: TradeSocket | None = None
        key, secret = self._config.api_key, self._config.api_secret
        self._credentials = Credentials(key.get_secret_value(), secret.get_secret_value())
        self._settings = settings_of(account_snapshot(spec.settings, spec.account), self._credentials.api_key)
        self._endpoints = endpoints_for(self._config.environment, spec.paper_url, self._credentials)
        # Last: it is told nothing when the disk has refused the rest.
        self._fleet.hear_bans(partial(self._banned, others=True))

    @property
    def context(self) -> WorkerContext:
        return self.orchestrator.context

    def _banned(self, ban: Ban, *, others: bool = False) -> None:
        """The exchange bans our address, as it has told us or another account: nothing leaves by HTTP."""
        self.disk.ban.begin(ban.until_s - self._clock.monotonic_s())
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
            banned_for_s=max(self.disk.ban.left_s(), self._fleet.ban_left_s()),
            on_ban=self._banned,
            budget=self._fleet.budget,
            facts=self._fleet.facts,
            **leased(self.lease),
        )
        now_ms, read_s, age_s = self._clock.wall_ms(), self._clock.monotonic_s(), self._fleet.facts_age_s
        prepared = await prepare_account(
            self.rest, self._config, self._strategies, now_ms, facts_age_s=age_s, known=known
        )
        if self.disk.ledger.last_exec_ts == 0:
            self.disk.ledger.begin(
                await self.rest.server_time_ms(max_age_s=CLOCK_AGE_S)
            )  # earlier executions do not count
            try:
                self.disk.checkpoint.save_now(
                    self.disk.ledger
                )  # a death before the first fill must not begin it again, later
            except OSError as error:
                raise refused_by_disk(self._spec.data_dir, error) from error
        context = self._make_context()
        end_shadow_orders(context)
        unread = self.disk.take_unread()
        if unread:
            self.alerts("error", "holds", unread)
        losses, caps = account_guards(self._spec, self.disk.states, context, self._fleet.tell_caps)
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
            checkpoint=self.disk.checkpoint,
            flatten=FlattenParts(self.disk.flatten, self.rest, self.gateway, lambda: self.disk.states.unsaved),
            files=FileWatch(self.recorder, self.disk.files, self.disk.checkpoint, self.alerts),
            strategies=self._strategies,
            begin_anew=self._begin_anew,
            refused=RefusedStrategies(
                prepared.refused, load=self.disk.holds.of, keep=self.disk.holds.keep, wall_ms=self._clock.wall_ms
            ),
            user_id=prepared.user_id,
            cancels_when_lost=self._spec.cancels_when_lost,
        )
        runners = [
            make_runner(strategy, prepared.symbols[strategy.symbol], context, self.disk)
            for strategy in self._strategies
            if strategy.symbol in prepared.symbols
        ]
        self.orchestrator = Orchestrator(parts, runners)
        self.reloading = Reloading(
            self.orchestrator, self.rest, partial(make_runner, context=context, disk=self.disk), settings
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
            steps.callback(self.disk.close, reason)
            if hasattr(self, "rest"):
                steps.callback(self.rest.close)
            if self.ready:
                await self.orchestrator.stop()
        return self.disk.lost()

    # ------------------------------------------------------------------ parts

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
            ledger=self.disk.ledger,
            generations=self.disk.generations,
            retry=RetryQueue(),
            recorder=self.recorder,
            requests=requests,
            alert=self.alerts,
            faults=faults,
            shadows=Shadows(self._clock, gate.shadow()),
            trace=executor.trace,
            tallies=Tallies(self.rest.answers),
            passage=PassageWatch(self._clock, requests),
            recorded=self.disk.checkpoint.orders,
            keeps_raw=self._spec.settings.storage.raw_messages,
            data_dir=self._spec.data_dir,
            address=self._fleet.budget,
            lease=self.lease,
        )

    def _make_gateway(self, requests: RefreshRequests) -> BybitOrderGateway:
        """Orders by HTTP, and by a trade socket where one is wanted."""
        self._socket = None
        if not by_socket(self._config.order_entry, self._config.environment, self.disk.proof.acknowledged):
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
        self._socket, gateway = ways_of(self.rest, make, self.disk.proof, requests)
        return gateway

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
