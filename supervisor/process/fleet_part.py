"""The supervisor's part in a fleet on PostgreSQL; of a supervisor that is in none, nothing at all.

It puts together the host (`fleet_host`), the keeper of leases, and the door for commands of other hosts (`fleet_door`).
It imports none of them, nor a database client, for a supervisor without a fleet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, cast

from gridbot.commands.arguments import ReloadArguments
from gridbot.config.fleet_models import OnLeaseLost
from gridbot.incidents import Name, Standing
from supervisor.caps.caps_keeper import CapsKeeper
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.control.operations import no_reload
from supervisor.control.socket_protocol import Json
from supervisor.process.fleet_reload import INVALID, FleetReload
from supervisor.process.own_faults import Faults
from supervisor.process.version_tries import Busy, Unusable

if TYPE_CHECKING:
    from gridbot.config.host_config import FleetSettings
    from gridbot.config.models import GridbotConfig
    from supervisor.fleet.fleet_begin import Begun
    from supervisor.fleet.lease_desk import LeaseDesk
    from supervisor.fleet.lease_keeper import LeaseKeeper
    from supervisor.process.caps_round import CapsRound
    from supervisor.process.fleet_door import FleetDoor
    from supervisor.process.fleet_host import FleetHost

__all__ = ["FleetPart"]

log = logging.getLogger("supervisor")

FREED_S: Final = 3.0
"""How long an orderly end waits until the leases are given up, so that others need not wait for their end."""


class FleetPart:
    """One per supervisor. `begun`: what a host has begun with, None without a fleet."""

    def __init__(
        self,
        begun: object | None,
        reload: Callable[[], FleetReload | None],
        caps: Callable[[], CapsKeeper],
        handle: Callable[[Json, str], Awaitable[Json]],
        status: Callable[[], Json],
        alert: Callable[[str, str], object],
        faults: Faults,
        stop: Callable[[], object],
        is_stopping: Callable[[], bool],
        clock: Callable[[], float],
        end_process: Callable[[str, float], Awaitable[object]],
        process_fails: Callable[[str], bool],
    ) -> None:
        """`end_process` ends a process beside the fleet, such as that of Telegram, within so many seconds;
        `process_fails` says whether one does not work on this machine."""
        self._process_fails = process_fails
        self._begun = cast("Begun | None", begun)
        self._reload = reload
        self._caps = caps
        self._handle = handle
        self._status = status
        self._alert = alert
        self._faults = faults
        self._stop = stop
        self._is_stopping = is_stopping
        self._clock = clock
        self._end_process = end_process
        self._host: FleetHost | None = None
        self._door: FleetDoor | None = None
        self._keeper: LeaseKeeper | None = None
        self._desk: LeaseDesk | None = None
        self._caps_round: CapsRound | None = None

    # ------------------------------------------------------------------ life

    def start(self, launch: LaunchArguments, send: Callable[[str, Json], object]) -> None:
        """On the loop, when commands are answered. `send` passes a message to the worker of an account."""
        begun, reload = self._begun, self._reload()
        if begun is None or reload is None:
            return
        from supervisor.fleet.cap_store import CapStore
        from supervisor.fleet.lease_desk import DocumentedStore, LeaseDesk
        from supervisor.fleet.lease_keeper import LeaseKeeper
        from supervisor.fleet.postgres_store import PostgresStore
        from supervisor.process.caps_round import CapsRound
        from supervisor.process.fleet_door import FleetDoor
        from supervisor.process.fleet_host import FleetHost
        from supervisor.process.held_services import HeldServices
        from supervisor.process.host_hands import HostHands

        leases = begun.link("leases")
        store = PostgresStore(
            leases,
            begun.store.link,
            claim=lambda account: host.claim(account),
            refused=lambda text: self._alert("ERROR", text),
        )
        own, cancels = begun.own, begun.own.fleet.on_lease_lost is OnLeaseLost.CANCEL
        self._desk = desk = LeaseDesk(begun.me, store, own.storage.data_dir, send, cancels_when_lost=cancels)
        documented = DocumentedStore(store, desk.shelf)
        self._keeper = keeper = LeaseKeeper(documented, begun.me, begun.times, lambda news: host.on_lease(news))
        launch.lease, launch.on_lease = desk.at_launch, self._from_worker
        self._door = door = FleetDoor(begun, self._handle, self._clock, begun.links)
        self._caps_round = caps_round = CapsRound(
            begun.me,
            CapStore(begun.link("caps")),
            self._caps(),
            lambda: host.settings,
            desk.epoch,
            self._faults.report,
        )
        hands = HostHands(
            bring=lambda settings, account: reload.bring(
                settings.config, account, lambda: desk.of_launch(account) is not None
            ),
            remove=reload.remove,
            reload=self._follow,
            status=self._status,
            alert=self._alert,
            fault=self._faults.report,
            stop=self._end_of_name,
            is_stopping=self._is_stopping,
            caps=caps_round.announced,
            answer=door.answer_soon,
        )
        services = HeldServices(_services(own), self._end_process, self._process_fails)
        self._host = host = FleetHost(begun, keeper, desk, hands, services, self._clock)
        door.host = host
        reload.follow_fleet(begun.settings)
        desk.start()
        keeper.start()
        host.start()
        caps_round.start()

    def _from_worker(self, account: str, message: Json) -> None:
        """A worker's document for the next holder, or its word that another one trades already."""
        if message.get("type") == "superseded":
            self._alert("CRITICAL", f"{account}: {message.get('reason')}")
            if self._keeper is not None:
                self._keeper.bar(account)
        elif self._desk is not None:
            self._desk.take(account, message)

    def is_elsewhere(self, account: str) -> bool:
        """Whether another host has that account, whose worker ends here."""
        return self._host is not None and self._host.has_lost(account)

    async def end(self, *, forced: bool) -> None:
        """The workers have ended, in order unless `forced`: their leases are given up, and this host leaves."""
        host, reload = self._host, self._reload()
        if host is None or reload is None or self._keeper is None:
            return
        if not forced:
            self._keeper.want(frozenset())  # each is let go, and its lease given up
            try:
                async with asyncio.timeout(FREED_S):
                    await self._keeper.given_up()
            except TimeoutError:
                log.warning(
                    "the fleet's database did not hear in time that this host ends; leases run out by themselves"
                )
        await self._keeper.end()
        if self._caps_round is not None:
            await self._caps_round.end()
        if self._desk is not None:
            await self._desk.end()
        await host.end()

    def _end_of_name(self, why: str) -> None:
        self._alert("CRITICAL", f"{why}; this supervisor stops")
        self._stop()

    # ------------------------------------------------------------------ configuration

    async def _follow(self, settings: FleetSettings, leave_positions: bool) -> None:
        """Put another version in force for the accounts that are here. Raises Busy, ValueError with why it was
        refused, Unusable when it will be the next time."""
        reload = self._reload()
        assert reload is not None, "a fleet's host reloads"
        if reload.is_busy:
            raise Busy
        before = reload.follow_fleet(settings)
        answer = await reload.handle(ReloadArguments(leave_positions=leave_positions), "the fleet")
        if not answer["ok"]:
            if before is not None:
                reload.follow_fleet(before)
            raise (Unusable if answer.get("kind") == INVALID else ValueError)(str(answer.get("error")))
        for line in answer["lines"]:
            log.info("reload: %s", line)

    async def reload(self, args: ReloadArguments, who: str) -> Json:
        """An operator's reload: of the file, or of the newest version that the fleet's database has."""
        reload = self._reload()
        if reload is None:
            return no_reload(args, who)
        if self._door is None:
            return await reload.handle(args, who)
        return await self._door.reload(reload, args, who)

    # ------------------------------------------------------------------ commands

    def afar(self, request: Json, who: str) -> Awaitable[Json] | None:
        """The answer to a request about an account that another host has; None when it is none of those."""
        return None if self._door is None else self._door.afar(request, who)

    async def told(self, request: Json, answer: Json) -> Json:
        """The answer to a command, with a word on whether the fleet has it too."""
        return answer if self._door is None else await self._door.told(request, answer, self._kept)

    async def _kept(self, account: str, wait_s: float) -> bool:
        """Whether the fleet has what a worker has written down last, within so many seconds."""
        from supervisor.fleet.fleet_store import FleetAway

        try:
            async with asyncio.timeout(wait_s):
                if self._desk is not None:
                    await self._desk.shelf.flush(account)
        except (FleetAway, TimeoutError):
            return False
        return True

    async def shown(self, status: Json) -> Json:
        """The status with what other hosts have told of their accounts."""
        return status if self._door is None else await self._door.shown(status)

    # ------------------------------------------------------------------ what one host does for all

    def may_run(self, process: str) -> bool:
        """Whether a process that one host runs for the whole fleet may run here now."""
        return self._begun is None or (self._host is not None and self._host.services.may_run(process))

    def tells(self) -> Json | None:
        """Who tells people of alerts (`HeldServices.tells`); None without a fleet: we do."""
        if self._begun is None:
            return None
        return {"mode": "other", "lived_s": None} if self._host is None else self._host.services.tells(self._host.sight)

    # ------------------------------------------------------------------ what is shown

    def standing(self) -> dict[Name, Standing]:
        """Open incidents of the fleet."""
        return {} if self._host is None else dict(self._host.standing())

    def reasons(self) -> list[str]:
        """What of the fleet keeps this host from being healthy."""
        return [] if self._host is None else self._host.reasons()

    def section(self) -> Json | None:
        """The section `fleet` of the status model."""
        return None if self._host is None else self._host.section()


def _services(own: GridbotConfig) -> dict[str, str]:
    """What this host could do for the whole fleet, by the lease: the process that does it."""
    from supervisor.fleet.fleet_services import NOTIFY, bot_service

    found = {NOTIFY: "notify"} if own.notify.is_wanted else {}
    if own.telegram.enabled:
        found[bot_service(own.telegram.token.get_secret_value().partition(":")[0])] = "telegram"
    return found
