"""The caps of a fleet over its hosts, at one host: tells what its accounts use, looks, hears what they may use.

Each half second, at once when something was announced, and when an account here wants more or was resumed. Without the
database nothing is heard: shares stay as they are, and `HostCaps.alone` counts by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gridbot import background
from gridbot.config.fleet_models import FleetCaps
from gridbot.config.host_config import FleetSettings
from supervisor.caps.caps_keeper import CapsKeeper
from supervisor.caps.fleet_scope import Told
from supervisor.caps.host_caps import HostCaps
from supervisor.fleet.cap_store import CapStore
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.lease_types import HostId

__all__ = ["CapsRound"]

ROUND_S: Final = 0.5
SHORTEST_S: Final = 0.1
"""However much is announced, a round begins no sooner after the one before."""
Scopes = Mapping[str, tuple[FleetCaps, Sequence[str]]]


class CapsRound:
    """One per supervisor of a fleet. `settings` is the configuration that this host goes by; `epoch_of` is that of our
    lease of an account, None without one."""

    def __init__(
        self,
        me: HostId,
        store: CapStore,
        keeper: CapsKeeper,
        settings: Callable[[], FleetSettings],
        epoch_of: Callable[[str], int | None],
        fault: Callable[[str, BaseException], object],
    ) -> None:
        self._me = me
        self._store = store
        self._keeper = keeper
        self._settings = settings
        self._scopes: tuple[FleetSettings, Scopes] | None = None
        self._epoch_of = epoch_of
        self._fault = fault
        self._over = HostCaps(me.name)
        self._due = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._lifts: dict[tuple[str, str], int] = {}
        keeper.over_hosts(self._over)

    def start(self) -> None:
        """On the loop."""
        self._running = background.start(self._run(), name="the caps over hosts")

    async def end(self) -> None:
        """Nobody is told anything any more."""
        if self._running is not None:
            self._running.cancel()
        await self._store.close()

    def announced(self) -> None:
        """Somebody was held, or something else has changed."""
        self._due.set()

    async def _run(self) -> None:
        while True:
            began_s = time.monotonic()
            try:
                await self._round()
            except FleetAway:
                pass  # the host says so; what was granted stays
            except Exception as error:  # noqa: BLE001 - reported with its traceback; tried again
                self._fault("the caps over hosts", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), ROUND_S)
            self._due.clear()
            await asyncio.sleep(max(0.0, SHORTEST_S - (time.monotonic() - began_s)))

    async def _round(self) -> None:
        settings, scopes = self._made_of(self._settings())
        if not scopes:
            self._keeper.hear([], [], [])
            return
        told = self._keeper.told(self._epoch_of)
        await self._store.tell(self._me, told)
        for name, (caps, accounts) in sorted(scopes.items()):
            await self._store.look(name, caps, accounts, settings.version, urgent=self._is_urgent(name, told))
        names = sorted({each.account for each in told})
        rows, seen = await self._store.read(self._me, names, self._over.seq, sorted(scopes), self._over.seen)
        self._keeper.hear(told, rows, seen)

    def _made_of(self, settings: FleetSettings) -> tuple[FleetSettings, Scopes]:
        """With its scopes of caps, which are worked out once: a large fleet has thousands of accounts in them."""
        if self._scopes is None or self._scopes[0] is not settings:
            self._scopes = settings, settings.config.cap_scopes()
        return self._scopes

    def _is_urgent(self, scope: str, told: Sequence[Told]) -> bool:
        """Whether an account here wants more, or has been resumed since."""
        found = False
        for each in told:
            if each.scope == scope:
                lifted = each.lifts > self._lifts.get((scope, each.account), 0)
                self._lifts[scope, each.account] = each.lifts
                found = found or lifted or each.short > 0
        return found
