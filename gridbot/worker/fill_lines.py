"""The log's lines about fills: one a minute for each strategy, with what came since the last one.

What no fill follows within a minute, and what is untold at a stop, has a line without a fill.

    12:00:01  [fill] long Buy 0.004 @ 60025.4, realised 0.0000, fee 0.0480
    12:01:04  [fill] short Buy 0.02 @ 2502.69, realised 0.1200, fee 0.0100 (and 33 more since the last line: ...)
    12:02:05  [fill] 7 more since the last line: realised 0.8400, fees 0.0350

At DEBUG each has its own line; the records have each one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from gridbot.core import ExecutionEvent

__all__ = ["FillLines"]

QUIET_S: Final = 60.0
ZERO: Final = Decimal(0)


class FillLines:
    """Owns what has not been told yet. `now_s` is monotonic."""

    def __init__(self, log: logging.LoggerAdapter[Any], now_s: Callable[[], float]) -> None:
        self._log = log
        self._now_s = now_s
        self._told_s = now_s() - QUIET_S
        self._forget()

    def _forget(self) -> None:
        self._count, self._realised, self._fees = 0, ZERO, ZERO

    def tell(self, execution: ExecutionEvent, realised: Decimal) -> None:
        """Write the line of a fill, or count it. `realised` in USDT, before fees."""
        tail, now_s = "", self._now_s()
        is_counted = now_s - self._told_s < QUIET_S
        if is_counted:
            self._count += 1
            self._realised += realised
            self._fees += execution.fee
            if not self._log.isEnabledFor(logging.DEBUG):
                return
        else:
            tail = f" (and {self._untold()})" if self._count else ""
            self._told_s = now_s
            self._forget()
        self._log.log(
            logging.DEBUG if is_counted else logging.INFO,
            "[fill] %s %s %s @ %s, realised %s, fee %s%s",
            execution.direction,
            execution.side,
            execution.qty,
            execution.price,
            f"{realised:.4f}",
            f"{execution.fee:.4f}",
            tail,
        )

    def look(self) -> None:
        """A second has passed: tell what is untold for a minute."""
        if self._count and self._now_s() - self._told_s >= QUIET_S:
            self.tell_rest()

    def tell_rest(self) -> None:
        """Tell what is untold now: no fill may follow."""
        if self._count:
            self._log.info("[fill] %s", self._untold())
            self._told_s = self._now_s()
            self._forget()

    def _untold(self) -> str:
        return f"{self._count} more since the last line: realised {self._realised:.4f}, fees {self._fees:.4f}"
