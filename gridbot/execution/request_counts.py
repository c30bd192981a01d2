"""What became of the requests for orders since the start of a worker: how long they took, and what was answered.

    frame ──(to_request)──► request ──(to_answer)──► answer
    frame ──────────────────(through)──────────────► answer

`to_request` has requests that left at the end of the decision that wanted them: what waited for budget, a permit or
the next turn of the loop was not late for want of speed. Nothing here is called before the request has left.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import repeat
from typing import Any, Final

from gridbot.exchange.answer_counts import AnswerCounts
from gridbot.exchange.failures import ExchangeError

__all__ = ["ANSWER_S", "REQUEST_S", "RequestCounts", "TimeBuckets"]

REQUEST_S: Final = (0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0)
"""Upper ends of the buckets from frame to request, seconds: our own work."""
ANSWER_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Those from request to answer: the way to the exchange and back."""


class TimeBuckets:
    """How often something took how long. `counts` has one more than the bounds: what took longer than the last."""

    __slots__ = ("bounds", "counts", "total_s")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = list(repeat(0, len(bounds) + 1))
        self.total_s = 0.0

    def took(self, seconds: float) -> None:
        """Count one more; a bound belongs to its bucket."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total_s += seconds

    def document(self) -> dict[str, Any]:
        """For the report: each count, and the sum in seconds."""
        return {"counts": list(self.counts), "total_s": round(self.total_s, 9)}


class RequestCounts:
    """One per executor."""

    __slots__ = ("answers", "through", "to_answer", "to_request")

    def __init__(self) -> None:
        self.to_request = TimeBuckets(REQUEST_S)
        self.to_answer = {kind: TimeBuckets(ANSWER_S) for kind in ("create", "cancel")}
        self.through = TimeBuckets(ANSWER_S)
        """Of the requests of `to_request` that create orders: all of the way."""
        self.answers = AnswerCounts()
        """Of orders."""

    def left(self, frame_ns: int, sent_ns: int) -> None:
        """A request has left at the end of the decision that a frame caused; ns of the monotonic clock."""
        if 0 < frame_ns <= sent_ns:
            self.to_request.took((sent_ns - frame_ns) / 1e9)

    def answered(
        self, kind: str, moments: tuple[int, int], answered_ns: int, errors: Iterable[ExchangeError | None]
    ) -> None:
        """A request (`create` or `cancel`) was answered; for each of its orders why not, or None for done.

        `moments`: when the frame came that caused it, or 0, and when it had left; ns.
        """
        frame_ns, sent_ns = moments
        self.to_answer[kind].took(max(0, answered_ns - sent_ns) / 1e9)
        if kind == "create" and 0 < frame_ns <= sent_ns <= answered_ns:
            self.through.took((answered_ns - frame_ns) / 1e9)
        for error in errors:
            self.answers.came(error)

    def document(self) -> dict[str, Any]:
        """For the report of the worker."""
        return {
            "frame_to_request": self.to_request.document(),
            "frame_to_answer": self.through.document(),
            **{f"{kind}_to_answer": times.document() for kind, times in self.to_answer.items()},
            "ret_codes": dict(self.answers),
        }
