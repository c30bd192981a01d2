"""What is said on a stream: signing in, subscribing, and the answers to it. Pure.

pybit's WebSocket is not used: neither its threads, its reconnects nor its shared dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from gridbot.bybit.error_mapping import scrub
from gridbot.bybit.signing import signer_of

__all__ = ["PING", "Topics", "reason", "sign_in", "subscription", "withdrawal"]

Topics = Mapping[str, Sequence[str]]
"""Topics of each subscription message, by its request id."""

PING: Final = '{"op":"ping"}'


def sign_in(api_key: str, api_secret: str, expires_ms: int) -> str:
    """The message that signs in; it holds until `expires_ms` of the exchange's clock (UTC)."""
    signature = signer_of(api_secret)(f"GET/realtime{expires_ms}".encode())
    return orjson.dumps({"op": "auth", "args": [api_key, expires_ms, signature]}).decode()


def subscription(request_id: str, topics: Sequence[str]) -> str:
    """The message that asks for topics."""
    return orjson.dumps({"op": "subscribe", "req_id": request_id, "args": list(topics)}).decode()


def withdrawal(request_id: str, topics: Sequence[str]) -> str:
    """The message that asks for topics no more."""
    return orjson.dumps({"op": "unsubscribe", "req_id": request_id, "args": list(topics)}).decode()


def reason(frame: Mapping[str, Any], secrets: Sequence[str]) -> str:
    """Why the exchange refused, as it says; without what it echoes of keys and signatures."""
    told = frame.get("ret_msg") or frame.get("retMsg")
    return scrub(told if isinstance(told, str) else "no reason given", secrets)
