"""What was read before the checks, or why it could not be. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from gridbot.core.events import ExecutionEvent, OrderUpdateEvent, WalletEvent
from gridbot.core.instrument import Instrument
from gridbot.exchange.environment import Environment
from gridbot.exchange.examined import DeadManState, HeldLeg, SymbolTerms
from gridbot.exchange.requests import AccountInfo, ApiKeyInfo, FeeRate

__all__ = ["AccountFacts", "Local", "MachineFacts", "Needs", "SymbolFacts", "Unread"]


@dataclass(frozen=True, slots=True)
class Unread:
    """It could not be read, or was not asked for; the text says why.

    `is_absent`: the exchange has answered, and has no such thing.
    """

    text: str
    is_absent: bool = False


NOT_ASKED = Unread("not asked")


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """A symbol as an account trades it. `price` is the newest one (USDT)."""

    instrument: Instrument | Unread = NOT_ASKED
    price: Decimal | Unread = NOT_ASKED
    terms: SymbolTerms | Unread = NOT_ASKED
    fees: FeeRate | Unread = NOT_ASKED


@dataclass(frozen=True, slots=True)
class Local:
    """What this machine knows of an account.

    `holder` is the pid of a process that has the account's key and is none of this fleet ("unknown" where it does not
    say, "" when there is none). `next_number` is the first number of an order id that no process of this data directory
    has reserved, None when it has never traded the account. `adopted` are orders of other programs that
    our records know for ours: by their link ids, or the exchange's where they have none.
    """

    holder: str = ""
    next_number: int | None = None
    adopted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """One account. `executions` are its newest ones."""

    account: str
    environment: Environment
    key: ApiKeyInfo | Unread = NOT_ASKED
    info: AccountInfo | Unread = NOT_ASKED
    wallet: WalletEvent | Unread = NOT_ASKED
    dead_man: DeadManState | Unread = NOT_ASKED
    orders: Sequence[OrderUpdateEvent] | Unread = NOT_ASKED
    legs: Sequence[HeldLeg] | Unread = NOT_ASKED
    executions: Sequence[ExecutionEvent] | Unread = NOT_ASKED
    symbols: Mapping[str, SymbolFacts] = field(default_factory=dict)
    local: Local = Local()
    server_ms: int = 0
    """The exchange's time (ms UTC) when it was read."""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """This machine, or the container around us. Bytes, cores, numbers of files. None: not known, or no limit."""

    memory: int
    memory_free: int
    cores: float
    disk_free: int
    safe_write_ms: float | None
    files: int | None
    is_running: bool
    """Whether the fleet runs already: then what it takes is not free any more."""
    disk_problem: str = ""
    newer_data: str = ""
    """That a newer gridbot has worked in the data directory, in words."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a fleet takes (`supervisor/cli/fleet_size.py`): each account and all else."""

    worker_mb: int
    others_mb: int
    worker_core: float
    others_core: float
    files_each: int
    files_others: int
    start_requests: int
    start_requests_shared: int
    start_requests_symbol: int
    lines: int
    lines_each: int
    share: float
