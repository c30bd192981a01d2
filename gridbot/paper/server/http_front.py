"""HTTP requests on their way to the API and back, with the faults on the way. One handler, no router."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from aiohttp import web

from gridbot.doors.http_site import Site
from gridbot.paper.api.callers import Caller, CallerLimits
from gridbot.paper.api.dispatch import Api, Reply, error_reply
from gridbot.paper.api.request_limits import Quota
from gridbot.paper.api_error import ApiError
from gridbot.paper.faults.fault_config import FaultConfig, FaultKind
from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.server.open_callers import OpenCallers
from gridbot.paper.server.paper_control import CONTROL_PATH, Control
from gridbot.paper.streams.channels import CHANNELS, Channels
from gridbot.paper.streams.connection_faults import cut
from gridbot.paper.streams.connections import Stamp
from gridbot.paper.streams.outgoing import Outgoing, not_written

__all__ = ["HttpFront"]

log = logging.getLogger("gridbot.paper")
PUBLIC = ("/v5/market/", "/v5/system/")
LOOPBACK = ("127.0.0.1", "::1")
TEXTS = {
    10000: "Server Timeout",
    10006: "Too many visits! Exceeded the API Rate Limit.",
    10016: "System error. Please try again later.",
    429: "The trading service is experiencing a high server load. Please retry if you encounter this issue.",
}


class HttpFront:
    """Takes every request of the port; WebSocket upgrades go on to the channels."""

    def __init__(
        self,
        api: Api,
        channels: Channels,
        faults: Faults,
        control: Control | None,
        now_ms: Callable[[], int],
        outgoing: Outgoing,
        stamp: Stamp,
        site: Site,
        callers: OpenCallers,
    ) -> None:
        self._api = api
        self._channels = channels
        self._limits = CallerLimits(api.exchange.config.limits)
        self._site = site
        self._callers = callers
        self._faults = faults
        self._control = control
        self._now_ms = now_ms
        self._outgoing = outgoing
        self._stamp = stamp

    def answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes, caller: Caller) -> Reply | None:
        """Answer a plain request at once; None when it has to go through aiohttp (faults, control).

        With a state file the caller gives the answer to `Outgoing.hold`.
        """
        if headers.get("HOST") != caller.host or "ORIGIN" in headers or "SEC-FETCH-SITE" in headers:
            if (foreign := self._foreign(headers)) is not None:
                return foreign
            caller.host = headers.get("HOST", "")
        if self._faults.plan:
            return None
        if target == "/v5/order/create":
            self._stamp("create", "")
        reply = self._answer(verb, target, headers, body, caller)
        if not self._outgoing.keeps:
            self._outgoing.changed()
        return reply

    def _foreign(self, headers: Mapping[str, str]) -> Reply | None:
        wrong = self._site.refuses(headers)
        return error_reply(ApiError(10005, wrong, http_status=403), self._now_ms()) if wrong else None

    def _answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes, caller: Caller) -> Reply:
        now_ms = self._now_ms()
        caller.requests += 1
        if not self._limits.allows(caller, now_ms / 1000):
            return self._banned()
        return self._carry_out(verb, target, headers, body, caller, now_ms)

    def _carry_out(
        self, verb: str, target: str, headers: Mapping[str, str], body: bytes, caller: Caller, now_ms: int
    ) -> Reply:
        if self._outgoing.stands_still and not target.startswith(PUBLIC):
            return self.refusal()
        try:
            reply = self._api.handle(verb, target, headers, body, now_ms, caller.remote)
        except Exception:
            log.exception("a fault of the exchange: %s %s", verb, target.partition("?")[0])
            return error_reply(ApiError(10016, TEXTS[10016]), now_ms)
        if reply.account and not caller.known:
            self._limits.signed(caller, now_ms / 1000)
        return reply

    def refusal(self) -> Reply:
        """The answer to a request while what it would change cannot be kept."""
        return error_reply(not_written(), self._now_ms())

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        caller = self._callers.of(request.transport)
        if any(len(request.headers.getall(name, ())) > 1 for name in ("Host", "Origin")):
            twice = ApiError(10005, "expected Host and Origin once", http_status=403)
            return _response(error_reply(twice, self._now_ms()))
        if (foreign := self._foreign(request.headers)) is not None:
            return _response(foreign)
        target = request.raw_path
        path = target.partition("?")[0]
        kind = CHANNELS.get(path)
        if kind is not None and "Upgrade" in request.headers:
            self._callers.closed(request.transport)
            return await self._channels.accept(request, kind)
        caller.requests += 1
        caller.unfinished = True
        body = await request.read() if request.can_read_body else b""
        caller.unfinished = False
        if path == "/v5/order/create":
            self._stamp("create", "")
        if path == CONTROL_PATH and self._control is not None and request.remote in LOOPBACK:
            if self._outgoing.stands_still:
                return _response(self.refusal())
            return await self._once_written(self._control.answer(request.method, request.headers, body, self._now_ms()))
        fault = self._fault_of(request, path) if self._faults.plan else None
        if fault is None:
            reply = self._answer(request.method, target, request.headers, body, caller)
            return await self._once_written(reply)
        return await self._spoiled(request, target, body, fault, caller)

    async def _once_written(self, reply: Reply) -> web.Response:
        return _response(reply if await self._outgoing.written() else self.refusal())

    def _banned(self) -> Reply:
        return error_reply(ApiError(10018, "access too frequent", http_status=403), self._now_ms())

    def _fault_of(self, request: web.BaseRequest, path: str) -> FaultConfig | None:
        account = self._api.exchange.by_key.get(request.headers.get("X-BAPI-API-KEY", ""))
        return self._faults.on_request(path, account.name if account is not None else "")

    async def _spoiled(
        self, request: web.BaseRequest, target: str, body: bytes, fault: FaultConfig, caller: Caller
    ) -> web.StreamResponse:
        """Answer a request as a fault demands."""
        if fault.kind is FaultKind.IP_BAN:
            until_s = self._now_ms() / 1000 + (fault.for_s or self._api.exchange.config.limits.ip_ban_s)
            self._limits.ban(request.remote or "", until_s)
            return _response(self._banned())
        if fault.kind is FaultKind.DELAY:
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault.kind is FaultKind.ERROR:
            return _response(self._error(fault))
        if fault.kind is not FaultKind.LOST_REQUEST:
            reply = self._carry_out(request.method, target, request.headers, body, caller, self._now_ms())
            if fault.kind is FaultKind.ERROR_AFTER:
                reply = self._error(fault)
            if fault.kind is not FaultKind.LOST_REPLY:
                return await self._once_written(reply)
            self._outgoing.changed()
        cut(request.transport)
        return web.Response(status=500)

    def _error(self, fault: FaultConfig) -> Reply:
        now_ms = self._now_ms()
        text = fault.message or TEXTS.get(fault.code, "System error. Please try again later.")
        error = ApiError(fault.code, text, http_status=fault.http_status)
        if fault.code == 10006:
            error.headers = Quota(0, 10, 0, now_ms + 1000).headers()
        return error_reply(error, now_ms)


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers, content_type="application/json")
