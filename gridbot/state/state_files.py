"""The small files of one account, on the disk: read at start, replaced as a whole, written by one background thread.

`write_soon` never blocks and never raises: it leaves the newest content of each file for the thread. A disk that
refuses a file (`failing`) is tried again until it takes it. `write` is for start and stop: it returns when the
content is safe. Both together keep their order: after `write` nothing older reaches the file any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gridbot import background
from gridbot.atomic_file import remove_temporary_files, write_atomic
from gridbot.private_files import make_directory

__all__ = ["StateFiles"]

log = logging.getLogger(__name__)

_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    encode: Callable[[], bytes]
    written: Callable[[], None] | None


class StateFiles:
    """The files below `directory`, by name; a name may have a folder before it ("grids/btc.grid.json").

    Make it while a lock says that no other process writes there (the account's journal has one): temporary files of an
    earlier life are removed. Raises OSError when the directory cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._waiting: dict[str, _Waiting] = {}
        self._writing: str | None = None
        self._last: dict[str, bytes] = {}
        """What each file holds, so that it can be made again."""
        self._failures: dict[str, str] = {}
        """What the last attempt came to, as a sentence, by file, while it fails."""
        self._closed = False
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        make_directory(directory)
        for folder in (directory, *(entry for entry in directory.iterdir() if entry.is_dir())):
            remove_temporary_files(folder)

    def path(self, name: str) -> Path:
        """Where a file is, for messages."""
        return self._directory / name

    # ------------------------------------------------------------------ reading

    def read(self, name: str) -> bytes | None:
        """The whole content; None when there is no such file. Raises OSError."""
        try:
            data = self._last[name] = self.path(name).read_bytes()
        except FileNotFoundError:
            return None
        return data

    def set_aside(self, name: str) -> str:
        """Rename a file that cannot be used, so that nothing reads it again; return its new name. Raises OSError."""
        path, number = self.path(name), 1
        while (aside := path.with_name(f"{path.name}.bad-{number}")).exists():
            number += 1
        path.rename(aside)
        self._last.pop(name, None)
        return aside.name

    # ------------------------------------------------------------------ writing

    def write(self, name: str, data: bytes) -> None:
        """Replace a file now and drop what still waits for it. Blocks. Raises OSError; then the old file is intact."""
        with self._change:
            self._waiting.pop(name, None)
            self._change.wait_for(lambda: self._writing != name)
            self._waiting.pop(name, None)  # a write that failed was queued again
            write_atomic(self.path(name), data)
            self._last[name] = data
            self._failures.pop(name, None)

    def write_soon(self, name: str, encode: Callable[[], bytes], written: Callable[[], None] | None = None) -> None:
        """Have the content that `encode` gives written by the thread; of several that wait the newest wins.

        Both functions are called in the thread, `written` when the content is safe.
        """
        with self._change:
            if self._closed:
                raise RuntimeError(f"expected open state files, got a write of {self.path(name)} after close")
            self._waiting[name] = _Waiting(encode, written)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="state-files", daemon=True)
                self._thread.start()
            self._change.notify_all()

    @property
    def failing(self) -> list[str]:
        """A sentence for each file that the disk does not take at the moment."""
        return list(self._failures.values())

    def restore(self) -> list[str]:
        """Have the files that somebody has removed written again, as they were last; their names."""
        with self._change:
            idle = [name for name in list(self._last) if name not in self._waiting and name != self._writing]
            missing = [] if self._closed else [name for name in idle if not self.path(name).exists()]
            lost = {name: self._last[name] for name in missing}
        for name, data in lost.items():
            self.write_soon(name, partial(bytes, data))
        return missing

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything given to `write_soon` is on the disk; False if that takes longer than `timeout_s`."""
        with self._change:
            return self._change.wait_for(lambda: not self._waiting and self._writing is None, timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what waits and stop the thread; False if that takes longer than `timeout_s`, then the rest is lost."""
        done = self.flush(timeout_s)
        with self._change:
            self._closed = True
            self._change.notify_all()
            thread = self._thread
        if thread is not None and done:
            thread.join(timeout_s)
        return done

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                name = next(iter(self._waiting))
                job = self._waiting.pop(name)
                self._writing = name
            failure = self._try(name, job)
            with self._change:
                self._writing = None
                if failure:
                    self._waiting.setdefault(name, job)  # unless something newer waits already
                self._change.notify_all()
            if failure and self._wait_closed(_RETRY_S):
                return

    def _try(self, name: str, job: _Waiting) -> bool:
        """Write; True when it has to be tried again."""
        try:
            data = job.encode()
        except Exception as error:  # noqa: BLE001 - reported; it would fail again
            log.error("%s: the content cannot be encoded, the file stays as it is", self.path(name))
            background.report_in_thread(f"encoding {self.path(name)}", error)
            self._failures.pop(name, None)
            return False
        try:
            write_atomic(self.path(name), data)
        except OSError as error:
            self._failures[name] = (
                f"{self.path(name)}: expected to write the file, got {error.strerror or error}; trading goes on, "
                f"trying again every {_RETRY_S:g} s"
            )
            return True
        self._last[name] = data
        self._failures.pop(name, None)
        try:
            if job.written is not None:
                job.written()
        except Exception as error:  # noqa: BLE001 - reported; the other files have to be written
            background.report_in_thread(f"what follows the writing of {self.path(name)}", error)
        return False

    def _wait_closed(self, timeout_s: float) -> bool:
        with self._change:
            return self._change.wait_for(lambda: self._closed, timeout_s)
