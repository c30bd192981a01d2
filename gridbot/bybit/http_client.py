"""The HTTP client below pybit: the part of `requests.Session` that pybit uses, straight on urllib3.

On the way from a price to an order, `requests` spends more time on one small POST than everything else together: it
prepares, checks and copies what is already known. And http.client sends head and body in two writes, which wakes the
other side twice. Here the head is built once per request and leaves in one write with the body. urllib3's part stays:
connections kept alive and checked before use, verified TLS, timeouts, decoding. There are no redirects, cookies,
proxies, netrc or retries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import certifi
import requests
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import parse_url

from gridbot.bybit.clocks import monotonic_s
from gridbot.doors.bounded_json import JsonMistake, read_json

__all__ = ["Answer", "HttpClient", "Outgoing"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it will leave; `target` is path and query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The part of `requests.Response` that pybit uses. Header names are matched without case."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    elapsed: timedelta

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Raises json.JSONDecodeError."""
        try:
            return read_json(self.content)
        except JsonMistake as mistake:
            raise json.JSONDecodeError(str(mistake), "", 0) from None


class HttpClient:
    """Requests to one host (`base_url`), one after another: not thread safe. `headers` go with every request.

    Raises urllib3's exceptions, which `error_mapping.classify` sorts.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        url = parse_url(base_url)
        self.headers = dict(headers)
        self._base_url = base_url
        self._pool: HTTPConnectionPool
        if url.scheme == "https":
            self._pool = _TlsPool(
                url.host or "", url.port, maxsize=1, cert_reqs="CERT_REQUIRED", ca_certs=certifi.where()
            )
        else:
            self._pool = _PlainPool(url.host or "", url.port, maxsize=1)

    def prepare_request(self, request: requests.Request) -> Outgoing:
        """Raises ValueError for an address of another host."""
        url = str(request.url)
        if not url.startswith(self._base_url):
            raise ValueError(f"expected an address at {self._base_url}, got another one")
        body = request.data.encode() if isinstance(request.data, str) else None
        return Outgoing(request.method or "GET", url[len(self._base_url) :], self.headers | request.headers, body)

    def send(self, request: Outgoing, *, timeout: float) -> Answer:
        """`timeout` in seconds, for the connection and for each wait for bytes."""
        started_s = monotonic_s()
        response = self._pool.urlopen(
            request.method,
            request.target,
            body=request.body,
            headers=request.headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=Timeout(connect=timeout, read=timeout),
        )
        elapsed = timedelta(seconds=monotonic_s() - started_s)
        return Answer(response.status, response.headers, response.data, elapsed)

    def close(self) -> None:
        self._pool.close()


class _OneWrite(HTTPConnection):
    """Holds back what `request` sends in parts, and sends it whole."""

    _held: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._held = []
        try:
            super().request(*args, **kwargs)
            whole = b"".join(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)


class _OneTlsWrite(_OneWrite, HTTPSConnection):
    """The same over TLS, where it also makes one record of two."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _OneWrite


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _OneTlsWrite
