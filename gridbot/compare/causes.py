"""Why a fill of one side is none of the other: by what that side recorded at the level, and of its account. Pure.

Each cause is decided by evidence of the side that lacks the fill, or has it later:

| cause | evidence |
|---|---|
| `queue` | an order of its own rested at the level and was not reached |
| `cap` | the gate had refused the order there for a cap |
| `halt` | the gate had refused it because trading was held, or a hold was set, or no worker ran |
| `refusal` | the gate had refused it for anything else, or the exchange had |
| `latency` | its order was on its way, came there within 5 s after the fill, or was withdrawn within 5 s before it |
| `unexplained` | nothing of that |

Where nothing of that is, a side that ordered elsewhere as it saw another price is a case of `latency` (`seen_prices`).
What is unexplained may be of ladders that went different ways, by `anchor` or by an earlier difference (`ladder_ways`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gridbot.risk.refusals import Refusal

__all__ = ["CAUSES", "Event", "Hold", "Missing", "cause_of", "missing_in"]

CAUSES: Final = ("queue", "latency", "cap", "halt", "refusal", "anchor", "unexplained")
LATE_MS: Final = 5_000
"""How long a decision, its request and the exchange's answer may take; what is later was another decision."""
_CAPS: Final = frozenset(
    {
        Refusal.MAX_OPEN_ORDERS,
        Refusal.MAX_ORDERS_PER_MINUTE,
        Refusal.MAX_NOTIONAL,
        Refusal.ACCOUNT_MAX_NOTIONAL,
        Refusal.MAX_MARGIN,
    }
)
_HALTS: Final = frozenset(
    {
        Refusal.STOPPING,
        Refusal.NOT_READY,
        Refusal.LATCHED,
        Refusal.PAUSED,
        Refusal.REDUCING,
        Refusal.HALTED,
        Refusal.AUTH_COOLDOWN,
        Refusal.STALE_PRICE,
        Refusal.NOT_TRADING,
        Refusal.LOSS_LIMIT,
        Refusal.NO_NUMBER,
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened at a level: `what` is place and cancel (decisions), opened (an order rests at the exchange), fill,
    refused (by the gate) or rejected (by the exchange). Time in ms UTC."""

    at_ms: int
    what: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """A time (ms UTC, the end not included) in which a side could not trade, and why."""

    since_ms: int
    until_ms: int
    why: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A fill that one side had at `at_ms` (ms UTC), and the side `of` (`here` or `there`) not, or not then."""

    of: str
    at_ms: int


def missing_in(outcome: str, here_ms: int | None, there_ms: int | None) -> Missing | None:
    """Which side lacks what, of a row of the table `compared`. None where nothing is missing: price or size differ."""
    if here_ms is None or there_ms is None:
        return Missing("here", there_ms) if there_ms is not None else Missing("there", here_ms or 0)
    if outcome != "time":
        return None
    return Missing("there", here_ms) if here_ms < there_ms else Missing("here", there_ms)


def cause_of(missing: Missing, events: Sequence[Event], holds: Sequence[Hold]) -> tuple[str, str]:
    """(cause, in words) by the events at the level, sorted by time, and the holds of the side that lacks the fill."""
    place = bisect_right(events, missing.at_ms, key=lambda event: event.at_ms)
    last = events[place - 1] if place else None
    if last is not None and last.what == "opened":
        return "queue", f"its order rested {_seconds(missing.at_ms - last.at_ms)} and was not reached"
    if last is not None and last.what == "place":
        return _under_way(missing.at_ms - last.at_ms, events[place:], missing.at_ms)
    if last is not None and last.what in ("refused", "rejected"):
        return _refused(last)
    held = next((hold for hold in holds if hold.since_ms <= missing.at_ms < hold.until_ms), None)
    if held is not None:
        return "halt", held.why
    later = next((event for event in events[place:] if event.what == "place"), None)
    if last is not None and last.what == "cancel" and missing.at_ms - last.at_ms <= LATE_MS:
        return "latency", f"its order was withdrawn {_seconds(missing.at_ms - last.at_ms)} before"
    if later is None:
        return "unexplained", "it wanted no order there"
    late_ms = later.at_ms - missing.at_ms
    return "latency" if late_ms <= LATE_MS else "unexplained", f"its order came {_seconds(late_ms)} later"


def _under_way(waited_ms: int, after: Sequence[Event], at_ms: int) -> tuple[str, str]:
    """Of an order that had been decided on and did not rest: it waited for the request limit, or for the exchange."""
    came = next(iter(after), None)
    if came is not None and came.what == "rejected":
        return _refused(came)
    since = f"its order was decided on {_seconds(waited_ms)} before"
    if came is None or came.what != "opened":
        return "latency", f"{since} and did not come to the exchange"
    return "latency", f"{since} and came to the exchange {_seconds(came.at_ms - at_ms)} after"


def _refused(event: Event) -> tuple[str, str]:
    words: Mapping[str, str] = {"refused": "the gate refused it", "rejected": "the exchange refused it"}
    said = f"{words[event.what]}: {event.reason}"
    if event.what == "refused" and event.reason in _CAPS:
        return "cap", said
    if event.what == "refused" and event.reason in _HALTS:
        return "halt", said
    return "refusal", said


def _seconds(ms: int) -> str:
    return f"{ms / 1000:g} s" if ms < 60_000 else f"{ms / 60_000:.0f} min"
