"""Pages that somebody has open, as many as wanted: they follow the events and ask for records, as the page does."""

from __future__ import annotations

import contextlib
import http.client
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from supervisor.web.logins import make_code

__all__ = ["Login", "Viewers", "log_in"]

WAIT_S: Final = 60.0
RECORDS_S: Final = 15.0
"""Between two questions of the fleet's view for what is recorded (`static/records.js`)."""


class Login:
    """Cookie and page key of one who has logged in at `url`."""

    def __init__(self, url: str, cookie: str, key: str) -> None:
        self.url = url
        self.cookie = cookie
        self.key = key

    @contextlib.contextmanager
    def asked(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """The answer to a GET, while the block runs."""
        connection = _connected(self.url)
        try:
            connection.request("GET", path, headers={"Cookie": self.cookie, "X-Gridbot-Page": self.key})
            yield connection.getresponse()
        finally:
            connection.close()


def log_in(url: str, data_dir: Path) -> Login:
    """By a code, as `gridbot-supervisor open` does. Raises OSError."""
    connection = _connected(url)
    try:
        form = urllib.parse.urlencode({"code": make_code(data_dir, "bench")})
        connection.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise OSError(f"expected to be logged in, got {answer.status}: {text[:200]}")
        cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
        return Login(url, cookie, text.partition('name="page-key" content="')[2].partition('"')[0])
    finally:
        connection.close()


class Viewers:
    """Two threads each, which read and throw away. `bytes_read` is what all of them were sent."""

    def __init__(self, login: Login, pages: int) -> None:
        self._login = login
        self._end = threading.Event()
        works = [self._follow, self._ask_records] * pages
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        self._lock = threading.Lock()
        self.bytes_read = 0
        self.lost = 0
        """Streams that ended before they were to."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(WAIT_S)

    def _follow(self) -> None:
        try:
            with self._login.asked("/api/events") as answer:
                while not self._end.is_set() and (some := answer.read1(1 << 16)):
                    with self._lock:
                        self.bytes_read += len(some)
        except (OSError, http.client.HTTPException):
            pass
        if not self._end.is_set():
            with self._lock:
                self.lost += 1

    def _ask_records(self) -> None:
        while True:
            try:
                with self._login.asked("/api/fleet") as answer:
                    some = len(answer.read())
            except (OSError, http.client.HTTPException):
                some = 0
            with self._lock:
                self.bytes_read += some
            if self._end.wait(RECORDS_S):
                return


def _connected(url: str) -> http.client.HTTPConnection:
    found = urllib.parse.urlsplit(url)
    return http.client.HTTPConnection(found.hostname or "", found.port, timeout=WAIT_S)
