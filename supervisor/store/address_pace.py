"""How fast the checks of `ledger check --exchange` may ask: all of them together, and beside the workers.

Bybit counts the requests of an address, whatever the account, and bans it for ten minutes when they are too many. So
the checks of all accounts share one limit, which is half of what the address has; the workers need the rest.
"""

from __future__ import annotations

from typing import Final

from gridbot.bybit.pace import Pace
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.exchange.environment import Environment
from gridbot.rolling_limit import RollingLimit

__all__ = ["Paces"]

ADDRESS_REQUESTS: Final = 600
ADDRESS_WINDOW_S: Final = 5.0
"""What Bybit allows an address, all accounts together."""


class Paces:
    """One pace for the paper exchange, one for Bybit; both for as long as a check takes."""

    def __init__(self, config: GridbotConfig) -> None:
        self._of_paper, self._of_bybit = _half(config.paper.limits.ip_requests), _half(ADDRESS_REQUESTS)

    def of(self, account: AccountConfig) -> Pace:
        """The one that the account's exchange takes; whoever asks it anything waits for a `turn` first."""
        return self._of_paper if account.environment is Environment.PAPER else self._of_bybit


def _half(of_address: int) -> Pace:
    """Without a limit (0) it never waits."""
    return Pace(RollingLimit(max(1, of_address // 2), ADDRESS_WINDOW_S)) if of_address else Pace()
