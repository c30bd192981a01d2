"""Which services of the fleet this host does now (`supervisor.fleet.fleet_services`): the owner of their terms.

Gained, Extended ──► `holds` until then, by CLOCK_BOOTTIME ──► the process may run, may tell
Lapsed           ──► it does not hold any more; the process is ended
Leave, Lost      ──► the process is ended, then the lease is given up
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from gridbot import background
from gridbot.system_ports import boot_ns
from supervisor.fleet.fleet_services import NOTIFY, holder_of, service_home, told_s
from supervisor.fleet.fleet_view import View
from supervisor.fleet.lease_types import Extended, Gained, Lapsed, Leave, Lost
from supervisor.process.fleet_sight import FleetSight

__all__ = ["HeldServices"]

log = logging.getLogger("supervisor")

Json = dict[str, Any]
LAST_S: Final = 5.0
"""How long a process may take to end before its service is given up; it is killed then."""


class Quiet(Protocol):
    """Who is told that nothing of it runs here any more (`LeaseKeeper`)."""

    def quiet(self, account: str, *, answered: bool) -> None: ...


class HeldServices:
    """One per supervisor of a fleet. `processes` has, by the lease of a service, the name of the process that does it;
    `end` ends one, within so many seconds; `fails` says whether one does not work on this machine."""

    def __init__(
        self,
        processes: Mapping[str, str],
        end: Callable[[str, float], Awaitable[object]],
        fails: Callable[[str], bool] = lambda process: False,
        clock_ns: Callable[[], int] = boot_ns,
    ) -> None:
        self._processes = dict(processes)
        self._end = end
        self._fails = fails
        self._clock_ns = clock_ns
        self._until_ns: dict[str, int] = {}
        self._view = View()
        self._told_last = False
        """Whether we were the one who tells of alerts, when the database answered last."""

    @property
    def offered(self) -> frozenset[str]:
        """The services that this host could do now."""
        return frozenset(name for name, process in self._processes.items() if not self._fails(process))

    def wanted(self, view: View, me: str) -> frozenset[str]:
        """Those that this host is to do, by what the database says."""
        self._view = view
        self._told_last = self.holds(NOTIFY)
        return frozenset(name for name in self._processes if service_home(view, name) == me)

    def holds(self, name: str) -> bool:
        """Whether this host does it now."""
        return self._clock_ns() < self._until_ns.get(name, 0)

    def may_run(self, process: str) -> bool:
        """Whether the process of that name may run here: one that listens for the whole fleet, where it is its turn."""
        names = [name for name, each in self._processes.items() if each == process and name != NOTIFY]
        return all(map(self.holds, names))

    def on_lease(self, news: Gained | Extended | Lapsed | Leave | Lost, keeper: Quiet) -> None:
        """News of the keeper, on the loop."""
        name = news.account
        match news:
            case Gained(until_ns=until_ns):
                log.info("%s: this host does it for the whole fleet", name)
                self._until_ns[name] = until_ns
            case Extended(until_ns=until_ns):
                self._until_ns[name] = until_ns
            case Lapsed():
                log.warning("%s: its lease has ended; another host may do it", name)
            case Leave() | Lost():
                self._until_ns.pop(name, None)
                background.start(self._let_go(name, keeper), name=f"ending {name}")

    async def _let_go(self, name: str, keeper: Quiet) -> None:
        try:
            if name != NOTIFY:
                await self._end(self._processes[name], LAST_S)
        finally:
            keeper.quiet(name, answered=True)

    def tells(self, sight: FleetSight) -> Json:
        """Who tells people of alerts: `mode` is `tells` (we do, for the fleet), `alone` (the database is away: we tell
        what is ours; `former`: and what concerns all, as we did before) or `other`, with `lived_s`: how many seconds
        ago that one has surely lived and could tell, None where nobody is known to. What it could not tell since is
        told by whoever is next, should it die before it can."""
        if self.holds(NOTIFY):
            return {"mode": "tells"}
        if sight.away_s > sight.begun.times.ttl_s:
            return {"mode": "alone", "former": self._told_last}
        holder, lived_s = holder_of(sight.view, NOTIFY), told_s(sight.view, NOTIFY, sight.begun.times.ttl_s)
        if holder is None or lived_s is None:
            return {"mode": "other", "lived_s": None}
        return {"mode": "other", "lived_s": round(lived_s + sight.age_s + sight.untold_s(holder.host), 1)}

    def rows(self) -> list[Json]:
        """For the status model: each service that this host could do, and which host does it."""
        found = []
        for name, process in self._processes.items():
            lease = holder_of(self._view, name)
            found.append(
                {"service": process, "here": self.holds(name), "host": "" if lease is None else lease.host,
                 "epoch": 0 if lease is None else lease.epoch}
            )  # fmt: skip
        return found
