"""The strategies of an account that could not start, and what holds each besides: that outlives the refusal.

A refused strategy has no runner, so nobody whom a `pause` reaches, or a liquidation of its legs. It starts by itself
when its symbol may be traded again, and has to know of both then: they are kept like those of a strategy that trades
(`state/holds_file.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gridbot.risk.holds import Event, Hold, Holds, Kill, Pause, Reduce, Resume, Unlatch, Who, step
from gridbot.worker.startup import RefusedStrategy

__all__ = ["NOBODY", "RefusedStrategies"]


class RefusedStrategies:
    """One per account; it owns the holds of the strategies in it. `wall_ms` (ms UTC) says when one began.

    `load` has what an earlier life left of a strategy's holds, `keep` has them kept; neither blocks nor raises.
    """

    def __init__(
        self,
        refused: Sequence[RefusedStrategy] = (),
        *,
        load: Callable[[str], Holds] = lambda name: Holds(),
        keep: Callable[[str, Holds], None] = lambda name, holds: None,
        wall_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._refused = {each.strat_id: each for each in refused}
        self._holds = {name: load(name) for name in self._refused}
        self._keep = keep
        self._wall_ms = wall_ms

    def __iter__(self) -> Iterator[RefusedStrategy]:
        return iter(self._refused.values())

    def withdraw(self, strat_id: str) -> None:
        """It is not of this account any more."""
        self._refused.pop(strat_id, None)
        self._holds.pop(strat_id, None)

    def of_symbol(self, symbol: str) -> RefusedStrategy | None:
        """The strategy that would trade a symbol; None when it is not one of these."""
        return next((each for each in self if each.symbol == symbol), None)

    def holds(self, strat_id: str) -> Holds:
        """What holds it besides, and will when it starts."""
        return self._holds[strat_id]

    def held(self, strat_id: str) -> str:
        """The reasons of `holds`, in words; empty for none."""
        held = self._holds[strat_id].held
        return "; ".join(f"{hold}: {held[hold].reason}" for hold in Hold if hold in held)

    def pause(self, strat_id: str, who: Who = Who.OPERATOR, reason: str = "paused by the operator") -> None:
        """It places nothing when it starts, until an operator resumes it."""
        self._step(strat_id, Pause(reason, who))

    def reduce(self, strat_id: str, who: Who, reason: str) -> None:
        """It opens nothing when it starts, until an operator resumes it."""
        self._step(strat_id, Reduce(reason, who))

    def kill(self, strat_id: str, who: Who, reason: str) -> None:
        """It sends nothing when it starts, until an operator resumes it."""
        self._step(strat_id, Kill(reason, who))

    def resume(self, strat_id: str) -> None:
        """An operator ends all that holds it: it trades when its symbol may be traded."""
        self._step(strat_id, Resume())
        self._step(strat_id, Unlatch())

    def _step(self, strat_id: str, event: Event) -> None:
        self._holds[strat_id], changed = step(self._holds[strat_id], event, self._wall_ms())
        if changed:
            self._keep(strat_id, self._holds[strat_id])


NOBODY = RefusedStrategies()
"""Every strategy could start."""
