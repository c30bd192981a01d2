"""What this host sees of its fleet: the newest view of the database, whether that answers, what other hosts have told,
and how all of it is shown. It looks and tells; `fleet_host` acts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Any, Final

from gridbot.config.host_config import FleetSettings
from gridbot.incidents import Name, Standing
from supervisor.fleet.fleet_begin import Begun
from supervisor.fleet.fleet_incidents import standing
from supervisor.fleet.fleet_section import account_rows, as_before, dead_accounts, holders_of, host_rows, placed
from supervisor.fleet.fleet_section import takeover_s as takeover_seconds
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.fleet_view import View
from supervisor.fleet.host_placement import Placement, Wanted

__all__ = ["FleetSight"]

log = logging.getLogger("supervisor")

Json = dict[str, Any]
LENIENT_S: Final = 5.0
"""After the database was away for all, each host has so long to be heard of again, before others take its accounts."""
STATUS_S: Final = 1.0
"""What other hosts have said is read again when it is older, and than `REST` times the CPU that reading it took: of
thousands of accounts it is megabytes."""
REST: Final = 20.0
BEHIND_S: Final = 5.0
"""How old it may be what is known of the records of each host."""


class FleetSight:
    """Owned by the `FleetHost`; `settings` has the configuration that this host goes by. The clock is monotonic."""

    def __init__(self, begun: Begun, settings: Callable[[], FleetSettings], clock: Callable[[], float]) -> None:
        self.begun = begun
        self._settings = settings
        self._clock = clock
        self.view = View()
        self.placed = Placement()
        self.behind: dict[str, float | None] = {}
        """By host, since when not all of its records were in the database."""
        self._away = ""
        self._away_since_s: float | None = None
        self._looked_s = self._lenient_until_s = float("-inf")
        self._others: tuple[float, dict[str, tuple[float, Json]]] = (float("-inf"), {})
        self._rest_s = STATUS_S
        self._behind_s = float("-inf")

    # ------------------------------------------------------------------ seen

    async def look(self) -> bool:
        """Read the database once more; False when it is away."""
        try:
            self.view = await self.begun.store.view()
            if self._clock() - self._behind_s >= BEHIND_S:
                self.behind, self._behind_s = await self.begun.store.records_behind(), self._clock()
        except FleetAway as why:
            self.away(str(why))
            return False
        self.back()
        self._looked_s = self._clock()
        if self._looked_s < self._lenient_until_s:
            self.view = as_before(self.view)
        return True

    def place(self) -> Placement:
        """Which host is to have which account, of what was seen last."""
        self.placed = placed(self.view, self._wanted())
        return self.placed

    def away(self, why: str) -> None:
        """The database did not answer."""
        if self._away_since_s is None:
            self._away_since_s = self._clock()
            log.error("the fleet's database is away: %s", why)
        self._away = why

    def back(self) -> None:
        """The database has answered."""
        if self._away_since_s is not None:
            self._lenient_until_s = self._clock() + LENIENT_S
            log.info("the fleet's database answers again after %.1f s", self._clock() - self._away_since_s)
        self._away, self._away_since_s = "", None

    @property
    def is_away(self) -> bool:
        return self._away_since_s is not None

    @property
    def away_s(self) -> float:
        """How long the database has not answered; 0 while it does."""
        return 0.0 if self._away_since_s is None else self._clock() - self._away_since_s

    @property
    def age_s(self) -> float:
        """How old the view is."""
        return self._clock() - self._looked_s

    async def others(self) -> dict[str, tuple[float, Json]]:
        """What the other hosts have told last, by host with its age in seconds."""
        at_s, known = self._others
        now_s = self._clock()
        if now_s - at_s > self._rest_s:
            try:
                before_s = time.process_time()
                known = await self.begun.store.statuses()
                self._rest_s = max(STATUS_S, REST * (time.process_time() - before_s))
                known.pop(self.begun.me.name, None)
                self._others = now_s, known
            except FleetAway as why:
                self.away(str(why))
            else:
                return known
        return {host: (age_s + now_s - at_s, status) for host, (age_s, status) in known.items()}

    def untold_s(self, host: str) -> float:
        """For how long that host could not tell people all that it had to, as it has said last."""
        _, told = self._others[1].get(host, (0.0, {}))
        return float(told.get("untold_s") or 0.0)

    # ------------------------------------------------------------------ shown

    def _wanted(self) -> list[Wanted]:
        return [Wanted(account.name, account.hosts) for account in self._settings().config.accounts]

    def whereabouts(self, account: str) -> str:
        """Who has an account, in words, for whoever did not get an answer."""
        for host, names in dead_accounts(self.view, [account]).items():
            return f"host {host}, which has {', '.join(names)}, is dead or silent"
        holder = holders_of(self.view).get(account)
        if holder is None:
            why = self.placed.homeless.get(account, "another one takes it in some seconds: give it again then")
            return f"no host has {account} at the moment ({why})"
        return f"host {holder}, which has {account}, did not take it"

    def standing(self, lapsed: Collection[str]) -> dict[Name, Standing]:
        """The fleet's open incidents, as this host sees them; `lapsed`: accounts whose leases have ended here."""
        names = {each.name for each in self._wanted()}
        return standing(self.view, self.placed, names, self._away if self.is_away else None, lapsed)

    def section(self, lapsed: Collection[str]) -> Json:
        """The section `fleet` of the status model."""
        begun, settings, now_s = self.begun, self._settings(), self._clock()
        hosts = host_rows(self.view, begun.me)
        for row in hosts:
            row["records_s"] = self.behind.get(row["host"])
        return {
            "name": begun.own.fleet.name,
            "host": begun.me.name,
            "database": "away" if self.is_away else "there",
            "away_s": None if self._away_since_s is None else round(now_s - self._away_since_s, 1),
            "problem": self._away,
            "seen_s": round(now_s - self._looked_s, 1) if self._looked_s > float("-inf") else None,
            "ttl_s": begun.times.ttl_s,
            "takeover_s": takeover_seconds(begun.times),
            "configuration": settings.version,
            "in_force": self.view.force,
            "not_offered": dict(settings.not_offered),
            "lapsed": sorted(lapsed),
            "hosts": hosts,
            "accounts": account_rows(self.view, self._wanted(), self.placed),
        }
