"""The small files of an account in memory, and a disk that fails on command, for files and journal alike."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from gridbot.segment_file import SegmentDisk
from gridbot.simulation.network import Network
from gridbot.simulation.run_faults import FaultKind
from gridbot.simulation.virtual_loop import Handle, VirtualLoop

__all__ = ["Disk", "MemoryFiles"]

WRITE_S = 0.004
BACKUPS = (".bad", ".bad-1")
RETRY_S = 1.0


class Disk:
    """What a worker's lives share: documents by name, and the journal's open files of the life that runs."""

    def __init__(self, loop: VirtualLoop, network: Network) -> None:
        self.documents: dict[str, bytes] = {}
        self.loop, self.network = loop, network
        self._open: set[int] = set()
        self._last: tuple[int, int] | None = None
        self.has_refused = False
        """Whether it refused anything in the life that runs."""

    def journal(self) -> SegmentDisk:
        """The journal's file operations, on a real file."""
        return SegmentDisk(self._open_file, self._write, self._close)

    def room_for(self, size: int, where: str) -> int:
        """How many bytes of a write to `where` (journal, files) fit. Raises OSError when none do."""
        for fault in self.network.on(FaultKind.WRITE_ERRORS):
            if fault.what["where"] in ("", where) and self.network.chance(fault):
                self.network.strike(fault)
                self.has_refused = True
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        for fault in self.network.on(FaultKind.FULL_DISK):
            self.network.strike(fault)
            self.has_refused = True
            room = min(size, int(fault.what["room"]))
            if not room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return room
        return size

    def late_s(self) -> float:
        """Seconds that a write takes longer than it should."""
        for fault in self.network.on(FaultKind.SLOW_DISK):
            if self.network.chance(fault):
                self.network.strike(fault)
                return float(fault.what["late_s"])
        return 0.0

    def spoil(self, part: str, how: str) -> list[str]:
        """Damage the documents that have `part` in their names, as a disk or a power cut may; returns their names."""
        spoiled = [name for name in self.documents if part and part in name and not name.endswith(BACKUPS)]
        for name in spoiled:
            data = self.documents[name]
            self.documents[name] = {"torn": data[: len(data) // 2], "empty": b""}.get(how, data[::-1])
        return spoiled

    def die(self, torn: int) -> None:
        """The process is gone: its files are closed. With `torn` the last write of the journal lacks so many bytes,
        as when it was cut short."""
        if torn and self._last is not None:
            descriptor, size = self._last
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - min(torn * 7, size)))
        for descriptor in list(self._open):
            self._close(descriptor)

    def _open_file(self, path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        self._open.add(descriptor)
        return descriptor

    def _write(self, descriptor: int, data: bytes) -> int:
        if descriptor not in self._open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self.loop.now_s += self.late_s()  # whoever writes the journal waits for it
        written = os.write(descriptor, data[: self.room_for(len(data), "journal")])
        self._last = descriptor, written
        return written

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            if self._last is not None and self._last[0] == descriptor:
                self._last = None
            os.close(descriptor)


class MemoryFiles:
    """`ports.Files` of one life: what waits to be written is lost with it."""

    def __init__(self, disk: Disk, directory: Path) -> None:
        self._disk = disk
        self._failing: dict[str, str] = {}
        self._directory = directory
        self._waiting: dict[str, tuple[Callable[[], bytes], Callable[[], None] | None]] = {}
        self._timer: Handle | None = None

    def path(self, name: str) -> Path:
        return self._directory / name

    def read(self, name: str) -> bytes | None:
        return self._disk.documents.get(name)

    def write(self, name: str, data: bytes) -> None:
        self._waiting.pop(name, None)
        self._replace(name, data)

    def write_soon(self, name: str, encode: Callable[[], bytes], written: Callable[[], None] | None = None) -> None:
        self._waiting[name] = encode, written
        self._schedule(WRITE_S + self._disk.late_s())

    def set_aside(self, name: str) -> str:
        aside = f"{name}.bad-1"
        self._disk.documents[aside] = self._disk.documents.pop(name)
        return aside

    @property
    def failing(self) -> list[str]:
        return list(self._failing.values())

    def restore(self) -> list[str]:
        """Nobody removes documents in memory."""
        return []

    def close(self) -> bool:
        """Write what waits; False when the disk refuses."""
        self._write_waiting()
        if self._timer is not None:
            self._timer.cancel()
        return not self._waiting

    def _schedule(self, delay_s: float) -> None:
        if self._timer is None:
            self._timer = self._disk.loop.call_later(delay_s, self._write_waiting)

    def _write_waiting(self) -> None:
        self._timer = None
        for name, (encode, written) in list(self._waiting.items()):
            try:
                self._replace(name, encode())
            except OSError as error:
                self._failing[name] = f"{self.path(name)}: expected to write the file, got {error.strerror}"
                self._schedule(RETRY_S)
                continue
            self._failing.pop(name, None)
            del self._waiting[name]
            if written is not None:
                written()

    def _replace(self, name: str, data: bytes) -> None:
        if self._disk.room_for(len(data), "files") < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._disk.documents[name] = data
