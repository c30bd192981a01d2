"""Files and answers from an HTTP server: resumed where they broke off, checked, and never from elsewhere.

A file grows as `<name>.part` and gets its name when it is whole, which its gzip checksum says. A connection that
breaks is tried again from where it was, in this run or the next one. A redirect is refused. Network, files.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from gridbot.atomic_file import put_in_place
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import one_line, shown
from gridbot.market.market_error import MarketError, why_not_kept
from gridbot.private_files import make_directory, open_private
from gridbot.version import __version__

__all__ = ["Download", "DownloadPace", "FetchFailed", "require_address"]

CHUNK: Final = 1 << 18
LARGEST_FILE: Final = 1 << 33
LONGEST_ANSWER: Final = 1 << 24
NO_FILE: Final = 404
BANNED: Final = 403
TOO_OFTEN: Final = 10006
RANGE: Final = re.compile(r"bytes ([0-9]+)-")
OnBytes = Callable[[str, int, int | None], None]
"""Hears of a file's name, how many bytes there are, and how many there will be, where that is known."""


class FetchFailed(MarketError):
    """Something cannot be fetched; the text names the address, what was expected and what came."""


def require_address(what: str, url: str, example: str) -> None:
    """Raise FetchFailed for what is no address of a server. What may be a user, a password or a token is not shown."""
    if "@" in url:  # before it is taken apart: also of one that cannot be
        raise FetchFailed(f"{what}: expected an address without user and password, such as {example}")
    if "?" in url or "#" in url:
        raise FetchFailed(f"{what}: expected an address without a query, such as {example}")
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or any(sign.isspace() for sign in url):
        raise FetchFailed(f"{what}: expected an address such as {example}, got {shown(url, 100)}")


class _Again(Exception):
    """It may go better the next time."""


class DownloadPace:
    """How politely: at least `pause_s` between two requests, `tries` of each, the waits between them doubling."""

    def __init__(
        self, pause_s: float = 0.25, tries: int = 6, first_wait_s: float = 1.0, timeout_s: float = 30.0
    ) -> None:
        self.pause_s, self.tries, self.first_wait_s, self.timeout_s = pause_s, tries, first_wait_s, timeout_s


class Download:
    """One after the other over one session. Use it as an async context."""

    def __init__(self, pace: DownloadPace | None = None, on_bytes: OnBytes = lambda _name, _done, _total: None) -> None:
        self._pace, self._on_bytes = pace or DownloadPace(), on_bytes
        self._next_at = 0.0
        self._wrong: set[str] = set()

    async def __aenter__(self) -> Download:
        seconds = self._pace.timeout_s
        self._session = aiohttp.ClientSession(
            headers={"User-Agent": f"gridbot/{__version__}", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, connect=seconds, sock_read=seconds),
            auto_decompress=False,
            trust_env=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._session.close()

    async def file(self, url: str, target: Path) -> bool:
        """Fetch a gzip file, unless it is there. False when the server has none (404). Raise FetchFailed."""
        if target.exists():
            return True
        return bool(await self._tried(url, lambda: self._file(url, target)))

    async def answer(self, url: str, params: Mapping[str, str]) -> Any:
        """The value of a REST answer with retCode 0. Raise FetchFailed."""
        return await self._tried(url, lambda: self._answer(url, params))

    async def _tried(self, url: str, work: Callable[[], Any]) -> Any:
        wait_s, last = self._pace.first_wait_s, ""
        for number in range(self._pace.tries):
            if number:
                await asyncio.sleep(wait_s)
                wait_s *= 2
            await self._turn()
            try:
                return await work()
            except aiohttp.InvalidURL:
                raise FetchFailed(f"{url}: expected an address such as https://api.bybit.com") from None
            except (_Again, aiohttp.ClientError, TimeoutError) as error:
                last = str(error) or type(error).__name__
            except OSError as error:
                raise FetchFailed(f"{url}: cannot be kept: {why_not_kept(error)}") from error
        raise FetchFailed(
            f"{url}: expected an answer, got {one_line(last)} ({self._pace.tries} tries); "
            "do it again later, it goes on where it was"
        )

    async def _turn(self) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._next_at - clock()))
        self._next_at = clock() + self._pace.pause_s

    async def _file(self, url: str, target: Path) -> bool:
        make_directory(target.parent)
        part = target.with_name(f"{target.name}.part")
        have = part.stat().st_size if part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status == NO_FILE:
                return False
            if response.status == 416:  # more is here than there
                part.unlink()
                raise _Again(f"status 416 after {have} bytes")
            _check_status(url, response)
            begin = _begin(response) if response.status == 206 else 0
            if begin not in (0, have):
                part.unlink()
                raise _Again(f"bytes from {begin} where {have} were there")
            await self._append(response, part, begin, target.name)
        try:
            await asyncio.to_thread(_check_gzip, part)
        except (OSError, EOFError, zlib.error) as error:
            with part.open("rb") as file:
                first = file.read(40)
            part.unlink()
            said = f"expected a whole gzip file, got one that begins with {shown(first)} ({error})"
            if url in self._wrong:
                raise FetchFailed(f"{url}: {said}") from error
            self._wrong.add(url)  # what an earlier run has left may be the reason
            raise _Again(said) from error
        put_in_place(part, target)
        return True

    async def _append(self, response: aiohttp.ClientResponse, part: Path, begin: int, name: str) -> None:
        length = response.content_length
        total = None if length is None else begin + length
        done = begin
        with open_private(part, "ab") as file:
            os.ftruncate(file.fileno(), begin)
            async for chunk in response.content.iter_chunked(CHUNK):
                done += len(chunk)
                if done > LARGEST_FILE:
                    raise FetchFailed(f"{response.url}: expected at most {LARGEST_FILE} bytes, got more")
                file.write(chunk)
                self._on_bytes(name, done, total)

    async def _answer(self, url: str, params: Mapping[str, str]) -> Any:
        async with self._session.get(url, params=params, allow_redirects=False) as response:
            if response.status == NO_FILE:
                raise FetchFailed(f"{response.url}: expected an answer, got status 404; is it the right address?")
            _check_status(url, response)
            text = b""
            async for chunk in response.content.iter_chunked(CHUNK):
                text += chunk
                if len(text) > LONGEST_ANSWER:
                    raise FetchFailed(f"{response.url}: expected at most {LONGEST_ANSWER} bytes, got more")
        try:
            value = read_json(text)
            code, said = value["retCode"], value.get("retMsg")
        except (JsonMistake, LookupError, TypeError, AttributeError):
            raise FetchFailed(f"{response.url}: expected an answer of Bybit, got {shown(text)}") from None
        if code == TOO_OFTEN:
            raise _Again(f"retCode {TOO_OFTEN}: too many requests")
        if code != 0:
            raise FetchFailed(f"{response.url}: expected retCode 0, got {shown(code)} {shown(said, 200)}")
        return value


def _check_status(url: str, response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status in (200, 206):
        return
    if 300 <= status < 400:
        where = shown(response.headers.get("Location", ""), 200)
        raise FetchFailed(f"{url}: expected an answer, got a redirect to {where}; nothing is fetched from elsewhere")
    if status == BANNED:
        raise FetchFailed(
            f"{url}: expected an answer, got status 403: too many requests, or not from here; wait 10 minutes"
        )
    if status == 429 or status >= 500:
        raise _Again(f"status {status}")
    raise FetchFailed(f"{url}: expected an answer, got status {status}")


def _begin(response: aiohttp.ClientResponse) -> int:
    found = RANGE.match(response.headers.get("Content-Range", ""))
    return int(found.group(1)) if found and len(found.group(1)) < 19 else -1


def _check_gzip(path: Path) -> None:
    """Raise OSError, EOFError or zlib.error when it is no whole gzip file with its checksum."""
    with contextlib.closing(gzip.open(path, "rb")) as file:
        while file.read(1 << 22):
            pass
