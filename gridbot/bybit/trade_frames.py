"""Frames of the trade socket (docs/bybit_streams.md 5.4): requests as text, answers as values. Pure.

An answer becomes the envelope that HTTP would have brought, so the same code reads both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from gridbot.bybit.raw_fields import FieldError, text_of, time_or_none, unseen_text, whole_or_none
from gridbot.doors.bounded_json import read_json
from gridbot.doors.plain_text import shown
from gridbot.exchange.requests import RateLimit

__all__ = ["OPERATIONS", "PING", "Pong", "SignInAnswer", "TradeAnswer", "order_frame", "quota_of", "read_frame"]

OPERATIONS = {
    endpoint: endpoint.replace("/", ".")
    for endpoint in ("order/create", "order/create-batch", "order/cancel", "order/cancel-batch")
}
"""Endpoint of HTTP -> operation here."""
PING = '{"op":"ping"}'
"""Bybit closes a connection that sends nothing for ten minutes, and asks for one of these each 20 s."""


class TradeAnswer(NamedTuple):
    """The answer to a request. `code` is None when it has none; `request_id` is "" when it names no request.

    `text` is as it came: `error_mapping.from_ret_code` scrubs and cuts it.
    """

    request_id: str
    operation: str
    code: int | None
    text: str
    envelope: dict[str, Any]
    quota: RateLimit | None


class SignInAnswer(NamedTuple):
    """The answer to a sign-in."""

    code: int | None
    text: str


class Pong(NamedTuple):
    """A sign of life, nothing else."""


def order_frame(request_id: str, operation: str, params: Mapping[str, Any], at_ms: int, recv_window_ms: int) -> str:
    """A request. `at_ms` is the exchange's time: it refuses what is older than `recv_window_ms`, or a second ahead."""
    return orjson.dumps(
        {
            "reqId": request_id,
            "header": {"X-BAPI-TIMESTAMP": str(at_ms), "X-BAPI-RECV-WINDOW": str(recv_window_ms)},
            "op": operation,
            "args": [params],
        }
    ).decode()


def read_frame(data: bytes | str) -> TradeAnswer | SignInAnswer | Pong:
    """What a frame says. Raises JsonMistake or FieldError for one that cannot be read."""
    frame = read_json(data)
    if type(frame) is not dict:
        raise FieldError(f"expected an object, got {shown(frame)}")
    operation = text_of(frame, "op")
    if operation in ("pong", "ping"):
        return Pong()
    code = whole_or_none(frame.get("retCode"))
    if operation == "auth":
        return SignInAnswer(code, unseen_text(frame, "retMsg"))
    header = frame.get("header")
    envelope = {"retCode": code, "result": frame.get("data"), "retExtInfo": frame.get("retExtInfo")}
    return TradeAnswer(
        text_of(frame, "reqId"),
        operation,
        code,
        unseen_text(frame, "retMsg"),
        envelope,
        quota_of(header) if type(header) is dict else None,
    )


def quota_of(headers: Mapping[str, Any]) -> RateLimit | None:
    """The quota that an answer states; None when it states none."""
    limit, remaining = whole_or_none(headers.get("X-Bapi-Limit")), whole_or_none(headers.get("X-Bapi-Limit-Status"))
    if limit is None or remaining is None:
        return None
    return RateLimit(limit, remaining, time_or_none(headers.get("X-Bapi-Limit-Reset-Timestamp")) or 0)
