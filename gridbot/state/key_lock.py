"""At most one process per API key trades on a machine, also across supervisors.

The supervisor's own lock is free within milliseconds of its death, while its workers may still be settling; so each
worker holds locks named by its key. The kernel frees them with the process. The name is a hash: a key never reaches the
file system. Several locks, because no single one is seen by every two processes that should exclude each other:

    a file in the user's state home    excludes containers that share it; no other user can touch it
    an abstract socket                 excludes processes with different homes, or none that can be written
    a file in the temporary directory  excludes a worker of an earlier version; goes with the next version

Two containers that share neither home nor network cannot see each other.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gridbot.state.key_socket import ForeignHolder, take_socket
from gridbot.state.lock_directory import LockDirectory, LockHeld

__all__ = ["KeyBusy", "KeyRefused", "key_holder", "key_lock"]

log = logging.getLogger(__name__)


class KeyRefused(Exception):
    """The key cannot be locked; the text says why and what to do."""


class KeyBusy(KeyRefused):
    """Another process trades with this key; `holder` is its pid, or "unknown"."""

    def __init__(self, text: str, holder: str) -> None:
        super().__init__(text)
        self.holder = holder


@contextlib.contextmanager
def key_lock(api_key: str, scope: str) -> Iterator[None]:
    """Hold the locks of a key within `scope` (the environment, or the paper exchange's address).

    Raises KeyBusy, and KeyRefused where neither a file nor a socket can be locked.
    """
    name = hashlib.sha256(f"{scope} {api_key}".encode()).hexdigest()[:24]
    with contextlib.ExitStack() as held:
        try:
            problem = _lock_file(held, name)
            if not _lock_socket(held, name) and problem:
                raise KeyRefused(
                    f"expected a directory for the lock of this API key, got: {problem}; set XDG_STATE_HOME to one "
                    "that this user can write"
                )
            _lock_earlier_file(held, name)
        except LockHeld as other:
            raise KeyBusy(
                f"expected to be the only process that trades with this API key, but process {other.holder} does; "
                "stop it, or give each account a key of its own",
                other.holder,
            ) from None
        yield


def key_holder(api_key: str, scope: str) -> str:
    """The pid of the process that trades with a key, "unknown" where it does not say, "" when nobody does.

    Looks by taking the locks for a moment.
    """
    try:
        with key_lock(api_key, scope):
            return ""
    except KeyBusy as busy:
        return busy.holder
    except KeyRefused:
        return ""


def _lock_file(held: contextlib.ExitStack, name: str) -> str:
    """Lock the file in the state home; what is wrong when that cannot be used, else an empty string."""
    home = _state_home()
    if home is None:
        problem = "no home directory: HOME and XDG_STATE_HOME are unset, and this user has none"
    else:
        try:
            _lock_in(held, home / "gridbot" / "keys", name)
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


def _lock_in(held: contextlib.ExitStack, path: Path, name: str, *, keep_file: bool = False) -> None:
    with contextlib.ExitStack() as opened:
        directory = LockDirectory(path)
        opened.callback(directory.close)
        opened.callback(directory.lock(name, keep_file=keep_file).release)
        if not keep_file:
            directory.remove_abandoned()
        held.push(opened.pop_all())


def _lock_socket(held: contextlib.ExitStack, name: str) -> bool:
    """Hold the socket; False when that is not possible."""
    try:
        lock = take_socket(f"gridbot-key-{os.geteuid()}-{name}")
    except ForeignHolder as other:
        log.warning("the socket that locks this API key is taken by %s; only the lock file counts", other)
        return False
    except OSError as error:
        log.warning("the API key is locked without a socket: %s", error)
        return False
    if lock is None:
        return False
    held.callback(lock.close)
    return True


def _lock_earlier_file(held: contextlib.ExitStack, name: str) -> None:
    """Lock the file that workers of the version before lock. They never remove it, so it stays."""
    try:
        directory = Path(tempfile.gettempdir()) / f"gridbot-keys-{os.getuid()}"  # an OSError where there is none at all
        _lock_in(held, directory, name, keep_file=True)
    except OSError as error:
        log.warning("the lock of earlier versions cannot be used, a worker of one would not be noticed: %s", error)
