"""Puts one account's parts together, and takes them apart again. The only place that knows all of them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.streams import StreamSet
from gridbot.config.snapshots import account_snapshot
from gridbot.config.models import StrategyConfig
from gridbot.config.storage import Durability as ConfiguredDurability
from gridbot.core import Direction, Instrument, PositionEvent
from gridbot.execution.executor import Executor
from gridbot.orders.ids import Generations
from gridbot.orders.retry import RetryQueue
from gridbot.orders.shadow_venue import ShadowVenue
from gridbot.records.journal import Durability, Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_types import AlertRecord
from gridbot.records.recorder import Recorder
from gridbot.risk.funds import Funds
from gridbot.risk.gate import Gate
from gridbot.risk.loss_limit import LossLimit
from gridbot.state.documents import StateFile
from gridbot.state.grid_store import GridAnchorStore
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.state.run_log import RunLog
from gridbot.state.state_files import StateFiles
from gridbot.strategies.grid import GridConfig, GridEngine
from gridbot.worker.context import WorkerContext
from gridbot.worker.orchestrator import Alert, Orchestrator
from gridbot.worker.startup import gather_facts
from gridbot.worker.strategy_runner import StrategyRunner
from gridbot.worker.system_ports import SystemClock

if TYPE_CHECKING:
    from gridbot.worker.main import WorkerSpec

__all__ = ["Assembly"]

log = logging.getLogger(__name__)


class Assembly:
    """Made once per process; `start` may be tried again after `undo_start`. `close` always ends it."""

    def __init__(self, spec: WorkerSpec, records: Any, *, alert: Alert) -> None:
        settings = spec.settings
        self._spec = spec
        self._run_id = f"{spec.run_id[:8]}-{os.urandom(4).hex()}"
        self._config = settings.account(spec.account)
        self._strategies = settings.strategies_of(spec.account)
        self._tell = alert
        self.ready = False
        durability = (
            Durability.POWER if settings.storage.durability is ConfiguredDurability.POWER else Durability.PROCESS
        )
        self.recorder = Recorder(
            spec.account,
            self._run_id,
            Journal(journal_directory(spec.data_dir, spec.account), spec.account, durability),
            records,
            keep_journal=settings.storage.keep_journal,
        )
        snapshot = account_snapshot(settings, spec.account)
        # After the journal: its lock says that nobody else writes the account's state.
        self._files = StateFiles(spec.data_dir / "state" / spec.account)
        self._run = RunLog(StateFile(self._files, "run.json"), self.recorder, snapshot, self._config.environment)
        self._run.begin()
        self.checkpoint = Checkpoint(StateFile(self._files, "ledger.json"), self.recorder)
        self._ledger = self.checkpoint.load()
        self._generations = _generations(StateFile(self._files, "generation.json"))
        self._grids = GridAnchorStore(self._files)
        self._credentials = Credentials(
            self._config.api_key.get_secret_value(), self._config.api_secret.get_secret_value()
        )
        self._endpoints = endpoints_for(self._config.environment, spec.paper_url)
        self._latch = LossLimit(StateFile(self._files, "latch.json"), self._config.caps, self._strategies)

    @property
    def context(self) -> WorkerContext:
        return self.orchestrator.context

    # ------------------------------------------------------------------ start and stop

    async def start(self) -> None:
        """Learn the facts, build everything, make it equal to the exchange. Raises ExchangeError or StartRefused."""
        settings = self._spec.settings
        self._rest = BybitRest(self._endpoints, self._credentials, timeout=settings.rest_fetch_timeout)
        facts = await gather_facts(self._rest, self._config, self._strategies, time.time_ns() // 1_000_000)
        if self._ledger.last_exec_ts == 0:
            # A ledger that begins: what was executed before is nobody's business here.
            self._ledger.last_exec_ts = await self._rest.server_time_ms()
        executor = Executor(self._rest.orders, SystemClock(), before_send=self.recorder.write)
        gate = Gate(Funds(), account_max_notional=self._config.caps.max_notional, warn=self._cap_warning)
        gate.auth = type(gate.auth)(cooldown_s=settings.auth_cooldown_minutes * 60)
        orchestrator = Orchestrator(
            self._config,
            settings,
            rest=self._rest,
            recorder=self.recorder,
            gate=gate,
            executor=executor,
            ledger=self._ledger,
            generations=self._generations,
            retry=RetryQueue(),
            run_id=self._run_id,
            alert=self.alert,
            make_streams=self._streams,
        )
        for strategy in self._strategies:
            orchestrator.add(self._runner(strategy, facts.instruments[strategy.symbol], orchestrator.context))
        self.orchestrator = orchestrator
        self._latch.load(gate, self._ledger)
        self.ready = True
        await orchestrator.start()

    async def undo_start(self) -> None:
        """Close what a failed start had opened."""
        if self.ready:
            self.ready = False
            await self.orchestrator.stop()
        self._rest.close()

    async def close(self, reason: str) -> None:
        """Settle, flush, write down that the run ended. Never raises: a stop must come to its end."""
        if self.ready:
            await self.orchestrator.stop()
        if hasattr(self, "_rest"):
            self._rest.close()
        self._run.end(reason)
        try:
            self.checkpoint.save_now(self._ledger)
            self._run.confirm()
        except OSError as error:
            log.error("cannot write the state of this run: %s; the next start reads the journal instead", error)
        self.recorder.close()
        self._files.close()

    # ------------------------------------------------------------------ what the worker asks for

    def alert(self, level: str, key: str, text: str, strategy: str = "") -> None:
        """Record an alert and pass it on."""
        self.recorder.record(AlertRecord(strategy=strategy, level=level.upper(), key=key, text=text))
        self._tell(level, key, text, strategy)

    def guard_losses(self) -> None:
        """Latch the account when its session has lost too much; while latched, keep cancelling until nothing rests."""
        gate = self.orchestrator.context.gate
        text = self._latch.check(self._ledger, gate.funds.wallet_balance, self._unrealised())
        if text and not gate.loss_latched:
            gate.loss_latched = text
            self.alert("error", "session_loss_limit", text)
        if gate.loss_latched:
            for runner in self.orchestrator.live.values():
                runner.orders.cancel_all("session_loss_limit")

    def clear_latch(self) -> None:
        self.orchestrator.context.gate.loss_latched = ""
        self._latch.clear(self._ledger)

    def _unrealised(self) -> Decimal:
        wallet = self.orchestrator.context.gate.funds.wallet
        return (wallet.unrealised_pnl if wallet else None) or Decimal(0)

    # ------------------------------------------------------------------ parts

    def _runner(self, strategy: StrategyConfig, instrument: Instrument, account: WorkerContext) -> StrategyRunner:
        name = strategy.strat_id
        engine = GridEngine(
            strategy.symbol,
            instrument,
            GridConfig(
                grid_count=strategy.grid_count,
                grid_step=strategy.grid_step,
                rebalance_threshold=strategy.rebalance_threshold,
            ),
            name,
            restored=self._grids.load(name),
        )
        if engine.restore_note:
            log.info("%s: the grid is built anew: %s", name, engine.restore_note)
        venue = gate = None
        if strategy.shadow_mode:
            venue = ShadowVenue(strategy.symbol, run_id=self._run_id)
            gate = Gate(Funds(), warn=self._cap_warning)
            for direction in Direction:
                size, entry = self._ledger.leg(name, direction)
                venue.restore(PositionEvent(strategy.symbol, direction, size, entry or None))
        runner = StrategyRunner(
            strategy,
            instrument,
            engine,
            account,
            save_grid=lambda exchange_ts: self._grids.save(name, engine.state()),
            venue=venue,
            gate=gate,
        )
        self._grids.save(name, engine.state())
        return runner

    def _streams(self, symbols: Sequence[str], on_wake: Callable[[], None]) -> StreamSet:
        return StreamSet(
            self._endpoints,
            self._credentials,
            symbols,
            loop=asyncio.get_running_loop(),
            on_wake=on_wake,
            public_trades=self._spec.settings.storage.public_trades,
            clock_offset_ms=lambda: self._rest.clock_offset_ms,
        )

    def _cap_warning(self, key: str, text: str) -> None:
        self.alert("warning", f"cap.{key}", text)


def _generations(file: StateFile) -> Generations:
    """Go on behind the last block; a fresh directory starts at the clock, above any earlier installation's numbers."""
    document = file.load()
    clock_ms = time.time_ns() // 1_000_000
    start = max(int(document["next"]), 0) if document and "next" in document else clock_ms
    return Generations(start, lambda upto: file.save_now({"next": upto}))
