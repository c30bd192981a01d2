"""Which faults of our own are new. The same fault again is the same incident, until it has not come for a while. Pure.

The cause of a fault is the part that failed, the type of what it raised, and the line that raised it.
"""

from __future__ import annotations

__all__ = ["CAUSES_MAX", "QUIET_S", "FaultBook", "in_words", "sentence"]

QUIET_S = 600.0
"""A fault that comes again after this time without it is a new incident."""
CAUSES_MAX = 200
"""Causes that are remembered; the one that has been quiet for longest is forgotten first."""


class FaultBook:
    """One per process or account."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def count(self, part: str, error: BaseException, now_s: float) -> int:
        """How often this cause has come in this incident, this time included; 1 is news. `now_s` is monotonic."""
        cause = (part, type(error).__name__, _place(error))
        times, last_s = self._seen.pop(cause, (0, now_s))
        times = 1 if now_s - last_s > QUIET_S else times + 1
        self._seen[cause] = (times, now_s)
        if len(self._seen) > CAUSES_MAX:
            del self._seen[next(iter(self._seen))]
        return times


def in_words(error: BaseException) -> str:
    """One line: what was raised, with its text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def sentence(part: str, error: BaseException) -> str:
    """What the operator is told: `part`, in words, has failed, and the traceback is in the log."""
    return f"{part} failed: {in_words(error)}; the log file has the traceback"


def _place(error: BaseException) -> str:
    trace, place = error.__traceback__, ""
    while trace is not None:
        place, trace = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return place
