"""The session loss limit: an account that has lost too much opens nothing until an operator resumes it. Pure.

The loss is counted from executions, fees and funding (and unrealised PnL when configured) since the latch was last
clear. Baseline and latch are saved, so they survive a restart (incidents L26, 5.2 no. 14).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.core.limits import Limit

__all__ = ["LossLimit"]

ZERO = Decimal(0)


class LossLimit:
    """USDT throughout; `net` is what the live strategies have made so far: realised less fees and funding.

    ::

        clear ──(loss above the limit)──► latched ──(an operator resumes)──► clear, with a new baseline
    """

    def __init__(self, limit: Limit | None, *, includes_unrealised: bool) -> None:
        self._limit = limit
        self._includes_unrealised = includes_unrealised
        self._baseline = ZERO
        self.latched = ""
        """Why the account opens nothing; empty while it may."""

    def begin(self, net: Decimal) -> None:
        """Count from here: there is no earlier run."""
        self._baseline, self.latched = net, ""

    def restore(self, document: Mapping[str, Any]) -> None:
        """Continue where an earlier run stopped, from its `to_document`."""
        self._baseline, self.latched = Decimal(document["baseline"]), str(document["latched"])

    def to_document(self) -> dict[str, Any]:
        """What `restore` needs, JSON-able."""
        return {"baseline": str(self._baseline), "latched": self.latched}

    def check(self, net: Decimal, wallet_balance: Decimal, unrealised: Decimal) -> bool:
        """Compare with the limit; True when the latch closes now."""
        if self.latched or self._limit is None or wallet_balance <= 0:
            return False
        result = net - self._baseline
        if self._includes_unrealised:
            result += unrealised
        # The wallet has shrunk by the loss already: the limit is a share of what it was.
        limit = self._limit.resolve(wallet_balance - min(result, ZERO))
        if -result <= limit:
            return False
        self.latched = (
            f"lost {-result:.2f} USDT since the latch was clear, the session loss limit is {limit:.2f}; "
            "nothing is opened until `resume`"
        )
        return True

    def clear(self, net: Decimal) -> None:
        """An operator resumes the account: count from here."""
        self.begin(net)
