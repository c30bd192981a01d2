"""The state file: read once at the start, replaced as a whole now and then and at the end."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import orjson

from gridbot.atomic_file import remove_abandoned, write_atomic
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.feed.market_setup import SetupError
from gridbot.paper.server.persistence import dump_state, load_state

__all__ = ["ExchangeFile"]

log = logging.getLogger("gridbot.paper")


class ExchangeFile:
    """Where an exchange survives its own restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        self._written = 0
        self._lock = threading.Lock()

    def read(self, exchange: Exchange) -> bool:
        """Load the file into a fresh exchange; False when there is none yet. Raises SetupError when it is unusable."""
        remove_abandoned(self._path)
        self._path.with_name(f"{self._path.name}.new").unlink(missing_ok=True)  # of an earlier version
        try:
            load_state(exchange, orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SetupError(
                f"paper.state_file {self._path} cannot be used: {error}; move it away to start without it"
            ) from error
        return True

    def write(self, exchange: Exchange) -> None:
        """Replace the file now. Blocks. Raises OSError."""
        self._write(self._next_number(), orjson.dumps(dump_state(exchange)))

    async def keep(self, exchange: Exchange, interval_s: float) -> None:
        """Replace the file each `interval_s` seconds until cancelled, without making the loop wait for the disk.

        A write under way when this is cancelled goes on; a `write` that follows wins all the same.
        """
        failure = ""
        while True:
            await asyncio.sleep(interval_s)
            data = orjson.dumps(dump_state(exchange))
            try:
                await asyncio.to_thread(self._write, self._next_number(), data)
                failure = ""
            except OSError as error:
                text = error.strerror or str(error)
                if text != failure:
                    log.error("%s cannot be written: %s; trying again each %g s", self._path, text, interval_s)
                failure = text

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _write(self, number: int, data: bytes) -> None:
        with self._lock:
            if number > self._written:
                write_atomic(self._path, data)
                self._written = number
