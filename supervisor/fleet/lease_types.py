"""What the lease machine (`lease.py`) is asked, answers and knows: plain values, without I/O.

Times ending in `_ns` are of this host's CLOCK_BOOTTIME, which no clock step changes and which counts a suspended
machine; those ending in `_us` are of the database's clock, microseconds UTC. Neither is ever compared with the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "Acquire",
    "Answer",
    "Asked",
    "Away",
    "Barred",
    "Effect",
    "Event",
    "Extended",
    "Gained",
    "HostId",
    "Lapsed",
    "LeaseRow",
    "LeaseState",
    "LeaseTimes",
    "Leave",
    "Look",
    "Looked",
    "Lost",
    "Phase",
    "Quiet",
    "Release",
    "Released",
    "Renew",
    "Renewed",
    "Tick",
    "Want",
]

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """The times of the lease, in seconds. All hosts of a fleet have the same."""

    ttl_s: float = 10.0
    """How long a lease holds from the time the database granted or renewed it."""
    margin_s: float = 1.0
    """So long before that its holder stops, counted from when it SENT the request."""
    recv_window_s: float = 2.0
    """So old a request may be when the exchange still takes it."""
    spare_s: float = 1.0
    """What a successor waits beyond `until` and `recv_window_s`."""

    @property
    def term_ns(self) -> int:
        """From sending a renewal to the holder's own end."""
        return round((self.ttl_s - self.margin_s) * SECOND_NS)

    @property
    def wait_us(self) -> int:
        """From `until` to when another host may have the lease."""
        return round((self.recv_window_s + self.spare_s) * 1e6)

    @property
    def ttl_us(self) -> int:
        return round(self.ttl_s * 1e6)

    @property
    def renew_ns(self) -> int:
        """Renewals are so far apart: three may fail before the lease ends."""
        return round(self.ttl_s * SECOND_NS / 4)

    @property
    def trust_ns(self) -> int:
        """So long a host must have seen the database's clock run evenly before it takes a lease that ran out."""
        return round((self.ttl_s + self.recv_window_s + self.spare_s) * SECOND_NS)


@dataclass(frozen=True, slots=True)
class HostId:
    """A host: its name in the configuration, and which run of its supervisor. Two runs are two holders."""

    name: str
    instance: str

    @property
    def addressee(self) -> str:
        """What commands for the host itself are addressed to; no account has such a name."""
        return f"host:{self.name}"


class LeaseState(StrEnum):
    """What the database says of a lease."""

    HELD = "held"
    ENDED = "ended"
    """Given up, but a request may still be under way: a successor waits as after the end of a lease."""
    FREE = "free"
    """Given up after every request was answered: anybody may have it at once."""


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """One row of the table `lease`."""

    account: str
    epoch: int
    holder: HostId
    state: LeaseState
    until_us: int
    previous: str = ""
    """The host that had it before this holder; empty when nobody had."""


class Phase(StrEnum):
    """Where an account stands with this host."""

    WATCHING = "watching"
    """Wanted, and not ours."""
    ASKING = "asking"
    """Our request for it is under way."""
    FOUND = "found"
    """The database says that it is ours, and we have not heard so: to be renewed, then it is `HELD`."""
    HELD = "held"
    """Ours. Its worker sends until the term's end, which each renewal moves."""
    LEAVING = "leaving"
    """Ours and not wanted any more: renewed until its worker has stopped in order."""
    ENDING = "ending"
    """Not ours any more, while its worker has not ended yet."""
    RELEASING = "releasing"
    """Its worker has ended; the database does not know yet."""


# ------------------------------------------------------------------ events


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Want:
    """The accounts that placement gives this host, all of them."""

    accounts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Quiet:
    """The account's worker has ended. `answered`: in order, and no request of it is without an answer."""

    account: str
    answered: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """When a request to the database was sent, and the database's clock when it was carried out."""

    sent_ns: int
    database_us: int


@dataclass(frozen=True, slots=True)
class Looked:
    """The rows of the accounts that `Look` named; one that is missing was never held by anybody."""

    asked: Asked
    accounts: frozenset[str]
    rows: tuple[LeaseRow, ...]


@dataclass(frozen=True, slots=True)
class Renewed:
    """Answer to `Renew`: of the leases `held`, those in `renewed` are ours until now + TTL."""

    asked: Asked
    held: Mapping[str, int]
    renewed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to `Acquire`: the row as it is now ours, or None when it was refused."""

    asked: Asked
    account: str
    row: LeaseRow | None


@dataclass(frozen=True, slots=True)
class Released:
    """Answer to `Release`."""

    account: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Away:
    """A request failed or was not answered in time. Whether the database carried it out is unknown."""

    request: Effect


@dataclass(frozen=True, slots=True)
class Barred:
    """A later holder's orders were seen at the exchange: the database cannot be right about this account."""

    account: str


Event = Barred | Tick | Want | Quiet | Looked | Renewed | Answer | Released | Away


# ------------------------------------------------------------------ effects: requests, then news


@dataclass(frozen=True, slots=True)
class Look:
    """Read the database's clock and these rows."""

    accounts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Renew:
    """Renew all these leases (account -> epoch) in one statement."""

    held: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Acquire:
    """Ask for a lease whose row had this epoch (0: there is no row).

    The database refuses when the row has changed, when it is not free yet, or when its own clock is past
    `latest_us`: then it was set forward since we last saw it, and nothing it says of an end is to be trusted.
    """

    account: str
    epoch: int
    latest_us: int


@dataclass(frozen=True, slots=True)
class Release:
    """Give a lease up. `free`: no request is without an answer, so that nobody needs to wait."""

    account: str
    epoch: int
    free: bool


@dataclass(frozen=True, slots=True)
class Gained:
    """The account is ours: start its worker. `previous` is the host that had it before, empty when nobody had."""

    account: str
    epoch: int
    sent_ns: int
    until_ns: int
    previous: str


@dataclass(frozen=True, slots=True)
class Extended:
    """The account stays ours: tell its worker the new end."""

    account: str
    epoch: int
    sent_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Lapsed:
    """The term has ended without a renewal. The worker has stopped sending by itself and goes on when it is renewed."""

    account: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Leave:
    """Placement does not want the account here any more: stop its worker in order, then say `Quiet`."""

    account: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Another host has the account: stop its worker, then say `Quiet`."""

    account: str
    epoch: int


Effect = Look | Renew | Acquire | Release | Gained | Extended | Lapsed | Leave | Lost
