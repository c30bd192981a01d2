"""When a worker that was told of a latch counts as one that will not carry it out by itself. Pure; seconds."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["ANSWER_S", "BEGUN_S", "DONE_S", "Stage", "is_overdue"]

ANSWER_S: Final = 1.0
"""A worker that has said nothing for so long, since it was told that it is held, hangs."""
DONE_S: Final = 3.0
"""One that talks has done it by then."""
BEGUN_S: Final = 10.0
"""One that starts does it before anything else, once it has begun: by then at the latest."""


class Stage(StrEnum):
    """How the process of an account is."""

    TRADES = "trades"
    BEGINS = "begins"
    """It starts or ends."""
    DOWN = "down"
    """There is none."""


def is_overdue(stage: Stage, asked_s: float, heard_s: float, now_s: float) -> bool:
    """Whether it was asked too long ago. `heard_s`: when it said anything last."""
    passed_s = now_s - asked_s
    match stage:
        case Stage.TRADES:
            return now_s - max(asked_s, heard_s) >= ANSWER_S or passed_s >= DONE_S
        case Stage.BEGINS:
            return passed_s >= BEGUN_S
        case Stage.DOWN:
            return passed_s >= ANSWER_S
