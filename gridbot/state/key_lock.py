"""At most one process per API key trades on a machine, also across supervisors.

The supervisor's own lock is free within milliseconds of its death, while its workers may still be settling; so each
worker holds locks named by its key. The kernel frees them with the process. The name is a hash: a key never reaches the
file system. Several locks, because no single one is seen by every two processes that should exclude each other:

    a file in the user's state home    excludes containers that share it; no other user can touch it
    an abstract socket                 excludes processes with different homes, or none that can be written
    a file in the temporary directory  excludes a worker of an earlier version; goes with the next version

Two containers that share neither home nor network cannot see each other.

**Hosts of a fleet** are kept apart by the account's lease in PostgreSQL, wherever they run: a host that is frozen has
lost its lease, and wakes up unable to send. Here a host on the same machine would be kept from the account by the mere
life of the frozen one. So the hosts of one fleet share a key, and each excludes its own earlier processes, every
program that is in no fleet, and every other fleet: none of those asks the lease. A host holds each lock shared (a file)
or under a name of its own (`KEY.FLEET.HOST`), and looks who else has one; whoever wants the key alone does too, each
after it has taken its own. So of two at once at least one sees the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pwd
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gridbot.state.key_socket import ForeignHolder, socket_holder, sockets_of, take_socket
from gridbot.state.lock_directory import LockDirectory, LockHeld

if TYPE_CHECKING:
    from gridbot.config.fleet_models import FleetConfig

__all__ = ["KeyBusy", "KeyRefused", "KeyShare", "key_holder", "key_lock"]

log = logging.getLogger(__name__)


class KeyRefused(Exception):
    """The key cannot be locked; the text says why and what to do."""


class KeyBusy(KeyRefused):
    """Another process trades with this key; `holder` is its pid, or "unknown"."""

    def __init__(self, text: str, holder: str) -> None:
        super().__init__(text)
        self.holder = holder


@dataclass(frozen=True, slots=True)
class KeyShare:
    """A host of a fleet, which shares a key with the other hosts of that fleet."""

    fleet: str
    host: str

    @classmethod
    def of(cls, fleet: FleetConfig) -> KeyShare | None:
        """By a configuration; None for a machine that is in no fleet."""
        return cls(str(fleet.name), str(fleet.host)) if fleet.is_host else None

    @property
    def tag(self) -> str:
        """What its own locks are called, after the key."""
        return f"{_hash(self.fleet, 8)}.{_hash(self.host, 8)}"


@contextlib.contextmanager
def key_lock(api_key: str, scope: str, share: KeyShare | None = None) -> Iterator[None]:
    """Hold the locks of a key within `scope` (the environment, or the paper exchange's address).

    Alone, or as the host `share` beside other hosts of its fleet. Raises KeyBusy, and KeyRefused where neither a file
    nor a socket can be locked.
    """
    name = _hash(f"{scope} {api_key}", 24)
    with contextlib.ExitStack() as held:
        try:
            problem = _lock_file(held, name, share)
            if not _lock_socket(held, name, share) and problem:
                raise KeyRefused(
                    f"expected a directory for the lock of this API key, got: {problem}; set XDG_STATE_HOME to one "
                    "that this user can write"
                )
            _lock_earlier_file(held, name, shared=share is not None)
        except LockHeld as other:
            raise KeyBusy(
                f"expected to be the only process that trades with this API key, but process {other.holder} does; "
                "stop it, or give each account a key of its own",
                other.holder,
            ) from None
        yield


def key_holder(api_key: str, scope: str, share: KeyShare | None = None) -> str:
    """The pid of the process that keeps us from a key, "unknown" where it does not say, "" when nobody does.

    Looks by taking the locks for a moment. Other hosts of the same fleet keep no host from it.
    """
    try:
        with key_lock(api_key, scope, share):
            return ""
    except KeyBusy as busy:
        return busy.holder
    except KeyRefused:
        return ""


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _lock_file(held: contextlib.ExitStack, name: str, share: KeyShare | None) -> str:
    """Lock the file in the state home; what is wrong when that cannot be used, else an empty string."""
    home = _state_home()
    if home is None:
        problem = "no home directory: HOME and XDG_STATE_HOME are unset, and this user has none"
    else:
        try:
            _lock_in(held, home / "gridbot" / "keys", name, share)
            return ""
        except OSError as error:
            problem = str(error)
    log.warning("the API key is locked without a file: %s", problem)
    return problem


def _state_home() -> Path | None:
    """Where this user's programs keep state; None when there is no such place. Relative paths do not count."""
    for place in (os.environ.get("XDG_STATE_HOME"), _below(os.environ.get("HOME")), _below(_home_of_user())):
        if place and os.path.isabs(place):
            return Path(place)
    return None


def _below(home: str | None) -> str:
    return os.path.join(home, ".local", "state") if home else ""


def _home_of_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""


def _lock_in(held: contextlib.ExitStack, path: Path, name: str, share: KeyShare | None) -> None:
    with contextlib.ExitStack() as opened:
        directory = LockDirectory(path)
        opened.callback(directory.close)
        try:
            opened.callback(directory.lock(name, shared=share is not None).release)
        except LockHeld as other:
            raise _named(other, directory.holders(f"{name}.")) from None
        if share is not None:
            opened.callback(directory.lock(f"{name}.{share.tag}").release)
            for tag, pid in directory.holders(f"{name}.").items():
                _refuse_another_fleet(tag, pid, share)
        directory.remove_abandoned()
        held.push(opened.pop_all())


def _named(other: LockHeld, hosts: dict[str, str]) -> LockHeld:
    """A lock that hosts share names nobody; they have locks of their own that do."""
    return LockHeld(next(iter(hosts.values()))) if other.holder == "unknown" and hosts else other


def _refuse_another_fleet(tag: str, pid: str, share: KeyShare) -> None:
    if tag.partition(".")[0] != share.tag.partition(".")[0]:
        raise LockHeld(pid)


def _lock_socket(held: contextlib.ExitStack, name: str, share: KeyShare | None) -> bool:
    """Hold the socket; False when that is not possible."""
    whole = f"gridbot-key-{os.geteuid()}-{name}"
    try:
        lock = take_socket(whole if share is None else f"{whole}.{share.tag}")
    except ForeignHolder as other:
        log.warning("the socket that locks this API key is taken by %s; only the lock file counts", other)
        return False
    except OSError as error:
        log.warning("the API key is locked without a socket: %s", error)
        return False
    if lock is None:
        return False
    held.callback(lock.close)
    if share is not None and (pid := socket_holder(whole)):
        raise LockHeld(pid)
    for found in sockets_of(f"{whole}."):
        tag = found.removeprefix(f"{whole}.")
        if tag != (share and share.tag) and (pid := socket_holder(found)):
            if share is None:
                raise LockHeld(pid)
            _refuse_another_fleet(tag, pid, share)
    return True


def _lock_earlier_file(held: contextlib.ExitStack, name: str, *, shared: bool) -> None:
    """Lock the file that workers of the version before lock. They never remove it, so it stays."""
    try:
        directory = Path(tempfile.gettempdir()) / f"gridbot-keys-{os.getuid()}"  # an OSError where there is none at all
        with contextlib.ExitStack() as opened:
            place = LockDirectory(directory)
            opened.callback(place.close)
            opened.callback(place.lock(name, keep_file=True, shared=shared).release)
            held.push(opened.pop_all())
    except OSError as error:
        log.warning("the lock of earlier versions cannot be used, a worker of one would not be noticed: %s", error)
