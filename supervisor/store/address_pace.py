"""How fast the checks of `ledger check --exchange` may ask: all of them together, and beside the workers.

Bybit counts the requests of an address, whatever the account, and bans it for ten minutes when they are too many. The
workers are lent most of them by their supervisor, so the checks of all accounts share what is left to other programs
(`supervisor.requests_for_others`).
"""

from __future__ import annotations

from typing import Final

from gridbot.bybit.pace import Pace
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig, SupervisorConfig
from gridbot.exchange.environment import Environment
from gridbot.rolling_limit import RollingLimit

__all__ = ["Paces"]

ADDRESS_WINDOW_S: Final = 5.2
"""Bybit's five seconds, and what requests may differ in their way there."""


class Paces:
    """One pace for the paper exchange, one for Bybit; both for as long as a check takes."""

    def __init__(self, config: GridbotConfig) -> None:
        supervisor = config.supervisor
        self._of_paper = _pace(supervisor, config.paper.limits.ip_requests)
        self._of_bybit = _pace(supervisor, supervisor.requests_per_5s)

    def of(self, account: AccountConfig) -> Pace:
        """The one that the account's exchange takes; whoever asks it anything waits for a `turn` first."""
        return self._of_paper if account.environment is Environment.PAPER else self._of_bybit


def _pace(supervisor: SupervisorConfig, of_address: int) -> Pace:
    """Without a limit (0) it never waits."""
    return (
        Pace(RollingLimit(max(1, supervisor.share_of_others(of_address)), ADDRESS_WINDOW_S)) if of_address else Pace()
    )
