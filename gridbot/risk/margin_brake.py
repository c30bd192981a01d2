"""The margin ratio above which an account only reduces, until it is lower again, as a step. Pure.

The ratio is the exchange's maintenance margin rate of the account: maintenance margin / margin balance; at 1 it
liquidates. Above the limit nothing is opened; at nine tenths of it that is over, so that a ratio at the limit does not
place and withdraw the same orders all the time::

    free ──Ratio: above the limit──► braked ──Ratio: at most EASED_AT of the limit, `AT_LEAST_S` later──► free

Opening orders have a part in the ratio themselves, so withdrawing them alone may bring it far below: for `AT_LEAST_S`
the brake stays on, whatever the ratio is.

A `Ratio` has the lower and the higher of two looks in a row (`drawdown.TwoLooks`): one odd look changes nothing. A
ratio that nobody knows changes nothing either. It is not saved: the next start reads the ratio before anything trades.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

__all__ = ["AT_LEAST_S", "EASED_AT", "BrakeState", "Ratio", "step"]

EASED_AT: Final = Decimal("0.9")
"""Part of the limit at which the brake is off again."""
AT_LEAST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class BrakeState:
    """Why nothing is opened ("" while it may be), and since when (ms UTC, and monotonic seconds)."""

    reason: str = ""
    since_ms: int = 0
    since_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """The margin ratio now, 0 to 1 and above, as the lower and the higher of two looks; UTC and monotonic time."""

    low: Decimal
    high: Decimal
    now_ms: int
    now_s: float


def step(state: BrakeState, event: Ratio, most: Decimal | None) -> BrakeState:
    """Apply it; `most` is the limit (None: off)."""
    if most is None:
        return BrakeState()
    if state.reason:
        is_over = event.high <= most * EASED_AT and event.now_s - state.since_s >= AT_LEAST_S
        return BrakeState() if is_over else state
    if event.low <= most:
        return state
    eased = (most * EASED_AT).normalize()
    return BrakeState(
        f"the margin ratio is {event.low:.3f}, max_margin_ratio is {most.normalize():f}; nothing is opened until it is "
        f"{eased:f} or less",
        event.now_ms,
        event.now_s,
    )
