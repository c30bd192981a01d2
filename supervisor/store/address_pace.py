"""How fast the checks of `ledger check --exchange` may ask: all of them together, and beside the workers.

Bybit counts the requests of an address, whatever the account, and bans it for ten minutes when they are too many. The
workers are lent most of them by their supervisor, so the checks of all accounts share what is left to other programs
(`supervisor.requests_for_others`). During a ban nobody may ask anything: a single request begins its ten minutes again
for the workers, too. So no check asks while a worker knows of a ban, and when one of them is told of one, all end.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.bybit.pace import Pace
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig, SupervisorConfig
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.exchange.bans import Ban
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ExchangeError
from gridbot.lock_file import Locked, take_lock
from gridbot.rolling_limit import RollingLimit
from supervisor.exit_codes import ExitCode
from supervisor.store.query import SqlFailed

__all__ = ["Paces", "only_check"]

ADDRESS_WINDOW_S: Final = 5.2
"""Bybit's five seconds, and what requests may differ in their way there."""

LOCK: Final = "ledger_check.lock"


@contextmanager
def only_check(data_dir: Path) -> Iterator[None]:
    """Two checks at a time would ask twice of what is left to others. SqlFailed while another one runs here.

    A directory that takes no file keeps nobody from checking.
    """
    try:
        lock = take_lock(data_dir / LOCK)
    except Locked as other:
        raise SqlFailed(
            f"process {other} compares with the exchange now; two at a time would ask for more than is left to them of "
            "what the exchange allows this address: wait for its end",
            ExitCode.REFUSED,
        ) from None
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.close(lock)


class Paces:
    """One pace for the paper exchange, one for Bybit; both for as long as a check takes.

    `data_dir` is where the workers keep what they were told of a ban.
    """

    def __init__(self, config: GridbotConfig, data_dir: Path) -> None:
        supervisor = config.supervisor
        self._of_paper = _pace(supervisor, config.paper.limits.ip_requests)
        self._of_bybit = _pace(supervisor, supervisor.requests_per_5s)
        self._banned_until_s: dict[bool, float] = {}
        """By whether it is the paper exchange."""
        self._told: defaultdict[bool, list[Callable[[Ban], object]]] = defaultdict(list)
        for account in config.accounts:
            self._note(account, monotonic_s() + _ban_left_s(data_dir / "state" / account.name / "ban.json"))

    def of(self, account: AccountConfig) -> Pace:
        """The one that the account's exchange takes; whoever asks it anything waits for a `turn` first."""
        return self._of_paper if _on_paper(account) else self._of_bybit

    def banned_for_s(self, account: AccountConfig) -> float:
        """Seconds that are left of a ban of our address by the account's exchange."""
        return max(0.0, self._banned_until_s[_on_paper(account)] - monotonic_s())

    def hear_bans(self, account: AccountConfig, told: Callable[[Ban], object]) -> None:
        """Have a function called with each ban that any check is told of by the account's exchange."""
        self._told[_on_paper(account)].append(told)

    def banned(self, account: AccountConfig, ban: Ban) -> None:
        """The account's exchange has told a check that it bans our address."""
        self._note(account, ban.until_s)
        for told in self._told[_on_paper(account)]:
            told(ban)

    def _note(self, account: AccountConfig, until_s: float) -> None:
        on_paper = _on_paper(account)
        self._banned_until_s[on_paper] = max(until_s, self._banned_until_s.get(on_paper, 0.0))


def _on_paper(account: AccountConfig) -> bool:
    return account.environment is Environment.PAPER


def _ban_left_s(path: Path) -> float:
    """Seconds left by the file of a worker (`gridbot/worker/ban_file.py`), at most a whole ban.

    0 for one that says nothing; whether it is damaged is for the worker to say.
    """
    try:
        left_s = float((read_json(path.read_bytes())["until_ms"] - wall_ms()) / 1000)
    except (OSError, JsonMistake, KeyError, TypeError):
        return 0.0
    return min(max(0.0, left_s), ExchangeError.silence_s)


def _pace(supervisor: SupervisorConfig, of_address: int) -> Pace:
    """Without a limit (0) it never waits."""
    return (
        Pace(RollingLimit(max(1, supervisor.share_of_others(of_address)), ADDRESS_WINDOW_S)) if of_address else Pace()
    )
