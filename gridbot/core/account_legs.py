"""All legs of an account as their executions make them, and what of the recorded figures they show to be wrong. Pure.

Whatever may change a figure that is recorded answers with `Correction`s: what is to be added to which execution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from gridbot.core.events import ExecType, ExecutionEvent, PositionEvent
from gridbot.core.leg_history import UNIT, Holding, LegHistory, Stated, Step
from gridbot.core.vocabulary import Direction

__all__ = ["AccountLegs", "Correction", "LegKey"]

ZERO = Decimal(0)
STEPS_MOST = 5_000
"""Executions that a leg keeps at most, however long the exchange's log cannot be read."""

LegKey = tuple[str, str, Direction]
"""Strategy, symbol (empty for a strategy, which has one only), direction."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be added (USDT) to the recorded figures of one execution. `final`: the exchange's own figure."""

    strategy: str
    symbol: str
    direction: Direction
    exec_id: str
    exec_type: ExecType
    is_maker: bool
    shadow: bool
    exchange_ts: int
    realised: Decimal
    fee: Decimal
    final: bool
    reason: str

    @property
    def net(self) -> Decimal:
        return self.realised - self.fee


@dataclass(slots=True)
class AccountLegs:
    """By (strategy, symbol, direction). Steps are kept by execution id, too, until they are folded."""

    histories: dict[LegKey, LegHistory] = field(default_factory=dict)
    """To be read."""
    _steps: dict[str, tuple[LegKey, Step]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, histories: Mapping[LegKey, LegHistory]) -> AccountLegs:
        """Legs that were saved."""
        kept = ((key, step) for key, history in histories.items() for step in history.steps)
        return cls(dict(histories), {step.exec_id: (key, step) for key, step in kept if step.exec_id})

    # ------------------------------------------------------------------ executions

    @property
    def kept(self) -> int:
        """How many executions are not folded yet."""
        return len(self._steps)

    def add(self, strategy: str, execution: ExecutionEvent, *, shadow: bool) -> tuple[Decimal, list[Correction]]:
        """Put an execution in its place: what it realised (USDT), and what that changes of those after it."""
        key, step, is_late = self._insert(strategy, execution, shadow=shadow)
        if not is_late:
            return step.realised, []
        reason = f"{step.exec_id} was made before it and came after it"
        changes = [(other, change) for other, change in self.histories[key].settle() if other is not step]
        return step.realised, [_correction(key, other, change, ZERO, False, reason) for other, change in changes]

    def restore(
        self, strategy: str, execution: ExecutionEvent, realised: Decimal, *, shadow: bool, is_final: bool
    ) -> None:
        """Put an execution in its place of which something is recorded; figures are compared by `settle` later."""
        key, step, is_late = self._insert(strategy, execution, shadow=shadow)
        step.realised = realised
        step.figure = realised if is_final else step.figure
        if is_late:
            history = self.histories[key]
            history.now = history.held_now()

    def learn(self, execution: ExecutionEvent) -> list[Correction]:
        """A repeat may bring the exchange's figure, which the first one did not have."""
        known = self._steps.get(execution.exec_id)
        if known is None or known[1].figure is not None or execution.realised is None:
            return []
        known[1].figure = execution.realised
        return self.settle("the exchange's own figure", known[0])

    def settle(self, reason: str, *keys: LegKey) -> list[Correction]:
        """Work everything out again that is not folded, of these legs or of all."""
        return [
            _correction(key, step, change, ZERO, step.figure is not None, reason)
            for key in keys or self.histories
            for step, change in self.histories[key].settle()
        ]

    def fold(self, before_ms: int) -> None:
        """Forget the executions older than an exchange time (ms): their figures are final."""
        for history in self.histories.values():
            if history.steps:
                for step in history.fold(before_ms, STEPS_MOST):
                    self._steps.pop(step.exec_id, None)

    # ------------------------------------------------------------------ the exchange's own figures

    def recorded(self, exec_id: str) -> Correction | None:
        """What is recorded of an execution (as `realised` and `fee`, USDT); None when it is not kept (any more).

        `final`: the exchange itself has said what was realised.
        """
        known = self._steps.get(exec_id)
        return (
            None
            if known is None
            else _correction(*known, known[1].realised, known[1].fee, known[1].figure is not None, "")
        )

    def correct(self, exec_id: str, realised: Decimal, fee: Decimal, reason: str) -> list[Correction]:
        """The exchange says what an execution that is kept realised and cost (USDT). Others may change with it."""
        key, step = self._steps[exec_id]
        change, change_of_fee = realised - step.realised, fee - step.fee
        step.realised, step.fee, step.figure = realised, fee, realised
        found = []
        if max(abs(change), abs(change_of_fee)) >= UNIT:
            found.append(_correction(key, step, change, change_of_fee, True, reason))
        return found + self.settle(reason, key)

    def take_in(self, correction: Correction) -> None:
        """Apply a correction that was made elsewhere, if its execution is kept."""
        known = self._steps.get(correction.exec_id)
        if known is not None:
            step = known[1]
            step.realised += correction.realised
            step.fee += correction.fee
            step.figure = step.realised if correction.final else step.figure

    # ------------------------------------------------------------------ what is held

    def held(self, key: LegKey) -> Holding:
        """What a leg holds now by our executions."""
        history = self.histories.get(key)
        return Holding() if history is None else history.now

    def about(self, strategy: str, row: PositionEvent) -> LegHistory:
        """The leg that a row is of, to be read; an empty one when nothing is known of it."""
        key = key_of(strategy, row)
        return self.histories.get(key) or LegHistory(key[2])

    def believe(self, strategy: str, row: PositionEvent) -> list[Correction]:
        """Take the exchange's position for what was held when it made the row."""
        self.restore_row(strategy, row)
        reason = "the exchange's position took the place of what our executions add up to"
        return self.settle(reason, key_of(strategy, row))

    def restore_row(self, strategy: str, row: PositionEvent) -> None:
        """Believe a row again that was believed before; figures are compared by `settle` later."""
        key = key_of(strategy, row)
        history = self.histories.setdefault(key, LegHistory(key[2]))
        history.believe(Stated.of(row))
        history.now = history.held_now()

    def _insert(self, strategy: str, execution: ExecutionEvent, *, shadow: bool) -> tuple[LegKey, Step, bool]:
        key, step = key_of(strategy, execution), Step.of(execution, shadow=shadow)
        if step.exec_id:
            self._steps[step.exec_id] = key, step
        history = self.histories.get(key) or self.histories.setdefault(key, LegHistory(key[2]))
        return key, step, history.add(step)


def key_of(strategy: str, event: ExecutionEvent | PositionEvent) -> LegKey:
    """Which leg an event is about."""
    return strategy, "" if strategy else event.symbol, event.direction


def _correction(key: LegKey, step: Step, realised: Decimal, fee: Decimal, final: bool, reason: str) -> Correction:
    return Correction(
        strategy=key[0],
        symbol=step.symbol,
        direction=key[2],
        exec_id=step.exec_id,
        exec_type=step.exec_type,
        is_maker=step.is_maker,
        shadow=step.shadow,
        exchange_ts=step.exchange_ts,
        realised=realised,
        fee=fee,
        final=final,
        reason=reason,
    )
