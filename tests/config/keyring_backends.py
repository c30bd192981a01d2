"""Backends for the package keyring, chosen by its own PYTHON_KEYRING_BACKEND: one that keeps files, and three others.

KEYRING_TEST_PLACE names the directory.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

ROOT = Path(__file__).resolve().parents[2]
BACKENDS = "tests.config.keyring_backends"


def environ_of(place: Path, backend: str = f"{BACKENDS}.Files") -> dict[str, str]:
    """The variables that choose a backend."""
    named = {"PYTHON_KEYRING_BACKEND": backend, "KEYRING_TEST_PLACE": str(place), "PYTHONPATH": str(ROOT)}
    return {**named, "HOME": str(place)}


class Files(KeyringBackend):
    priority = 1

    def _file(self, service: str, entry: str) -> Path:
        return Path(os.environ["KEYRING_TEST_PLACE"], f"{service}+{entry.replace('/', '+')}")

    def get_password(self, service: str, entry: str) -> str | None:
        print("what a backend prints is no answer")
        file = self._file(service, entry)
        return file.read_text() if file.exists() else None

    def set_password(self, service: str, entry: str, value: str) -> None:
        self._file(service, entry).write_text(value)

    def delete_password(self, service: str, entry: str) -> None:
        if not self._file(service, entry).exists():
            raise PasswordDeleteError(entry)
        self._file(service, entry).unlink()


class Locked(Files):
    def get_password(self, service: str, entry: str) -> str | None:
        raise KeyringLocked(entry)


class Broken(Files):
    def set_password(self, service: str, entry: str, value: str) -> None:
        raise RuntimeError(value)


class Waits(Files):
    """Asks for a password that nobody types."""

    def get_password(self, service: str, entry: str) -> str | None:
        while True:
            signal.pause()
