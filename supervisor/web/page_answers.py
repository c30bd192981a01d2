"""Answers of the page: their headers against other sites, and the few that need nothing but themselves."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from supervisor.remote.command_forms import command_forms
from supervisor.web.logins import Session
from supervisor.web.page_files import POLICY, page_files

__all__ = ["SESSION", "file_answer", "form_of", "forms", "health", "json_answer", "static", "with_headers", "words"]

SESSION: Final = web.RequestKey("session", Session)
"""Of a request below `/api/`: who asks."""
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


async def with_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Before any answer is sent. What it has already stays."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "gridbot"


async def health(_: web.Request) -> web.StreamResponse:
    """That the process serves."""
    return web.Response(text="ok\n")


async def forms(_: web.Request) -> web.StreamResponse:
    """What commands ask for."""
    return json_answer(command_forms())


async def static(request: web.Request) -> web.StreamResponse:
    """A file of the page."""
    return file_answer(request.match_info["name"], request)


def file_answer(name: str, request: web.Request, status: int = 200) -> web.Response:
    """A file of the page by its name; 304 where the browser has it."""
    file = page_files().get(name)
    if file is None:
        return words(404, "there is no such file")
    takes_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
    kept = {"ETag": file.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if status == 200 and request.headers.get("If-None-Match") == file.tag:
        return web.Response(status=304, headers=kept)
    packing = {"Content-Encoding": "gzip"} if takes_gzip else {}
    headers = {"Content-Type": file.content_type, **kept, **packing}
    return web.Response(status=status, body=file.packed if takes_gzip else file.body, headers=headers)


async def form_of(request: web.Request) -> dict[str, str]:
    """The fields of a small form. What is no UTF-8 becomes other signs; no charset that it names is believed."""
    body = await request.read()
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def words(status: int, text: str) -> web.Response:
    """A sentence."""
    return web.Response(status=status, text=f"{text}\n", content_type="text/plain")


def json_answer(document: Any) -> web.Response:
    """A document as it is sent to the page's scripts."""
    return web.Response(body=orjson.dumps(document), content_type="application/json")
