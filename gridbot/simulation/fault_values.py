"""The faults of a run as values: kinds, one timed fault, and the plan that is made of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

__all__ = ["Fault", "FaultKind", "Plan", "is_latched"]


class FaultKind(StrEnum):
    """The ways in which a run goes wrong. Those above the line last for `for_s`, the others happen once."""

    REST_DOWN = "rest_down"
    REST_SLOW = "rest_slow"
    LOST_REQUESTS = "lost_requests"
    LOST_REPLIES = "lost_replies"
    REFUSALS = "refusals"
    LATE_REFUSALS = "late_refusals"
    NO_CREATES = "no_creates"
    BAN = "ban"
    SKEW = "skew"
    STREAMS_DOWN = "streams_down"
    DARK = "dark"
    LOST_FRAMES = "lost_frames"
    REPEATED_FRAMES = "repeated_frames"
    LATE_FRAMES = "late_frames"
    FULL_DISK = "full_disk"
    WRITE_ERRORS = "write_errors"
    SLOW_DISK = "slow_disk"
    STALL = "stall"
    HAND_MODE = "hand_mode"
    CHARGES = "charges"
    BAND = "band"
    OLD_LISTING = "old_listing"
    STRANGE_ROWS = "strange_rows"
    UNLISTED = "unlisted"
    NOT_OPEN = "not_open"
    RISK_CUT = "risk_cut"
    ENDED_AT_ONCE = "ended_at_once"
    MAINTENANCE = "maintenance"
    REPEATED_ANSWERS = "repeated_answers"
    LATE_ANSWERS = "late_answers"
    EXCHANGE_SKEW = "exchange_skew"
    # ---
    DROP = "drop"
    DEATH = "death"
    RESTART = "restart"
    LIQUIDATION = "liquidation"
    EXCHANGE_RESTART = "exchange_restart"
    CLOCK_STEP = "clock_step"
    HAND_TRADE = "hand_trade"
    HAND_ORDER = "hand_order"
    HAND_CANCEL = "hand_cancel"
    HAND_AMEND = "hand_amend"
    TICK_CHANGE = "tick_change"
    PAUSE = "pause"
    RESUME = "resume"
    RECONCILE = "reconcile"
    FUNDING = "funding"
    GAP = "gap"
    WICK = "wick"
    HAND_COVER = "hand_cover"
    FLATTEN = "flatten"
    RELOAD = "reload"
    STRANGE_EXECUTION = "strange_execution"
    COIN_FRAME = "coin_frame"
    DELISTING = "delisting"
    LOT_CHANGE = "lot_change"
    ADL = "adl"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `number` is its place in the drawn plan; `what` depends on the kind, see
    `run_faults`."""

    number: int
    kind: FaultKind
    at_s: float
    for_s: float = 0.0
    what: Mapping[str, str | float | int] = field(default_factory=dict)

    def __str__(self) -> str:
        lasting = f" for {self.for_s:.1f} s" if self.for_s else ""
        details = "".join(f" {name}={value}" for name, value in self.what.items())
        return f"#{self.number} {self.at_s:7.2f} s {self.kind}{lasting}{details}"

    def is_on(self, at_s: float) -> bool:
        """Whether a lasting fault acts now."""
        return self.at_s <= at_s < self.at_s + self.for_s


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: `length_s` of it may go wrong, then it has to come to rest."""

    seed: int
    length_s: float
    dense: bool
    faults: tuple[Fault, ...]

    def without(self, numbers: set[int]) -> Plan:
        """The same run with some faults left out."""
        return replace(self, faults=tuple(fault for fault in self.faults if fault.number not in numbers))

    def shortened(self, length_s: float) -> Plan:
        """The same run, ended earlier."""
        kept = tuple(
            replace(fault, for_s=min(fault.for_s, length_s - fault.at_s))
            for fault in self.faults
            if fault.at_s < length_s
        )
        return replace(self, length_s=length_s, faults=kept)


LATCHED_CHANCE = 0.05


def is_latched(seed: int) -> bool:
    """Whether an account loses more in this run than it may: its plan and its configuration have to agree."""
    return random.Random(f"latched:{seed}").random() < LATCHED_CHANCE
