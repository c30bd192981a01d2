"""What the strategies of a run were told, over all lives, to tell it again to fresh ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from gridbot.core import ExecutionEvent, Instrument, LimitOrders, TickerEvent
from gridbot.strategies.registry import KINDS
from gridbot.worker.reload_effects import TRIAL

__all__ = ["Tape", "taped"]


@dataclass
class Tape:
    """One strategy: tickers as they were applied, each execution the first time, and what made it where a life began.

    `make` makes the first one, from a saved state or from nothing; the rules of the market may differ in a later life.
    """

    make: Callable[[Any], Any]
    engine: Any
    most: int
    """More orders than that in a leg are kept with a ticker: a strategy may start anew because of them."""
    events: list[tuple[TickerEvent | ExecutionEvent, LimitOrders | None] | Callable[[Any], Any]] = field(
        default_factory=list
    )
    known: set[str] = field(default_factory=set)
    is_over: bool = False
    """The life that was told all this has ended."""
    is_cut: bool = False
    """It ended with records that its disk did not have: what it was told last may be lost."""
    is_unknown: bool = False
    """A life that had put other settings in force ended with records that its disk did not have: with the settings of
    before, and what it was told since, nobody can say what the next one made of it."""
    _is_reloaded: bool = False
    _began: int = -1
    """Where the newest life began, in `events`; a start that is tried again begins several times."""

    def told(self, event: object, orders: LimitOrders) -> None:
        """Keep an event, unless it is an execution that an earlier life was told."""
        if isinstance(event, TickerEvent):
            many = max(len(orders.long), len(orders.short)) > self.most
            kept = LimitOrders(long=list(orders.long), short=list(orders.short)) if many else None
            self.events.append((event, kept))
        elif isinstance(event, ExecutionEvent) and event.exec_id not in self.known:
            self.known.add(event.exec_id)
            self.events.append((event, None))

    def end_life(self, *, loses_records: bool) -> None:
        """The process is gone."""
        self.is_over, self.is_cut = True, self.is_cut or loses_records
        self.is_unknown |= loses_records and self._is_reloaded
        self._is_reloaded = False

    def begin_life(self, again: Callable[[Any], Any], restored: Any) -> None:
        """A new life, or another try to start one, goes on from a saved state (None: from nothing), made by `again`."""
        if self.is_over:
            if self.is_cut:
                before = next((told for told in reversed(self.events) if callable(told)), self.make)
                self._cut_back(before(restored).state().to_dict())
            self._began = len(self.events)
        else:
            self._is_reloaded = True
        self.is_over = self.is_cut = False
        self.events.append(again)

    def _cut_back(self, restored: dict[str, Any]) -> None:
        """Forget what the last life was told after it first had this state; everything stays if it never had."""
        engine, nothing = self.make(None), LimitOrders(long=[], short=[])
        for number, told in enumerate([*self.events, None]):
            if number > self._began and not _differing(engine.state().to_dict(), restored):
                lost = [each[0] for each in self.events[number:] if not callable(each)]
                self.known -= {event.exec_id for event in lost if isinstance(event, ExecutionEvent)}
                del self.events[number:]
                return
            if callable(told):
                engine = told(engine.state())
            elif told is not None:
                engine.on_event(told[0], told[1] or nothing)

    def difference(self) -> str:
        """How the strategy's state differs from that of a fresh one told the same; empty when it does not.

        Where a life began, the fresh one goes on from its own state, saved without loss.
        """
        if self.is_unknown:
            return ""
        engine, nothing = self.make(None), LimitOrders(long=[], short=[])
        for told in self.events:
            if callable(told):
                engine = told(engine.state())
            else:
                engine.on_event(told[0], told[1] or nothing)
        theirs, ours = engine.state().to_dict(), self.engine.state().to_dict()
        names = _differing(theirs, ours)
        return ", ".join(f"{name} {ours[name]!s:.300}, a fresh one has {theirs[name]!s:.300}" for name in names)


COUNTERS = ("version", "exchange_ts")
"""Of changes, not of the grid: a restart may change them."""


def _differing(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    return [name for name in theirs if name not in COUNTERS and theirs[name] != ours[name]]


@contextlib.contextmanager
def taped(tapes: dict[str, Tape]) -> Iterator[None]:
    """Tape every strategy that is made meanwhile, by its id."""
    with contextlib.ExitStack() as stack:
        for kind in KINDS.values():
            stack.enter_context(patch.object(type(kind), "make", _making(type(kind).make, tapes)))
        yield


def _making(make: Callable[..., Any], tapes: dict[str, Tape]) -> Callable[..., Any]:
    def made(kind: Any, keys: Any, instrument: Instrument, strat_id: str, restored: Any) -> Any:
        def again(state: Any) -> Any:
            return make(kind, keys, instrument, strat_id, state)

        engine = again(restored)
        if strat_id == TRIAL:
            return engine
        tape = tapes.get(strat_id)
        if tape is None:
            tape = tapes[strat_id] = Tape(again, engine, kind.most_orders(keys))
        else:
            tape.begin_life(again, restored)
        tape.engine = engine
        decide = engine.on_event

        def on_event(event: object, orders: LimitOrders) -> Sequence[Any]:
            tape.told(event, orders)
            answer: Sequence[Any] = decide(event, orders)
            return answer

        engine.on_event = on_event
        return engine

    return made
