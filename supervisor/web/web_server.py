"""The page's server. `async with WebServer(spec) as server: server.url`.

Every request passes the same doors in this order, whatever it asks for:

    Host and Origin once, and ours ──► known path ──► `/api/`: cookie and page key ──► answered within `ANSWER_S`

All answers have the same headers against other sites. Nothing of a request is ever written to the log but its path.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final

from aiohttp import web

from gridbot import background
from gridbot.config.dsn_files import read_dsn
from gridbot.doors.http_site import Site
from supervisor.control.control_client import AFAR_S, ControlClient
from supervisor.metrics.metric_text import CONTENT_TYPE
from supervisor.metrics.metrics_token import token_path
from supervisor.web.command_door import CommandDoor
from supervisor.web.logins import Logins, Session
from supervisor.web.metrics_door import MetricsDoor
from supervisor.web.model_changes import shown
from supervisor.web.open_connections import OpenConnections, server_log
from supervisor.web.operations_door import OperationsDoor
from supervisor.web.page_answers import (
    SESSION,
    file_answer,
    form_of,
    forms,
    health,
    json_answer,
    static,
    with_headers,
    words,
)
from supervisor.web.page_files import page_files
from supervisor.web.record_reader import RecordReader
from supervisor.web.record_routes import RecordRoutes, is_download
from supervisor.web.status_feed import StatusFeed, TooMany
from supervisor.web.strategy_asker import StrategyAsker
from supervisor.web.web_spec import WebSpec

__all__ = ["WebServer"]

log = logging.getLogger("supervisor.web")

MOST_BODY: Final = 16_384
MOST_HEAD: Final = 8_190
ANSWER_S: Final = 30.0
READ_S: Final = 10.0
WRITE_S: Final = 10.0
ASK_S: Final = 4.0
SETTINGS_S: Final = 15.0
TLS_S: Final = 10.0
GOODBYE_S: Final = 0.2
"""Pages that look would keep it open for ever."""
PAGE_KEY: Final = "X-Gridbot-Page"
ONCE: Final = ("Host", "Origin", "Cookie", "Authorization", "Content-Length", "Transfer-Encoding", PAGE_KEY)
"""Headers that come once at most: of two, somebody on the way may have believed the other."""
LOGIN: Final = "/login"
EVENTS: Final = "/api/events"
REPORT: Final = "/api/report"
COMMAND: Final = "/api/command"
SLOW: Final = (EVENTS, COMMAND)
"""Those that take as long as they take."""
METRICS: Final = "/metrics"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer:
    """One per process; the page's routes are `_routes`."""

    def __init__(self, spec: WebSpec) -> None:
        self.spec = spec
        self.port = 0
        self._site = Site(spec.host, spec.names, what="this page", setting="web.names")
        self._logins = Logins(spec.data_dir, clock=time.monotonic, wall=time.time, uid=os.geteuid())
        self._metrics_door = MetricsDoor(spec.metrics_token_file or token_path(spec.data_dir), time.monotonic)
        self._commands = CommandDoor(spec.data_dir, time.monotonic)
        self.feed = StatusFeed(self._ask, time.monotonic)
        self._operations = OperationsDoor(spec.data_dir, self._ask_settings, self._in_force, time.monotonic)
        fleet = spec.fleet
        dsn = None if fleet is None else lambda: read_dsn(fleet)
        history = "" if fleet is None else fleet.history or ""
        self._reader = RecordReader(spec.data_dir, time.monotonic, hold_s=spec.hold_s, dsn=dsn, history=history)
        self._records = RecordRoutes(self._reader)
        self._strategies = StrategyAsker(self._ask_why, time.monotonic)
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._connections: OpenConnections | None = None

    @property
    def url(self) -> str:
        """By which a browser on this machine reaches it."""
        host = self.spec.host if self.spec.host not in ("0.0.0.0", "::") else "127.0.0.1"
        scheme = "http" if self.spec.tls_cert is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def __aenter__(self) -> WebServer:
        """Raises OSError when it cannot listen there, or has no TLS files that can be used."""
        page_files()
        self._metrics_door.open()
        app = web.Application(middlewares=[self._doors], client_max_size=MOST_BODY)
        app.on_response_prepare.append(with_headers)
        for verb, path, handler in self._routes():
            app.router.add_route(verb, path, handler)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=server_log(),
            keepalive_timeout=15.0,
            max_line_size=MOST_HEAD,
            max_field_size=MOST_HEAD,
            lingering_time=0.0,
            handler_cancellation=True,
            shutdown_timeout=GOODBYE_S,
        )
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._connections = OpenConnections(server, time.monotonic)
        self._listener = await self._listen(self._connections, self._tls())
        self.port = int(self._listener.sockets[0].getsockname()[1])
        self._sweeper = background.start(self._connections.keep(), name="the watch over the page's connections")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._listener is not None:
            self._listener.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._reader.close()
        self._commands.close()

    async def _listen(self, connections: OpenConnections, tls: ssl.SSLContext | None) -> asyncio.Server:
        """Any free port is the one of before where nobody has taken it: a page that is open finds it again."""
        patience_s = None if tls is None else TLS_S
        loop, host = asyncio.get_running_loop(), self.spec.host
        if not self.spec.port and self.spec.before:
            with contextlib.suppress(OSError):
                return await loop.create_server(
                    connections.protocol, host, self.spec.before, ssl=tls, ssl_handshake_timeout=patience_s
                )
        return await loop.create_server(
            connections.protocol, host, self.spec.port, ssl=tls, ssl_handshake_timeout=patience_s
        )

    def _tls(self) -> ssl.SSLContext | None:
        if self.spec.tls_cert is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.spec.tls_cert, self.spec.tls_key)
        return context

    def _ask(self) -> dict[str, Any]:
        with ControlClient(self.spec.data_dir, timeout=ASK_S) as client:
            return client.status()

    def _ask_why(self, account: str, strategy: str) -> dict[str, Any]:
        with ControlClient(self.spec.data_dir, timeout=ASK_S) as client:
            return client.why(account, strategy, timeout=AFAR_S)

    def _ask_settings(self) -> dict[str, Any]:
        with ControlClient(self.spec.data_dir, timeout=SETTINGS_S) as client:
            return client.settings()

    def _in_force(self) -> object:
        """Which configuration is; another value means another one."""
        return (self.feed.model or {}).get("supervisor", {}).get("configuration")

    def _routes(self) -> list[tuple[str, str, Handler]]:
        """Verb, path, handler. All below `/api/` need a login (`_doors`), and the others show no figures."""
        return [
            ("GET", "/healthz", health),
            ("GET", METRICS, self._metrics),
            ("GET", "/", self._page),
            ("GET", LOGIN, self._login_page),
            ("POST", LOGIN, self._enter),
            ("POST", "/api/logout", self._leave),
            ("GET", "/static/{name:.+}", static),
            ("GET", "/api/status", self._status),
            ("GET", EVENTS, self._events),
            ("GET", "/api/commands", forms),
            ("GET", "/api/rows/{name}", self._records.rows),
            ("GET", "/api/fleet", self._records.fleet),
            ("POST", COMMAND, self._command),
            ("GET", "/api/operations", self._operations.operations),
            ("GET", "/api/settings", self._operations.settings),
            ("POST", REPORT, self._report),
            ("GET", "/api/strategy/{account}/{strategy}", self._strategy),
        ]

    # -- the doors

    @web.middleware
    async def _doors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        connections = self._connections
        assert connections is not None
        transport = request.transport
        connections.begins(transport)
        try:
            if refusal := self._refusal(request):
                return refusal
            if request.path in SLOW or is_download(request):
                return await handler(request)
            async with asyncio.timeout(ANSWER_S):
                return await handler(request)
        except web.HTTPException as error:
            return words(error.status, error.reason)
        except web.RequestPayloadError:
            return words(400, "expected a body that can be read")
        except TimeoutError:
            return words(408, "it took too long")
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("a request failed: %s %s", request.method, request.path)
            return words(500, "a fault of the page; the log of the process `web` has it")
        finally:
            connections.ends(transport)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Why it is not answered; None when it is."""
        headers = request.headers
        for name in ONCE:
            if len(headers.getall(name, ())) > 1:
                return words(400, f"expected the header {name} once")
        if "Host" not in headers:
            return words(400, "expected the header Host")
        if "Content-Length" in headers and "Transfer-Encoding" in headers:
            return words(400, "expected Content-Length or Transfer-Encoding, not both")
        if "Content-Encoding" in headers:
            return words(415, "expected a body that is not packed")
        capitals = {name.upper(): value for name, value in headers.items()}
        wrong = self._site.refuses_host(capitals)
        if not wrong and not (request.method == "GET" or _is_login_from_a_file(request)):
            wrong = self._site.refuses_origin(capitals)
        elif not wrong and "Origin" in headers and request.path != LOGIN:
            wrong = self._site.refuses_origin({**capitals, "SEC-FETCH-SITE": "none"})
        if wrong:
            return words(403, wrong)
        if request.path == METRICS and (refused := self._metrics_door.refuses(headers.get("Authorization", ""))):
            return words(*refused)
        if request.path.startswith("/api/"):
            if headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
                return words(403, "web pages may not ask this page: the request comes from another site")
            return self._not_logged_in(request)
        return None

    async def _report(self, request: web.Request) -> web.StreamResponse:
        """By a form that opens a tab of its own. Such a form sends no headers: the page's key is in its body."""
        if request.content_type != "application/x-www-form-urlencoded":
            return words(415, "expected a form with the fields `key` and `name`")
        async with asyncio.timeout(READ_S):
            form = await form_of(request)
        key, name = form.get("key", ""), form.get("name", "")
        if not self._logins.has_key(request[SESSION], key):
            return words(401, "expected a login; the page itself says how to get one")
        return await self._operations.report(name)

    def _not_logged_in(self, request: web.Request) -> web.Response | None:
        session = self._session(request)
        key_follows = request.path == REPORT and request.method == "POST"  # in the body, where `_report` looks at it
        if session is None or not (key_follows or self._logins.has_key(session, request.headers.get(PAGE_KEY, ""))):
            return words(401, "expected a login; the page itself says how to get one")
        request[SESSION] = session
        return None

    def _session(self, request: web.Request) -> Session | None:
        cookie = request.cookies.get(self._cookie_name, "")
        return self._logins.find(cookie) if cookie else None

    @property
    def _cookie_name(self) -> str:
        """Of this port: browsers send the cookies of a host to all of its ports."""
        return f"gridbot_{self.port}"

    # -- what it answers

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if self._session(request) is None:
            return web.Response(status=303, headers={"Location": LOGIN})
        return file_answer("index.html", request)

    async def _login_page(self, request: web.Request) -> web.StreamResponse:
        return file_answer("login.html", request)

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/x-www-form-urlencoded":
            return words(415, "expected a form with the field `code`")
        async with asyncio.timeout(READ_S):
            form = await form_of(request)
        session = self._logins.enter(form.get("code", ""))
        if session is None:
            waits_s = self._logins.waits_s
            if waits_s:
                log.warning("too many wrong login codes: none is looked at for %.0f s", waits_s)
                answer = file_answer("login-wait.html", request, status=429)
                answer.headers["Retry-After"] = str(int(waits_s) + 1)
                return answer
            return file_answer("login-again.html", request, status=403)
        body = page_files()["entered.html"].body.replace(b"PAGE_KEY", session.page_key.encode())
        response = web.Response(body=body, headers={"Content-Type": "text/html; charset=utf-8"})
        response.set_cookie(
            self._cookie_name, session.cookie, httponly=True, samesite="Strict", secure=self.spec.is_secure, path="/"
        )
        log.info("somebody has logged in")
        return response

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        self._logins.leave(request[SESSION])
        response = words(200, "logged out")
        response.del_cookie(self._cookie_name, path="/")
        return response

    async def _metrics(self, _: web.Request) -> web.StreamResponse:
        model = await self.feed.current()
        text = await self._metrics_door.text(None if self.feed.problem else model, self.feed.version)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        model = await self.feed.current()
        if model is None:
            return words(503, self.feed.problem or "no status yet")
        return json_answer({"model": shown(model), "age_s": self.feed.age_s, "problem": self.feed.problem})

    async def _command(self, request: web.Request) -> web.StreamResponse:
        return await self._commands.answer(request, request[SESSION])

    async def _strategy(self, request: web.Request) -> web.StreamResponse:
        asked = request.match_info
        return json_answer(await self._strategies.about(asked["account"], asked["strategy"]))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        session = request[SESSION]
        messages = self.feed.messages()
        try:
            first = await anext(messages)
        except TooMany:
            refusal = words(503, "too many pages are open; close some of them")
            refusal.headers["Retry-After"] = "10"
            return refusal
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        try:
            await stream.prepare(request)
            await self._push(stream, first)
            async for message in messages:
                if session.is_over or self._logins.find(session.cookie) is None:
                    break
                await self._push(stream, message)
        except TimeoutError:  # it does not read what it is told
            if request.transport is not None:
                request.transport.abort()
        finally:
            await messages.aclose()
        return stream

    @staticmethod
    async def _push(stream: web.StreamResponse, message: bytes) -> None:
        async with asyncio.timeout(WRITE_S):
            await stream.write(message)


def _is_login_from_a_file(request: web.Request) -> bool:
    """`open` makes a file that posts the code: a browser calls its Origin null. The code itself is the proof."""
    return request.path == LOGIN and request.headers.get("Origin", "null") == "null"
