"""One kind of trouble for a fleet of real hosts, and the table of all kinds, which modules of cases fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from supervisor.trials.real_fleet import RealFleet

__all__ = ["CASES", "Case", "case"]

Run = Callable[[RealFleet], None]


@dataclass(frozen=True, slots=True)
class Case:
    """`run` does it to a fleet in which every host has an account that trades, and raises Broken."""

    name: str
    what: str
    run: Run
    sets_clocks: bool = False
    """Whether times of database and exchange cannot be compared after it."""
    nobody_can: bool = False
    """Whether it leaves accounts to no host that could take them, for as long as it likes."""
    cancels: AbstractSet[str] = frozenset()
    """Hosts with `on_lease_lost: cancel`."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """Further lines of the section `fleet` of each host."""
    needs: Callable[[], str] = lambda: ""
    """Why it cannot be run on this machine; empty when it can."""
    environment: Callable[[Path], Mapping[str, str]] = lambda place: {}
    """Further variables of the processes of hosts, with a directory of theirs."""


CASES: Final[dict[str, Case]] = {}


def case(what: str, **options: Any) -> Callable[[Run], Run]:
    """Put a function into the table, under its name."""

    def add(run: Run) -> Run:
        name = run.__name__.replace("_", "-")
        CASES[name] = Case(name, what, run, **options)
        return run

    return add
