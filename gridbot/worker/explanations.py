"""A worker's answer to "why": makes the scenes that `gridbot/why` explains. It reads, and changes nothing.

The answer is made on the loop, between two prices: a millisecond for a strategy of a hundred orders.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from gridbot.commands.wording import did_you_mean
from gridbot.core import Direction, PlaceLimitIntent
from gridbot.execution.send_lane import PLACE
from gridbot.orders.proposal import Proposal
from gridbot.strategies.base import Wish
from gridbot.why.asked_about import Level, Scene, Sending, Spoken
from gridbot.why.explanation import MOST_ROWS, explain
from gridbot.why.hold_rows import held_row
from gridbot.worker.context import WorkerContext
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.startup import RefusedStrategy
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Explanations", "scene_of"]

MOST_OF_SEVERAL = 40
"""Missing orders that are told of each strategy when several are asked about."""


class Explanations:
    """Of the strategies of one account: those that run, and those that could not start."""

    def __init__(
        self,
        context: WorkerContext,
        runners: Collection[StrategyRunner],
        refused: RefusedStrategies,
        caps: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    ) -> None:
        self._context = context
        self._runners = runners
        self._refused = refused
        self._caps = caps

    def answer(self, strategy: str = "") -> dict[str, Any]:
        """JSON-able. Of one strategy, with its ladder, or of all. LookupError for one that is not there."""
        runners = [each for each in self._runners if strategy in ("", each.strat_id)]
        refused = [each for each in self._refused if strategy in ("", each.strat_id)]
        if strategy and not runners and not refused:
            known = [each.strat_id for each in (*self._runners, *self._refused)]
            there = f"expected a strategy of {self._context.name} ({', '.join(known)})"
            raise LookupError(f"{there}, got {strategy!r}{did_you_mean(strategy, known)}")
        now_s = self._context.clock.monotonic_s()
        most = MOST_ROWS if strategy else MOST_OF_SEVERAL
        caps = self._caps()
        return {
            "account": self._context.name,
            "time_ms": self._context.clock.wall_ms(),
            "strategies": [
                *(
                    explain(scene_of(self._context, each, caps), now_s, most, with_ladder=bool(strategy))
                    for each in runners
                ),
                *(self._of_refused(each) for each in refused),
            ],
        }

    def _of_refused(self, refused: RefusedStrategy) -> dict[str, Any]:
        """It could not start, so nothing of it is wanted yet."""
        account = self._context.name
        again = self._context.command_line(f"restart {account}")
        resume = self._context.command_line(f"resume {account}/{refused.strat_id}")
        word = "waiting" if refused.waits else "halted"
        text = f"{refused.reason}; looked at again each minute"
        holds = self._refused.holds(refused.strat_id).held
        return {
            "account": account,
            "strategy": refused.strat_id,
            "symbol": refused.symbol,
            "not_started": True,
            "holds": [
                held_row("strategy", word, text, lifted_by=again),
                *(
                    held_row(
                        "strategy", str(hold), held.reason, since_ms=held.since_ms, by=str(held.who), lifted_by=resume
                    )
                    for hold, held in holds.items()
                ),
            ],
        }


def scene_of(context: WorkerContext, runner: StrategyRunner, caps: Sequence[Mapping[str, Any]] = ()) -> Scene:
    """All that the explanation of a strategy looks at, as of now."""
    view, gate = runner.risk_state, runner.gate
    wishes = runner.engine.wishes(view.last_price) if view.last_price is not None else ()
    taken = {(order.direction, order.ticks) for order in runner.book}
    return Scene(
        account=context.name,
        view=view,
        gate=gate.state,
        others=gate.account,
        wishes=wishes,
        command=context.command_line,
        proposals=_proposals(runner, [wish for wish in wishes if (wish.direction, wish.ticks) not in taken]),
        refused=runner.placement.refused,
        spoken=_spoken(context, runner.strat_id),
        retries={item.key: item for item in context.retry.items()},
        sending=Sending() if runner.is_shadow else _sending(context),
        has_numbers=context.generations.available(1),
        is_shadow=runner.is_shadow,
        account_caps=() if runner.is_shadow else caps,
        rules=runner.sizer.rule,
        low_balance=runner.sizer.long.low_balance,
        multipliers={direction: runner.sizer.multipliers(direction) for direction in Direction},
        liquidation={direction: runner.positions.liq_price(direction) for direction in Direction},
        blocked="" if runner.is_shadow else context.passage.blocked(runner.book, runner.strat_id),
        ladder=runner.engine.ladder(),
    )


def _proposals(runner: StrategyRunner, wishes: list[Wish]) -> dict[Level, Proposal]:
    symbol, place = runner.symbol, runner.placement.proposal
    return {
        (wish.direction, wish.ticks): place(
            PlaceLimitIntent(symbol, wish.side, wish.ticks, wish.direction, reduce_only=wish.closes, level=0)
        )
        for wish in wishes
        if not wish.waits
    }


def _spoken(context: WorkerContext, strategy: str) -> dict[Level, Spoken]:
    return {
        (direction, ticks): said
        for (name, direction, ticks), said in context.passage.spoken.items()
        if name == strategy
    }


def _sending(context: WorkerContext) -> Sending:
    executor, now_s = context.executor, context.clock.monotonic_s()
    queue, by_http = executor.queue, executor.by_http
    waiting = queue.creates.waiting
    endpoint = PLACE.batch if len(waiting) > 1 else PLACE.single
    return Sending(
        queued=frozenset(order.key for order in waiting),
        ban=executor.ban,
        by_http=by_http,
        is_full=queue.free <= 0,
        wait_s=queue.budget.wait_s(endpoint, now_s, by_http=by_http),
        late="" if context.address is None else context.address.why_late(),
    )
