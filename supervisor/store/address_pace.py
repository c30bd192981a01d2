"""What the checks of `ledger check --exchange` may ask: all of them together, and beside the workers.

Bybit counts the requests of an address, whatever the account, and bans it for ten minutes when they are too many. So
the checks of all accounts share one guest of the supervisor (`supervisor.control.guest`), or what workers leave to
other programs when none runs. During a ban nobody may ask anything: a single request begins its ten minutes again for
the workers, too. So no check asks while a worker knows of a ban, and when one of them is told of one, all end.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from gridbot.budget.address_budget import AddressBudget
from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.exchange.bans import Ban
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ExchangeError
from gridbot.lock_file import Locked, take_lock
from supervisor.exit_codes import ExitCode
from supervisor.store.query import SqlFailed

__all__ = ["Guest", "Guests", "Paces", "only_check"]

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


class Guest(Protocol):
    """A part of what an exchange allows our address (`supervisor.control.guest.Guest`)."""

    @property
    def budget(self) -> AddressBudget: ...
    def banned(self, ban: Ban) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Guests(Protocol):
    """Makes one for an exchange, "bybit" or "paper", that has so many requests beside workers (None: no limit)."""

    def __call__(self, exchange: str, spare: int | None, on_ban: Callable[[Ban], object]) -> Guest: ...


class Paces:
    """One part of the paper exchange's requests, one of Bybit's; both for as long as a check takes.

    `data_dir` is where the workers keep what they were told of a ban. Without `guests` nothing is counted.
    """

    def __init__(self, config: GridbotConfig, data_dir: Path, guests: Guests | None = None) -> None:
        supervisor = config.supervisor
        allowed = {"paper": config.paper.limits.ip_requests, "bybit": supervisor.requests_per_5s}
        self._spare = {
            exchange: max(1, supervisor.share_of_others(count)) if count else None
            for exchange, count in allowed.items()
        }
        self._make = guests
        self._guests: dict[bool, Guest] = {}
        """Those there are now, by whether it is the paper exchange's."""
        self._banned_until_s: dict[bool, float] = {}
        """By whether it is the paper exchange."""
        self._told: defaultdict[bool, list[Callable[[Ban], object]]] = defaultdict(list)
        for account in config.accounts:
            self._note(account, monotonic_s() + _ban_left_s(data_dir / "state" / account.name / "ban.json"))
        self._exchanges = sorted({_on_paper(account) for account in config.accounts})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """While it is, whoever asks for one of the accounts waits for its turn."""
        async with AsyncExitStack() as stack:
            for on_paper in self._exchanges if self._make is not None else ():
                assert self._make is not None
                name = "paper" if on_paper else "bybit"
                guest = self._make(name, self._spare[name], partial(self._hear, on_paper))
                self._guests[on_paper] = await stack.enter_async_context(guest)
            try:
                yield
            finally:
                self._guests.clear()

    def budget_of(self, account: AccountConfig) -> AddressBudget | None:
        """The one of the account's exchange, while it is open."""
        guest = self._guests.get(_on_paper(account))
        return guest.budget if guest is not None else None

    def banned_for_s(self, account: AccountConfig) -> float:
        """Seconds that are left of a ban of our address by the account's exchange."""
        return max(0.0, self._banned_until_s[_on_paper(account)] - monotonic_s())

    def hear_bans(self, account: AccountConfig, told: Callable[[Ban], object]) -> None:
        """Have a function called with each ban that any check is told of by the account's exchange."""
        self._told[_on_paper(account)].append(told)

    def banned(self, account: AccountConfig, ban: Ban) -> None:
        """The account's exchange has told a check that it bans our address."""
        guest = self._guests.get(_on_paper(account))
        if guest is not None:
            guest.banned(ban)
        self._note(account, ban.until_s)
        self._tell(_on_paper(account), ban)

    def _hear(self, on_paper: bool, ban: Ban) -> None:
        """A worker was told of a ban."""
        self._banned_until_s[on_paper] = max(ban.until_s, self._banned_until_s.get(on_paper, 0.0))
        self._tell(on_paper, ban)

    def _tell(self, on_paper: bool, ban: Ban) -> None:
        for told in self._told[on_paper]:
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
