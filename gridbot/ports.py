"""What a worker needs of the outside, as small protocols. Everything behind them can be replaced: by virtual time, by
another transport, by files in memory.

    Clock                       monotonic and wall time, sleeping, timers
    Ids                         names that nobody else has
    OrderGateway                create and cancel orders
    ExchangeQueries             listings, facts and settings of the account
    MarketStream, AccountStream what happens, pushed
    Files                       the small documents that survive a restart

`gridbot.bybit` implements the exchange's side, `gridbot.state` the files, `gridbot.worker.system_ports` the rest for a
real process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Clock", "Ids", "Timer"]


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Time. `monotonic_*` only grows and has no meaning outside this machine; `wall_*` is UTC since 1970."""

    def monotonic_s(self) -> float: ...
    def monotonic_ns(self) -> int: ...
    def wall_ms(self) -> int: ...
    def wall_us(self) -> int: ...

    async def sleep(self, seconds: float) -> None:
        """Let others run for so long."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call on the running loop after `delay_s` seconds unless cancelled before."""


class Ids(Protocol):
    """Randomness, where a name has to be unlike any other."""

    def token(self, digits: int) -> str:
        """So many random hex digits."""
