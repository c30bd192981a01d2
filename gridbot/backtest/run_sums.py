"""What a run adds up of its accounts while it goes on: how far it is, and what is to be known before believing it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gridbot.backtest.account_job import AccountJob, Counts
from gridbot.backtest.run_file import utc_of

__all__ = ["OnProgress", "Progress", "RunSums"]

MOST_WARNINGS: Final = 300
"""Kinds of them; what is told again and again is one."""
_NUMBERS: Final = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: the account, the simulated time (µs UTC) in its span, and what has happened so far."""

    account: str
    now_us: int
    from_us: int
    to_us: int
    ticks: int
    fills: int


OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class _Alert:
    """What an operator would have been told, the first time that it was; then again, `count` times in all."""

    first_us: int
    text: str
    last_us: int
    count: int = 1

    def line(self) -> str:
        again = f" ({self.count:,} times until {utc_of(self.last_us):%Y-%m-%d %H:%M})" if self.count > 1 else ""
        return f"{utc_of(self.first_us):%Y-%m-%d %H:%M} {self.text}{again}"


@dataclass(slots=True)
class RunSums:
    """Of all accounts of a run."""

    ticks: int = 0
    looks: int = 0
    fills: int = 0
    reached_us: int = 0
    said: dict[str, None] = field(default_factory=dict)
    alerts: dict[tuple[str, str], _Alert] = field(default_factory=dict)
    unkept: int = 0

    def warn(self, text: str) -> None:
        self.said[text] = None

    def told(self, account: str, now_us: int, strategy: str, text: str) -> None:
        """An operator would have been told. What differs by its numbers alone is the same again."""
        whose = strategy or account
        key = (whose, _NUMBERS.sub("", text))
        if (known := self.alerts.get(key)) is not None:
            known.count, known.last_us = known.count + 1, now_us
        elif len(self.alerts) < MOST_WARNINGS:
            self.alerts[key] = _Alert(now_us, f"{whose}: {text}", now_us)
        else:
            self.unkept += 1

    @property
    def warnings(self) -> list[str]:
        more = [f"{self.unkept:,} more things were told, of other kinds"] if self.unkept else []
        return [*self.said, *(alert.line() for alert in self.alerts.values()), *more]

    def before(self) -> tuple[int, int, int]:
        return self.ticks, self.looks, self.fills

    def progress(self, job: AccountJob, before: tuple[int, int, int], on_progress: OnProgress, counts: Counts) -> None:
        """The account that runs is that far; those before it had come to `before`."""
        ticks, looks, fills = before
        self.ticks, self.looks, self.fills = ticks + counts.ticks, looks + counts.looks, fills + counts.fills
        self.reached_us = counts.now_us
        on_progress(Progress(job.account, counts.now_us, job.from_us, job.to_us, self.ticks, self.fills))
