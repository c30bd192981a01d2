"""A host's way into its fleet: reach the database, register, read the configuration; it says what it waits for.

Nothing may trade before that: without the database there are no leases. Only what waiting cannot mend is refused:
another living host with our name.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from gridbot.command_line import pasteable
from gridbot.config.dsn_files import read_dsn
from gridbot.config.errors import ConfigError
from gridbot.config.host_config import FleetSettings, fleet_settings
from gridbot.config.models import GridbotConfig
from gridbot.version import __version__
from supervisor.fleet.fleet_store import FleetAway, NeedsHands
from supervisor.fleet.host_memory import refuse_forgetful
from supervisor.fleet.host_store import HostFacts, HostStore
from supervisor.fleet.lease_types import HostId, LeaseTimes
from supervisor.fleet.postgres_link import AT_START, PostgresLink

__all__ = ["Begun", "NameTaken", "begin", "link_of", "times_of"]

AGAIN_S: Final = 1.0
LIMIT_S: Final = 2.0
"""How long one question to the database may take."""
PUSH: Final = "no configuration yet: give the fleet one with fleet config push"


class NameTaken(Exception):
    """Another living host has our name."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A host that is registered: what it is, what it asks, and what it is to run."""

    me: HostId
    own: GridbotConfig = field(repr=False)
    file: Path
    environ: Mapping[str, str] = field(repr=False)
    store: HostStore
    settings: FleetSettings
    times: LeaseTimes
    links: list[PostgresLink] = field(default_factory=list, repr=False)
    """All connections of this supervisor to the database: they follow its place when `fleet.dsn_file` changes."""

    def link(self, purpose: str) -> PostgresLink:
        """One more connection. Raises FleetAway."""
        self.links.append(link_of(self.own, purpose))
        return self.links[-1]

    def read(self, text: str, version: int) -> FleetSettings:
        """What this host makes of that version. Raises ConfigError."""
        return fleet_settings(text, version, self.own, self.file, self.environ)


def times_of(config: GridbotConfig) -> LeaseTimes:
    """The times of the lease."""
    return LeaseTimes(ttl_s=config.fleet.ttl)


def link_of(config: GridbotConfig, purpose: str) -> PostgresLink:
    """A connection to the fleet's database, by the DSN as it was when the configuration was read; of a file it is read
    again for each connection. Touches no file itself. Raises FleetAway when the DSN cannot be read."""
    fleet, is_file = config.fleet, config.fleet.dsn_file is not None
    return PostgresLink(
        fleet.dsn.get_secret_value(),
        name=f"{fleet.host} {purpose}",
        limit_s=LIMIT_S,
        again=partial(read_dsn, fleet) if is_file else None,
        hint="" if is_file else AT_START,
    )


async def begin(
    own: GridbotConfig, file: Path, environ: Mapping[str, str], say: Callable[[str, bool], object]
) -> Begun:
    """Returns when the host is registered and has a configuration. `say` hears each new reason to wait, and whether
    somebody has to do something about it.

    Raises NameTaken.
    """
    said, store = "", HostStore(link_of(own, "host"))
    me = HostId(str(own.fleet.host), secrets.token_hex(8))
    times = times_of(own)
    seen_left: float | None = None
    while True:
        try:
            await _follow(store.link, own)
            await store.check(str(own.fleet.name))
            await refuse_forgetful(store.link, own.storage.data_dir, me.name)
            other = await store.register(me, times.ttl_s, own.fleet.capacity, own.fleet.address, __version__)
            if other is not None:
                where = f" at {other.address}" if other.address else ""
                if seen_left is not None and other.left_s > seen_left:  # it has been renewed: it lives
                    raise NameTaken(
                        f"expected no other host with the name {me.name} in fleet {own.fleet.name}, got a living one"
                        f"{where}; give this one another fleet.host, or stop the other"
                    )
                seen_left = other.left_s
                raise FleetAway(f"another run of host {me.name}{where} is registered for {other.left_s:.0f} s more")
            settings = await _settings(own, file, environ, store)
            await _first_beat(store, me, times, settings)
            return Begun(me, own, file, environ, store, settings, times, [store.link])
        except FleetAway as why:
            if (text := str(why)) != said:
                say(f"waits for the fleet: {text}", why.by_hand)
            said = text
        await asyncio.sleep(AGAIN_S)


async def _follow(link: PostgresLink, own: GridbotConfig) -> None:
    """Before it has joined a host goes wherever `fleet.dsn_file` says by now: what is there is looked at next."""
    if own.fleet.dsn_file is not None:
        try:
            link.follow(await asyncio.to_thread(read_dsn, own.fleet))
        except ValueError as error:
            raise NeedsHands(str(error)) from None


async def _first_beat(store: HostStore, me: HostId, times: LeaseTimes, settings: FleetSettings) -> None:
    """What this host offers is known before anybody looks, itself too: else it had nobody's keys for a moment."""
    facts = HostFacts(offers=settings.offers, not_offered=settings.not_offered, applied=settings.version)
    await store.beat(me, times.ttl_s, facts)


async def _settings(own: GridbotConfig, file: Path, environ: Mapping[str, str], store: HostStore) -> FleetSettings:
    view = await store.view()
    version = await store.config(view.force) if view.force else None
    if version is None:
        raise NeedsHands(PUSH)
    try:
        return await asyncio.to_thread(fleet_settings, version.body, version.version, own, file, environ)
    except ConfigError as error:
        show, push = (pasteable(f"fleet config {what}", config=file) for what in ("show", "push FILE"))
        raise NeedsHands(
            f"its configuration cannot be used here; {show} prints it, {push} gives all hosts a corrected one, which "
            f"counts at once while no host runs, else after a reload on one that does:\n{error}"
        ) from None
