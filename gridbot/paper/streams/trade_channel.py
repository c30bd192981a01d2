"""Order entry over WebSocket (docs/bybit_streams.md 5.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gridbot.paper.api.auth import check_time
from gridbot.paper.api.dispatch import ROUTES, Api
from gridbot.paper.api.request_limits import KeyedLimit, Quota
from gridbot.paper.api_error import ApiError
from gridbot.paper.faults.fault_config import FaultConfig, FaultKind
from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.streams.connections import Connection
from gridbot.paper.streams.outgoing import Outgoing, not_written

__all__ = ["TradeChannel"]

log = logging.getLogger("gridbot.paper")
OPERATIONS = {
    f"order.{name}": f"/v5/order/{name}"
    for name in ("create", "amend", "cancel", "create-batch", "amend-batch", "cancel-batch")
}
TEXTS = {10006: "Too many visits. Exceeded the API Rate Limit"}
"""Texts that differ from those of HTTP (docs/bybit.md 4.4)."""
KEEP_IDS = 10_000
MAX_ID_CHARS = 36
LONGEST_ECHO = 100
"""Characters of an operation or an id that come back in an answer."""
AUTH_ARGS = 3
CATEGORIES = frozenset({"linear", "inverse", "spot", "option"})


class TradeChannel:
    """Answers the requests of trade connections. Order events go to the private streams as always."""

    def __init__(self, api: Api, faults: Faults, now_ms: Callable[[], int], outgoing: Outgoing) -> None:
        self._api = api
        self._outgoing = outgoing
        self._faults = faults
        self._now_ms = now_ms
        self._recent: dict[str, dict[str, None]] = {}
        self._requests = KeyedLimit(api.exchange.config.limits.ws_trade_requests, 1.0)

    def fault_of(self, connection: Connection, request: dict[str, Any]) -> FaultConfig | None:
        """The fault that applies to a request; call it once for each request."""
        account, op = connection.account, str(request.get("op", ""))
        name = account.name if account is not None else ""
        return self._faults.on_request(OPERATIONS.get(op, op), name, operation=op or "none")

    def answer(
        self, connection: Connection, request: dict[str, Any], fault: FaultConfig | None
    ) -> dict[str, Any] | None:
        """Reply to a request; None when a fault loses it, and the connection is to be cut, as over HTTP."""
        op, now_ms = str(request.get("op", ""))[:LONGEST_ECHO], self._now_ms()
        if fault is not None and fault.kind is FaultKind.LOST_REQUEST:
            return None
        reply = _reply(connection, request, op, now_ms)
        try:
            if fault is not None and fault.kind is FaultKind.ERROR:
                raise _error_of(fault, now_ms)
            result, extra, headers = self._execute(connection, request, op, now_ms)
            if fault is not None and fault.kind is FaultKind.ERROR_AFTER:
                raise _error_of(fault, now_ms)
            reply |= {"retCode": 0, "retMsg": "OK", "data": result, "retExtInfo": extra}
            reply["header"] |= headers
        except ApiError as error:
            reply |= _refused(error)
            reply["header"] |= error.headers
        except Exception:
            log.exception("a fault of the exchange: %s", op)
            reply |= _refused(ApiError(10016, "System error. Please try again later."))
        return None if fault is not None and fault.kind is FaultKind.LOST_REPLY else reply

    @staticmethod
    def auth_reply(
        connection: Connection, request: dict[str, Any], *, repeated: bool, accepted: bool
    ) -> dict[str, Any]:
        """The answer to `auth`. One that comes again is refused, and the connection stays authorised."""
        args = request.get("args")
        if repeated:
            code, text = 20001, "Repeat auth"
        elif not isinstance(args, list) or len(args) != AUTH_ARGS:
            code, text = 10001, "Param error"
        else:
            code, text = (0, "OK") if accepted else (10004, "Invalid sign")
        reply: dict[str, Any] = {"retCode": code, "retMsg": text, "op": "auth", "connId": connection.conn_id}
        if request.get("reqId"):
            reply["reqId"] = str(request["reqId"])[:LONGEST_ECHO]
        return reply

    def refusal(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request whose changes cannot be kept."""
        return _reply(connection, request, str(request.get("op", ""))[:LONGEST_ECHO], self._now_ms()) | _refused(
            not_written()
        )

    def _execute(
        self, connection: Connection, request: dict[str, Any], op: str, now_ms: int
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        account = connection.account
        if account is None:
            raise ApiError(10004, "Request not authorized")
        if self._outgoing.stands_still:
            raise not_written()
        if not self._requests.allows(connection.remote, now_ms / 1000):
            raise ApiError(10403, "Exceeded the IP rate limit: too many requests over WebSocket")
        path, args = OPERATIONS.get(op), request.get("args")
        if path is None:
            raise ApiError(10404, f"op type is not found: {op}")
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise ApiError(10001, "params error: args must hold exactly one object")
        if str(args[0].get("category")) not in CATEGORIES:
            raise ApiError(10404, "category is not correct/supported")  # over HTTP it is 10001
        self._check_id(connection, request)
        header = request.get("header") or {}
        if not isinstance(header, dict):
            raise ApiError(10001, "params error: header must be an object")
        check_time(str(header.get("X-BAPI-TIMESTAMP", "")), str(header.get("X-BAPI-RECV-WINDOW", "") or ""), now_ms)
        result, extra, quota = self._api.call(ROUTES[path], path, account, args[0], now_ms)
        return result, extra, quota.headers()

    def _check_id(self, connection: Connection, request: dict[str, Any]) -> None:
        req_id = str(request.get("reqId", ""))
        if not req_id:
            return
        if len(req_id) > MAX_ID_CHARS:
            raise ApiError(10001, f"params error: reqId invalid, at most {MAX_ID_CHARS} characters")
        recent = self._recent.setdefault(connection.conn_id, {})
        if req_id in recent:
            raise ApiError(20006, "Duplicate reqId")
        recent[req_id] = None
        if len(recent) > KEEP_IDS:
            del recent[next(iter(recent))]

    def forget(self, connection: Connection) -> None:
        self._recent.pop(connection.conn_id, None)


def _refused(error: ApiError) -> dict[str, Any]:
    text = TEXTS.get(error.code, error.message)
    return {"retCode": error.code, "retMsg": text, "data": {}, "retExtInfo": {}}


def _reply(connection: Connection, request: dict[str, Any], op: str, now_ms: int) -> dict[str, Any]:
    reply: dict[str, Any] = {"op": op, "connId": connection.conn_id, "header": {}}
    reply["header"] = {"Timenow": str(now_ms), "Traceid": f"{now_ms:032x}"}
    if request.get("reqId"):
        reply["reqId"] = str(request["reqId"])[:LONGEST_ECHO]
    return reply


def _error_of(fault: FaultConfig, now_ms: int) -> ApiError:
    error = ApiError(fault.code, fault.message or "System error. Please try again later.")
    if fault.code == 10006:
        error.headers = Quota(0, 10, 0, now_ms + 1000).headers()
    return error
