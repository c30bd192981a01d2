"""One trader per API key on a machine, whatever supervisor started it.

The supervisor's own lock is free within milliseconds of its death, while its workers may still be settling; so each
worker holds a lock named by its key. The kernel frees it with the process. The name is a hash: a key never reaches the
file system.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["KeyBusy", "key_lock"]


class KeyBusy(Exception):
    """Another process trades with this key."""


@contextlib.contextmanager
def key_lock(api_key: str, scope: str) -> Iterator[None]:
    """Hold the lock of a key within `scope` (the environment, or the paper exchange's address); raise KeyBusy."""
    directory = Path(tempfile.gettempdir()) / f"gridbot-keys-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(f"{scope} {api_key}".encode()).hexdigest()[:24]
    path = directory / f"{name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise KeyBusy(
                f"expected to be the only process that trades with this API key, but process {holder} does; "
                "stop it, or give each account a key of its own"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
