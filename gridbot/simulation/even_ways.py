"""A loop, a clock and a network without chance: every way takes the same time, and times are whole microseconds.

At one moment comes what was asked for first; only the market moves after everything else.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gridbot.simulation.network import Network, RequestFate
from gridbot.simulation.run_faults import Plan
from gridbot.simulation.virtual_loop import Handle, VirtualLoop
from gridbot.simulation.virtual_time import SimulatedClock

__all__ = ["EvenClock", "EvenLoop", "EvenNetwork", "Latencies"]

BEGIN_S = 1000.0
"""What the loop shows at the beginning of what it is for: as a backtest's, so that fractions are cut off alike."""
LAST_S = 0.5e-6
"""Behind what is due at a moment, and before the next one."""
TICKERS = "tickers."


@dataclass(frozen=True, slots=True)
class Latencies:
    """Microseconds of each way: a request to the exchange, its answer back, a private frame, a public one."""

    request_us: int = 20_000
    answer_us: int = 20_000
    private_us: int = 20_000
    ticker_us: int = 20_000


class EvenLoop(VirtualLoop):
    """`call_market` is for what moves the market; a moment is a whole microsecond.

    It starts `before_us` (microseconds) before the beginning.
    """

    def __init__(self, before_us: int) -> None:
        super().__init__(BEGIN_S - before_us / 1e6)

    @property
    def passed_us(self) -> int:
        """Microseconds since the beginning."""
        return round((self.now_s - BEGIN_S) * 1e6)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """Call at a time, rounded to the microsecond."""
        return super().call_at(BEGIN_S + round((when - BEGIN_S) * 1e6) / 1e6, callback, *args, context=context)

    def call_market(self, passed_us: int, callback: Callable[[], object]) -> None:
        """Call when so many microseconds have passed since the beginning, after all else of that moment."""
        when_s = BEGIN_S + passed_us / 1e6

        def at_last() -> None:
            self.now_s = when_s  # nobody was told of the moment in between
            callback()

        super().call_at(when_s + LAST_S, at_last, context=contextvars.Context())


class EvenClock(SimulatedClock):
    """The loop's time, exact; `begin_us` (UTC) is its beginning."""

    def __init__(self, loop: EvenLoop, begin_us: int) -> None:
        super().__init__(loop)
        self._even = loop
        self._begin_us = begin_us

    def true_ms(self) -> int:
        return self.wall_us() // 1000

    def wall_us(self) -> int:
        return self._begin_us + self._even.passed_us


class EvenNetwork(Network):
    """Nothing goes wrong. A symbol's tickers wait until it opens: `opens_us` (microseconds since the beginning)."""

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
        wait_us = self._opens_us[topic.removeprefix(TICKERS)] - self._even.passed_us
        return [(max(0, wait_us) / 1e6 + self._ticker_s, True)]
