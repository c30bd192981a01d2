"""The routes of what is recorded: `/api/fleet`, and `/api/rows/{name}` as JSON or as a file (csv, parquet).

A file is made by the reader and sent while nobody holds the records; a browser that takes it slowly keeps one of
`MOST_DOWNLOADS` places, and a descriptor of a file that is removed already.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from aiohttp import web

from supervisor.web.record_reader import Busy, NoReader, RecordReader, RecordReply

__all__ = ["RecordRoutes", "is_download"]

ROWS: Final = "/api/rows/"
TYPES: Final = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
FLEET_S: Final = 12.0
MOST_DOWNLOADS: Final = 4
MOST_PARAMETERS: Final = 10
PART: Final = 1 << 16
WRITE_S: Final = 10.0
"""A browser that takes no part in so many seconds is cut."""


def is_download(request: web.Request) -> bool:
    """Whether the answer may take as long as the line to the browser needs."""
    return request.path.startswith(ROWS) and request.query.get("format", "json") != "json"


class RecordRoutes:
    """One per page."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._downloads = 0

    async def rows(self, request: web.Request) -> web.StreamResponse:
        """Rows of a question of the catalogue."""
        query = request.query
        if len(query) > MOST_PARAMETERS or any(len(query.getall(name)) > 1 for name in query):
            return _words(400, "expected each parameter once")
        if taken := query.keys() & {"ask", "name"}:
            return _words(400, f"expected other parameters than {' and '.join(sorted(taken))}")
        asked = {"ask": "rows", "name": request.match_info["name"], **query}
        if not is_download(request):
            return await self.answer(asked)
        if self._downloads >= MOST_DOWNLOADS:
            return _busy("too many files are being sent; wait for one of them")
        self._downloads += 1
        try:
            return await self._download(request, asked)
        finally:
            self._downloads -= 1

    async def fleet(self, _: web.Request) -> web.StreamResponse:
        """Money, curves and last fills of all accounts, `FLEET_S` old at most."""
        return await self.answer({"ask": "fleet"}, fresh_s=FLEET_S)

    async def answer(self, asked: Mapping[str, Any], **more: float) -> web.Response:
        """What the reader answers, as JSON or as the words of a refusal."""
        try:
            reply = await self._reader.ask(asked, **more)
        except Busy:
            return _busy("too many questions wait for the records; ask again")
        except (NoReader, OSError) as error:
            return _words(503, str(error))
        return _answered(reply)

    async def _download(self, request: web.Request, asked: Mapping[str, Any]) -> web.StreamResponse:
        try:
            reply = await self._reader.ask(asked)
        except Busy:
            return _busy("too many questions wait for the records; ask again")
        except (NoReader, OSError) as error:
            return _words(503, str(error))
        if not reply.file:
            return _answered(reply)
        name = "-".join(filter(None, (asked["name"], asked.get("account"), asked.get("strategy"))))
        safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "_" for sign in name)
        kind = Path(reply.file).suffix[1:]
        with _taken_over(reply.file) as file:
            stream = web.StreamResponse(
                headers={
                    "Content-Type": TYPES[kind],
                    "Content-Disposition": f'attachment; filename="{safe}.{kind}"',
                    "Content-Length": str(os.fstat(file.fileno()).st_size),
                }
            )
            try:
                await stream.prepare(request)
                while part := await asyncio.to_thread(file.read, PART):
                    async with asyncio.timeout(WRITE_S):
                        await stream.write(part)
            except TimeoutError:  # the browser does not take the file
                if request.transport is not None:
                    request.transport.abort()
            return stream


@contextlib.contextmanager
def _taken_over(name: str) -> Any:
    """The file, open and without a name: nothing stays when we end."""
    file: BinaryIO
    with open(name, "rb") as file:
        os.unlink(name)
        yield file


def _answered(reply: RecordReply) -> web.Response:
    kind = "application/json" if reply.status == 200 else "text/plain"
    return web.Response(status=reply.status, body=reply.body, content_type=kind)


def _busy(text: str) -> web.Response:
    answer = _words(429, text)
    answer.headers["Retry-After"] = "2"
    return answer


def _words(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", content_type="text/plain")
