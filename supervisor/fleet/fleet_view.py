"""The fleet at one moment, as PostgreSQL has it: its hosts, their leases, and which configuration counts.

Ages are in seconds by the database's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["HostRow", "LeaseSeen", "View"]


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host as the database has it. `left_s`: until its registration ends, negative when it has ended."""

    name: str
    instance: str
    state: str
    capacity: int
    address: str
    program: str
    offers: frozenset[str]
    not_offered: Mapping[str, str]
    draining: bool
    applied: int
    trouble: str
    left_s: float
    status_age_s: float | None

    @property
    def alive(self) -> bool:
        return self.left_s > 0


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """A lease as the database has it. `left_s`: until it ends; `held_s`: since its holder has had it."""

    account: str
    epoch: int
    host: str
    instance: str
    state: str
    previous: str
    left_s: float
    held_s: float

    @property
    def held(self) -> bool:
        return self.state == "held" and self.left_s > 0


@dataclass(frozen=True, slots=True)
class View:
    """The fleet at one moment, as far as placement needs it. `force`: the version that counts, 0 for none yet;
    `forced`: when it was put in force, as text."""

    hosts: tuple[HostRow, ...] = ()
    leases: tuple[LeaseSeen, ...] = ()
    wishes: Mapping[str, str] = field(default_factory=dict)
    force: int = 0
    forced: str = ""
