"""A loop, a clock and a network without chance: every way takes the same time, and times are whole microseconds.

At one moment the market moves first, then what arrives at the exchange or leaves it, then the worker; within each of
these, what was asked for first.
"""

from __future__ import annotations

import contextvars
import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gridbot.simulation.network import Network, RequestFate
from gridbot.simulation.run_faults import Plan
from gridbot.simulation.virtual_loop import LIFE, Handle, VirtualLoop
from gridbot.simulation.virtual_time import SimulatedClock

__all__ = ["EvenClock", "EvenLoop", "EvenNetwork", "Latencies"]

START_US = 1_000_000_000
"""What the loop shows when it begins: no time of a worker's may be zero."""
MARKET, EXCHANGE, WORKER = 0, 1 << 60, 2 << 60
TICKERS = "tickers."


@dataclass(frozen=True, slots=True)
class Latencies:
    """Microseconds of each way: a request to the exchange, its answer back, a private frame, a public one."""

    request_us: int = 20_000
    answer_us: int = 20_000
    private_us: int = 20_000
    ticker_us: int = 20_000


class EvenLoop(VirtualLoop):
    """`call_market` is for what moves the market; a moment is a whole microsecond."""

    def __init__(self) -> None:
        super().__init__(START_US / 1e6)

    @property
    def passed_us(self) -> int:
        """Microseconds since it began."""
        return round(self.now_s * 1e6) - START_US

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """Call at a time, rounded to the microsecond."""
        handle = self._handle(callback, args, context)
        rank = EXCHANGE if handle.context.get(LIFE) is None else WORKER
        heapq.heappush(self._timers, (round(when * 1e6) / 1e6, rank + next(self._numbers), handle))
        return handle

    def call_market(self, passed_us: int, callback: Callable[[], object]) -> None:
        """Call when so many microseconds have passed, before all else of that moment."""
        handle = self._handle(callback, (), contextvars.Context())
        when_s = (START_US + passed_us) / 1e6
        heapq.heappush(self._timers, (max(when_s, self.now_s), MARKET + next(self._numbers), handle))


class EvenClock(SimulatedClock):
    """The loop's time, from `epoch_us` (UTC) on, exact."""

    def __init__(self, loop: EvenLoop, epoch_us: int) -> None:
        super().__init__(loop)
        self._even = loop
        self._epoch_us = epoch_us

    def true_ms(self) -> int:
        return self.wall_us() // 1000

    def wall_us(self) -> int:
        return self._epoch_us + self._even.passed_us


class EvenNetwork(Network):
    """Nothing goes wrong. A symbol's tickers wait until it opens: `opens_us` has when (microseconds of the loop)."""

    def __init__(self, loop: EvenLoop, latencies: Latencies, opens_us: Mapping[str, int]) -> None:
        super().__init__(Plan(0, 0.0, False, ()), loop)
        self._even = loop
        self._opens_us = opens_us
        self._there_s, self._back_s = latencies.request_us / 1e6, latencies.answer_us / 1e6
        self._private_s, self._ticker_s = latencies.private_us / 1e6, latencies.ticker_us / 1e6

    def latency(self) -> float:
        return self._there_s

    def jitter(self) -> float:
        return 0.5

    def request(self, path: str, *, by_socket: bool = False) -> RequestFate:
        return RequestFate(self._there_s, self._back_s)

    def frame(self, topic: str) -> list[tuple[float, bool]]:
        if not topic.startswith(TICKERS):
            return [(self._private_s, True)]
        wait_us = self._opens_us.get(topic.removeprefix(TICKERS), 0) - self._even.passed_us
        return [(max(0, wait_us) / 1e6 + self._ticker_s, True)]
