"""Another configuration for an account that trades: strategies change, come and go, and the others notice nothing.

::

    in force ──prepare──► prepared ──apply──► orders of what goes are cancelled ──► in force: the new one
        ▲                    │                               │
        └───────forget───────┴──── all trades on, why is told┘

    changed   the runner goes on by the new settings (`StrategyRunner.renew`): orders, holds, legs and latches stay
    removed   it decides no more; its orders are cancelled until the exchange lists none; then nobody looks after it.
              Its position stays.
    added     its symbol is set up as at a start; what rests under its name is taken over; then it trades

What may fail comes first and is undone, what cannot fail comes last. Nothing of this is kept on the disk: the process
that follows a death begins with what its supervisor has for it: the new configuration once all have applied it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gridbot.config.account_models import StrategyConfig
from gridbot.config.models import GridbotConfig
from gridbot.core import Direction
from gridbot.exchange.failures import ExchangeError
from gridbot.flatten.flatten_words import Terms, Wanted
from gridbot.ports import ExchangeQueries
from gridbot.risk.loss_limit import LossLimit
from gridbot.strategies.base import CannotTrade
from gridbot.worker.members import Members
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.reload_effects import decides_anew, effect_of, is_replaced, made_anew, of_added, of_removed
from gridbot.worker.startup import PreparedSymbol, RefusedStrategy, prepare_symbol
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["CannotReload", "Reloading"]

log = logging.getLogger(__name__)

LEAVE_S = 20.0
"""How long the last executions of cancelled orders may take to come."""
LOOK_S = 0.05
AGAIN_S = 5.0
"""Between two tries to compare what was added with the exchange."""

Row = dict[str, Any]


class CannotReload(Exception):
    """The account goes on as it was; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Change:
    """What becomes of the strategies, by their names."""

    settings: GridbotConfig
    changed: Mapping[str, StrategyConfig] = field(default_factory=dict)
    removed: Mapping[str, StrategyConfig] = field(default_factory=dict)
    added: Mapping[str, StrategyConfig] = field(default_factory=dict)


class Reloading:
    """One per account that trades; the owner of the configuration that its strategies go by.

    `make_runner` makes the runner of a strategy whose symbol is prepared. It may raise OSError.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        queries: ExchangeQueries,
        make_runner: Callable[[StrategyConfig, PreparedSymbol], StrategyRunner],
        settings: GridbotConfig,
    ) -> None:
        self._orchestrator = orchestrator
        self._members = Members(orchestrator)
        self._queries = queries
        self._make_runner = make_runner
        self._settings = settings
        self._prepared: tuple[_Change, dict[str, PreparedSymbol]] | None = None
        self._busy = asyncio.Lock()
        self._half_done = False
        """Whether a fault of ours has broken off a reload between two configurations."""

    # ------------------------------------------------------------------ what is asked

    def look(self, settings: GridbotConfig) -> list[Row]:
        """What each strategy that changes, comes or goes would do with its orders. Raises CannotReload."""
        self._refuse_while_flattening()
        if self._half_done:
            raise CannotReload("a reload broke off half-way here, the log says why; the worker has to begin anew")
        change = self._change_to(settings)
        return [*self._rows_of_changed(change), *self._rows_of_removed(change), *map(of_added, change.added.values())]

    async def prepare(self, settings: GridbotConfig) -> None:
        """Read and set up what is new; after this `apply` may be asked for. Raises CannotReload, ExchangeError."""
        async with self._busy:
            self._prepared = None
            self.look(settings)
            change, ready = self._change_to(settings), {}
            now_ms = self._orchestrator.context.clock.wall_ms()
            for name, strategy in change.added.items():
                found = await prepare_symbol(self._queries, strategy, now_ms)
                if isinstance(found, RefusedStrategy):
                    raise CannotReload(f"{name} cannot start: {found.reason}")
                ready[name] = found
            for name, strategy in change.changed.items():
                self._check_tick(name, strategy)
            self._refuse_what_is_open(change, leave_positions=True)
            self._prepared = change, ready

    async def apply(self, *, leave_positions: bool = False) -> str:
        """Carry out what is prepared; what was done, in words. After CannotReload all is as it was.

        Without `leave_positions` what is removed has to be flat, also after its last fills.
        """
        async with self._busy:
            if self._prepared is None:
                raise CannotReload("nothing is prepared: this worker has begun anew meanwhile")
            (change, ready), self._prepared = self._prepared, None
            self._refuse_while_flattening()
            if self._change_to(change.settings) != change:
                raise CannotReload("another configuration was put in force meanwhile; reload again")
            await self._cancel(change, leave_positions=leave_positions)
            self._half_done = True
            came = self._swap(change, ready)
            self._renew(change)
            self._settings, self._half_done = change.settings, False
            log.info("[reload] %s", _told(change))
            await self._begin(came)
            return _told(change)

    def forget(self) -> None:
        """What was prepared is not applied."""
        self._prepared = None

    # ------------------------------------------------------------------ what differs

    def _change_to(self, settings: GridbotConfig) -> _Change:
        name = self._orchestrator.config.name
        before = {each.strat_id: each for each in self._settings.strategies_of(name)}
        after = {each.strat_id: each for each in settings.strategies_of(name)}
        both = before.keys() & after.keys()
        replaced = {name for name in both if is_replaced(before[name], after[name])}
        return _Change(
            settings,
            changed={n: after[n] for n in after if n in both - replaced and after[n] != before[n]},
            removed={n: before[n] for n in before if n not in after or n in replaced},
            added={n: after[n] for n in after if n not in before or n in replaced},
        )

    def _runner(self, strategy: StrategyConfig) -> StrategyRunner | None:
        """None for one that could not start."""
        runner = self._orchestrator.runners.get(strategy.symbol)
        return runner if runner is not None and runner.strat_id == strategy.strat_id else None

    def _rows_of_changed(self, change: _Change) -> list[Row]:
        rows = []
        for name, strategy in change.changed.items():
            runner = self._runner(strategy)
            if runner is None:
                rows.append(of_added(strategy) | {"held": "it could not start", "place": 0})
                continue
            try:
                rows.append(effect_of(runner, strategy))
            except CannotTrade as error:
                raise CannotReload(f"{name} would have no orders at the price now: {error}") from error
        return rows

    def _rows_of_removed(self, change: _Change) -> list[Row]:
        runners = [self._runner(strategy) for strategy in change.removed.values()]
        return [of_removed(runner) for runner in runners if runner is not None]

    def _check_tick(self, name: str, strategy: StrategyConfig) -> None:
        runner = self._runner(strategy)
        if runner is None or strategy.tick_size in (None, runner.instrument.tick_size):
            return
        raise CannotReload(
            f"expected tick_size {strategy.tick_size} for {strategy.symbol} as configured in {name}, the exchange has "
            f"{runner.instrument.tick_size}; correct it or leave the key out"
        )

    def _refuse_while_flattening(self) -> None:
        busy = self._orchestrator.flattening.busy
        if busy:
            symbols = ", ".join(sorted(busy))
            raise CannotReload(f"orders are cancelled or legs closed on {symbols} now; reload when that is over")

    # ------------------------------------------------------------------ what is done

    async def _cancel(self, change: _Change, *, leave_positions: bool) -> None:
        """Have the orders of what goes cancelled, confirmed by the exchange. Raises CannotReload, and all trade on."""
        leaving = [runner for each in change.removed.values() if (runner := self._runner(each)) is not None]
        ready = [runner for runner in leaving if runner.risk_state.ready]
        try:
            for runner in leaving:
                runner.stop()
            symbols = [each.symbol for each in change.removed.values() if not each.shadow_mode]
            if symbols:
                wanted = Wanted(dict.fromkeys(symbols, False), Terms())
                names = ", ".join(change.removed)
                # The next process would cancel what it places: it begins by the configuration of before.
                reason = f"cancel by a reload that removes {names}"
                done, text = await self._orchestrator.flattening.begin(wanted, reason, kept=False)
                if not done:
                    raise CannotReload(f"the orders of {names} could not all be cancelled: {text}")
            await self._until_gone(leaving)
            self._refuse_what_is_open(change, leave_positions=leave_positions)
        except BaseException:
            for runner in ready:
                runner.ready()
            raise

    def _refuse_what_is_open(self, change: _Change, *, leave_positions: bool) -> None:
        """By the exchange or by our executions. A name that goes on with something else must hold nothing at all."""
        ledger = self._orchestrator.context.ledger
        for name, strategy in change.removed.items():
            runner, is_replaced = self._runner(strategy), name in change.added
            if not is_replaced and (leave_positions or strategy.shadow_mode):
                continue
            sizes = {leg: ledger.leg(name, leg)[0] for leg in Direction}
            if runner is not None:
                sizes = {leg: sizes[leg] or runner.risk_state.legs[leg].size for leg in Direction}
            legs = " and ".join(f"{leg} {size:f}" for leg, size in sizes.items() if size)
            if not legs:
                continue
            if is_replaced:
                raise CannotReload(
                    f"{name} holds {legs}, which another strategy of that name would count as its own; give the new "
                    "one another strat_id, or close it first"
                )
            raise CannotReload(f"{name} holds {legs} now, which nobody would look after; close it first")

    async def _until_gone(self, leaving: list[StrategyRunner]) -> None:
        orchestrator = self._orchestrator
        clock = orchestrator.context.clock
        deadline_s = clock.monotonic_s() + LEAVE_S
        live = [runner for runner in leaving if not runner.is_shadow]
        while any(list(runner.book) for runner in live) or not all(
            orchestrator.reconciler.may_withdraw(runner.symbol) for runner in live
        ):
            if clock.monotonic_s() > deadline_s:
                names = ", ".join(runner.strat_id for runner in live)
                raise CannotReload(f"it is not known what became of each order of {names} yet; reload again")
            await clock.sleep(LOOK_S)

    def _swap(self, change: _Change, ready: Mapping[str, PreparedSymbol]) -> list[StrategyRunner]:
        """Those that come for those that go. Raises CannotReload with those back that had gone."""
        came = list[StrategyRunner]()
        held = self._why_all_are_held()
        gone = [runner for each in change.removed.values() if (runner := self._runner(each)) is not None]
        try:
            for runner in gone:
                self._members.withdraw(runner)
            for name, strategy in change.added.items():
                runner = self._make_runner(strategy, ready[name])
                if held:
                    runner.pause(reason=f"added while all of its account was held {held}")
                self._members.enroll(runner)
                came.append(runner)
        except Exception as error:
            for runner in came:
                self._members.withdraw(runner)
            for runner in gone:
                self._members.enroll_again(runner)
                runner.ready()
            if isinstance(error, OSError):
                self._half_done = False
                raise CannotReload(f"the disk does not give or take what a strategy needs: {error}") from error
            raise
        for strategy in change.removed.values():
            self._members.refused_goes(strategy)
        return came

    def _why_all_are_held(self) -> str:
        """What holds the account where everything of it is held, by whatever, also what is to go: then nothing begins
        to trade because it was added. Empty where something is free."""
        refused = self._orchestrator.refused
        holds = [runner.risk_state.holds for runner in self._orchestrator.runners.values()]
        holds += [refused.holds(each.strat_id) for each in refused]
        held = [each.durable().held for each in holds]
        if not held or not all(held):
            return ""
        hold, why = next(iter(held[0].items()))
        return f"({hold}): {why.reason}"

    async def _begin(self, came: list[StrategyRunner]) -> None:
        """Take over what rests and is held under the names of those that have come; they send nothing before."""
        live = [runner for runner in came if not runner.is_shadow]
        if live:
            try:
                await self._orchestrator.reconciler.run("reload")
            except ExchangeError as error:
                log.warning("[reload] what was added waits until it can be compared with the exchange: %s", error)
                self._orchestrator.until_stop(self._begin_later(live), "strategies that were added")
                came = [runner for runner in came if runner.is_shadow]
        self._let_trade(came)

    async def _begin_later(self, live: list[StrategyRunner]) -> None:
        while True:
            await self._orchestrator.context.clock.sleep(AGAIN_S)
            try:
                await self._orchestrator.reconciler.run("reload")
            except ExchangeError:
                continue
            self._let_trade([runner for runner in live if self._orchestrator.runners.get(runner.symbol) is runner])
            return

    def _let_trade(self, came: list[StrategyRunner]) -> None:
        context = self._orchestrator.context
        wallet = context.funds.wallet
        for runner in came:
            if not runner.is_shadow and wallet is not None:
                runner.on_wallet(wallet)
            runner.ready()
        if any(runner.is_shadow for runner in came):
            context.shadows.wallet_changed()

    def _renew(self, change: _Change) -> None:
        """What cannot fail: other settings for those that stay, other limits for the account."""
        orchestrator, settings = self._orchestrator, change.settings
        for strategy in change.changed.values():
            runner = self._runner(strategy)
            if runner is not None:
                anew = decides_anew(runner.settings, strategy)
                runner.renew(strategy, made_anew(runner, strategy) if anew else None)
            self._members.renewed(strategy)
        name = orchestrator.config.name
        live = [each.strat_id for each in settings.strategies_of(name) if not each.shadow_mode]
        if change.added or change.removed:
            orchestrator.losses.follow(live)
        caps = settings.account(name).caps
        if caps != self._settings.account(name).caps:
            resume = orchestrator.losses.resume
            limit = LossLimit(caps.session_loss_limit, caps.session_loss_includes_unrealised, resume)
            orchestrator.losses.limit(limit)
            orchestrator.caps.limit(caps)
            orchestrator.context.gate.limit(caps.max_notional)
        orchestrator.context.requests.reconcile("the configuration is another one")


def _told(change: _Change) -> str:
    parts = [("changed", change.changed), ("removed", change.removed), ("added", change.added)]
    told = [f"{word} {', '.join(names)}" for word, names in parts if names]
    return "; ".join(told) or "limits of the account"
