"""The same request for many targets at once: whoever does not answer holds up nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

from supervisor.control.control_client import ControlError, Unanswered

__all__ = ["Outcome", "outcomes"]

AT_A_TIME: Final = 200
"""Requests that wait for an answer at once; the supervisor takes 256 connections."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the request for one target, `took_s` seconds after it was sent."""

    target: str
    """An account, ACCOUNT/STRATEGY, or a process."""
    result: str = ""
    failure: ControlError | None = None
    took_s: float = 0.0

    @property
    def done(self) -> bool:
        return self.failure is None

    @property
    def unanswered(self) -> bool:
        """Whether nobody answered in time; otherwise what was not done was refused."""
        return isinstance(self.failure, Unanswered)


def outcomes(targets: Sequence[str], send: Callable[[str], str]) -> Iterator[Outcome]:
    """Each as it comes, not in the order of the targets. `send` is called in a thread, and may raise ControlError."""

    def one(target: str) -> Outcome:
        began = time.monotonic()
        try:
            return Outcome(target, send(target), None, time.monotonic() - began)
        except ControlError as failure:
            return Outcome(target, "", failure, time.monotonic() - began)

    pool = ThreadPoolExecutor(max(1, min(AT_A_TIME, len(targets))), thread_name_prefix="command")
    try:
        for done in as_completed([pool.submit(one, target) for target in targets]):
            yield done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C nobody waits for the rest
