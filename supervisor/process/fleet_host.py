"""A host of a fleet at work: looks at the fleet, takes what placement gives it, hands over what it is to give away.

    look     every 2 s and when something was announced: hosts, leases, wishes, which configuration counts
    place    a pure function of that (`fleet.host_placement`), the same on every host; what it gives us is wanted
    lease    the `LeaseKeeper` gets and keeps what is wanted; a worker ends before its lease is given up
    tell     a sign of life with our own status, each quarter of the lease's length

Accounts come and go through `FleetReload`, which owns the configuration in force. One account at a time leaves a host:
the next when the one before has arrived, or has not within `ARRIVAL_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

from gridbot import background
from gridbot.config.errors import ConfigError
from gridbot.config.host_config import FleetSettings
from gridbot.incidents import Name, Standing
from supervisor.fleet.fleet_begin import Begun
from supervisor.fleet.fleet_listener import Listener
from supervisor.fleet.fleet_section import holders_of, status_facts
from supervisor.fleet.fleet_services import is_service
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.host_store import HostFacts
from supervisor.fleet.key_claims import AskedKeys
from supervisor.fleet.lease_desk import LeaseDesk
from supervisor.fleet.lease_types import Extended, Gained, Lapsed, Leave, Lost
from supervisor.fleet.takeover import SetBack
from supervisor.process.fleet_sight import FleetSight
from supervisor.process.held_services import HeldServices
from supervisor.process.host_hands import HostHands, Keeper
from supervisor.process.version_tries import Busy, Unusable, VersionTries

__all__ = ["FleetHost"]

log = logging.getLogger("supervisor")

Json = dict[str, Any]
LOOK_S: Final = 2.0
ARRIVAL_S: Final = 30.0
FAILED_S: Final = 30.0
"""An account that could not be started here is not asked for again for so long."""


class FleetHost:
    """One per supervisor of a fleet; the owner of what this host knows of it."""

    def __init__(
        self,
        begun: Begun,
        keeper: Keeper,
        desk: LeaseDesk,
        hands: HostHands,
        services: HeldServices,
        clock: Callable[[], float],
    ) -> None:
        self.begun = begun
        self._desk = desk
        self.settings = begun.settings
        self.services = services
        self.sight = FleetSight(begun, lambda: self.settings, clock)
        self._keeper = keeper
        self._hands = hands
        self._clock = clock
        self._keys = AskedKeys()
        self._here: dict[str, int] = {}
        """The accounts whose lease is ours and whose worker is here, with their epochs."""
        self._lapsed: dict[str, None] = {}
        self._lost: dict[str, None] = {}
        """Accounts that another host has, while their worker ends here."""
        self._takeovers = 0
        self._failed_s: dict[str, float] = {}
        self._handing, self._handed_s = "", 0.0
        self._tries = VersionTries()
        self._told = asyncio.Event()
        self._answers: dict[int, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.listener = Listener(begun.link("ear"), self._heard)

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """On the loop. Nothing of it ends the supervisor."""
        works = {
            "looking at the fleet": self._look_on(),
            "the sign of life of this host": self._beat_on(),
            "hearing of the fleet": self.listener.run(),
        }
        self._tasks = [background.start(work, name=name) for name, work in works.items()]

    async def end(self) -> None:
        """The workers have ended: the name is free again. Leases were given up as they ended."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(FleetAway):
            await self.begun.store.leave(self.begun.me)
        await self.begun.store.link.close()

    async def _look_on(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - reported with its traceback; looked again
                self._hands.fault("looking at the fleet", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), LOOK_S)
            self._told.clear()

    async def _beat_on(self) -> None:
        while True:
            try:
                await self._beat()
            except Exception as error:  # noqa: BLE001 - reported with its traceback; tried again
                self._hands.fault("the sign of life of this host", error)
            await asyncio.sleep(self.begun.times.ttl_s / 4)

    def _heard(self, word: str) -> None:
        what, _, about = word.partition(" ")
        if what == "caps":
            self._hands.caps()
        elif what == "command":
            if about in self._here or about == self.begun.me.addressee:
                self._hands.answer(about)
        elif what == "answer":
            if (event := self._answers.get(int(about) if about.isdecimal() else 0)) is not None:
                event.set()
        else:
            self._told.set()

    # ------------------------------------------------------------------ what placement says

    async def _look(self) -> None:
        if not await self.sight.look():
            return
        view = self.sight.view
        if self._hands.is_stopping():
            return
        if self._tries.is_due(view.force, view.forced, self.settings.version, self._clock()):
            await self._follow(view.force, view.forced)
        self._place()
        granted = {name: host for name, host in view.wishes.items() if holders_of(view).get(name) == host}
        if granted and self.begun.me.name in granted.values():
            with contextlib.suppress(FleetAway):
                await self.begun.store.granted(granted)
        for addressee in (self.begun.me.addressee, *self._here):
            self._hands.answer(addressee)

    def _place(self) -> None:
        found, me, now_s = self.sight.place(), self.begun.me.name, self._clock()
        holders = holders_of(self.sight.view)
        mine = set(found.of(me))
        leaving = sorted(name for name in found.moves if holders.get(name) == me)
        if self._handing and self._handing not in holders and now_s - self._handed_s < ARRIVAL_S:
            mine.update(leaving)  # the one before has not arrived yet
        elif leaving:
            if leaving[0] != self._handing:
                log.info("%s is handed over to %s", leaving[0], found.moves[leaving[0]])
                self._handing, self._handed_s = leaving[0], now_s
        else:
            self._handing = ""
        failed = {name for name, at_s in self._failed_s.items() if now_s - at_s < FAILED_S}
        services = self.services.wanted(self.sight.view, me)
        rekeyed = {name for name in self._here if self._keys.is_another(self.settings.config, name)}
        self._keeper.want(frozenset(mine - failed - rekeyed) | frozenset(self._kept_here()) | services)

    def claim(self, account: str) -> str:
        """What the key of an account is claimed by, as its lease is asked for now."""
        return self._keys.claim(self.settings.config, account)

    def _kept_here(self) -> list[str]:
        """Accounts that we have and the configuration we go by does not know any more: a reload ends them first."""
        names = {account.name for account in self.settings.config.accounts}
        return [name for name in self._here if name not in names]

    async def _follow(self, version: int, forced: str) -> None:
        """Another version counts. What cannot be applied is an alert, and nothing has changed here."""
        try:
            if (found := await self.begun.store.config(version)) is None:
                return
            settings = await asyncio.to_thread(self.begun.read, found.body, version)
            await self._hands.reload(settings, found.leave_positions)
        except FleetAway as why:
            self.sight.away(str(why))
        except Busy:
            pass  # looked again in a moment
        except (ConfigError, ValueError) as why:
            error = Unusable(str(why)) if isinstance(why, ConfigError) else why
            if self._tries.refused(version, forced, error, self._clock()):
                self._hands.alert("ERROR", f"version {version} of the fleet's configuration is not applied here: {why}")
            else:
                log.info("version %d is still not applied here: %s", version, why)
        else:
            self._tries.applied()
            self.settings = settings
            self._here = {name: epoch for name, epoch in self._here.items() if name in self._names()}
            log.info("version %d of the fleet's configuration is in force here", version)

    def _names(self) -> set[str]:
        return {account.name for account in self.settings.config.accounts}

    # ------------------------------------------------------------------ what the leases say

    def on_lease(self, news: Gained | Extended | Lapsed | Leave | Lost) -> None:
        """News of the keeper, on the loop."""
        if is_service(news.account):
            self.services.on_lease(news, self._keeper)
            return
        match news:
            case Gained(account):
                self._lapsed.pop(account, None)
                background.start(self._bring(news), name=f"starting {account}")
            case Extended(account):
                self._lapsed.pop(account, None)
                self._desk.extended(news)
            case Lapsed(account):
                self._lapsed[account] = None
                log.error("%s: its lease has ended; nothing is sent for it until it is renewed", account)
            case Leave(account) | Lost(account):
                self._lapsed.pop(account, None)
                if isinstance(news, Lost):
                    self._lost[account] = None
                    self._desk.gone(account)
                    log.error("%s: another host has its lease; its worker ends here", account)
                background.start(self._remove(account), name=f"ending {account}")

    async def _bring(self, news: Gained) -> None:
        account = news.account
        try:
            if account not in self.settings.offers:
                raise ValueError("this host does not have its keys any more")
            if not await self._begun(news):
                return
            if self._keys.is_another(self.settings.config, account):
                log.info("%s has another key by now: it is asked for anew", account)
                self._desk.gone(account)
                self._keeper.quiet(account, answered=True)
                return
            await self._hands.bring(self.settings, account)
        except SetBack as error:  # its epochs would climb past the known one if it were asked for again and again
            self._hands.alert("CRITICAL", f"{account} is not started on this host: {error}")
            self._keeper.bar(account)
            return
        except Exception as error:  # noqa: BLE001 - told as an alert; the lease is given back
            self._failed_s[account] = self._clock()
            self._hands.alert("ERROR", f"{account} could not be started on this host: {error}")
            self._desk.gone(account)
            self._keeper.quiet(account, answered=True)
            return
        self._here[account] = news.epoch
        self._takeovers += news.previous not in ("", self.begun.me.name)
        self._failed_s.pop(account, None)

    async def _begun(self, news: Gained) -> bool:
        """Put in place what the former holder has left; False when the lease is not ours any more."""
        try:
            await self._desk.begin(news)
        except LookupError as why:
            log.warning("%s", why)
            return False
        return True

    async def _remove(self, account: str) -> None:
        answered = False
        try:
            answered = bool(await self._hands.remove(account))
        except Exception as error:  # noqa: BLE001 - reported with its traceback; then the lease runs out
            self._hands.fault(f"ending {account}", error)
        self._here.pop(account, None)
        self._lost.pop(account, None)
        self._desk.gone(account)
        self._keeper.quiet(account, answered=answered)

    # ------------------------------------------------------------------ what others are told

    async def _beat(self) -> None:
        facts = HostFacts(
            offers=self.settings.offers | self.services.offered,
            not_offered=self.settings.not_offered,
            applied=self.settings.version,
            trouble=f"version {self._tries.version} is not applied here" if self._tries.version else "",
            status=status_facts(self._hands.status()),
        )
        begun = self.begun
        try:
            if await begun.store.beat(begun.me, begun.times.ttl_s, facts):
                self.sight.back()
                return
            fleet = begun.own.fleet
            other = await begun.store.register(begun.me, begun.times.ttl_s, fleet.capacity, fleet.address, "")
        except FleetAway as why:
            self.sight.away(str(why))
            return
        if other is not None and not self._hands.is_stopping():
            self._hands.stop(f"another host has taken the name {begun.me.name} while this one was silent")

    @property
    def accounts(self) -> list[str]:
        """The accounts whose lease is ours and whose worker is here."""
        return list(self._here)

    def has(self, account: str) -> bool:
        return account in self._here

    def has_lost(self, account: str) -> bool:
        """Whether another host has it, while its worker ends here."""
        return account in self._lost

    def now_by(self, settings: FleetSettings) -> None:
        """An operator has put this in force here already."""
        self.settings = settings
        self._tries.applied()

    async def answered(self, number: int, wait_s: float) -> None:
        """Until an answer to that command was announced, so long at most."""
        event = self._answers.setdefault(number, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), wait_s)
        self._answers.pop(number, None)

    # ------------------------------------------------------------------ what is shown

    def standing(self) -> dict[Name, Standing]:
        """The fleet's open incidents, as this host sees them."""
        return self.sight.standing(self._lapsed)

    def reasons(self) -> list[str]:
        """What keeps this host from being healthy."""
        return [each.text for each in self.standing().values() if each.level != "warning"]

    def section(self) -> Json:
        """The section `fleet` of the status model."""
        return {**self.sight.section(self._lapsed), "services": self.services.rows(), "takeovers": self._takeovers}
