"""Signatures and the timestamp window (docs/bybit.md 1.2, 1.3, docs/bybit_streams.md 5.1). Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache

from gridbot.core.strict_numbers import time_or_none
from gridbot.doors.plain_text import printable
from gridbot.paper.accounts.account import Account
from gridbot.paper.api_error import ApiError
from gridbot.paper.settings import KeyConfig

__all__ = ["authenticate", "check_permission", "check_ws_auth", "is_named", "sign"]

DEFAULT_RECV_WINDOW = 5000
AHEAD_MS = 1000
_NEEDED = {"order": "Order", "execution": "Order", "position": "Position"}
"""By the first part of a path: the permission of contracts that it needs."""
LONGEST_ECHO = 200
"""Characters of what a client signed that come back in an answer."""
PROOF_OF = b"GET/public"
"""What is signed to have a public stream known for an account's own (`bybit/endpoints.py`)."""


@lru_cache(maxsize=1024)
def _keyed(secret: str) -> hmac.HMAC:
    """An HMAC that has taken in the key. Copying it costs half of what OpenSSL needs to make one."""
    return hmac.new(secret.encode(), digestmod=hashlib.sha256)


def sign(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 in lower-case hex."""
    keyed = _keyed(secret).copy()
    keyed.update(payload)
    return keyed.hexdigest()


def is_signed(account: Account, signature: str, text: bytes) -> bool:
    """True when the signature is the account's: HMAC in hex, or with an RSA key PKCS#1 v1.5 over SHA-256 in base64."""
    if account.rsa_public_key:
        from gridbot.paper.api.rsa_signature import is_rsa_signed  # few need it, and it is slow to import

        return is_rsa_signed(account.rsa_public_key, signature, text)
    return hmac.compare_digest(sign(account.api_secret, text).encode(), signature.lower().encode())


def authenticate(
    accounts: Mapping[str, Account], headers: Mapping[str, str], payload: bytes, now_ms: int, remote: str = ""
) -> Account:
    """Account of a signed request from an address. `payload` is the raw query or body, exactly as it came."""
    key = headers.get("X-BAPI-API-KEY", "")
    timestamp = headers.get("X-BAPI-TIMESTAMP", "")
    signature = headers.get("X-BAPI-SIGN", "")
    window = headers.get("X-BAPI-RECV-WINDOW", "")
    if not (key and timestamp and signature):
        raise ApiError(
            10001,
            f"empty value: apiTimestamp[{_echo(timestamp)}] apiKey[{_echo(key)}] apiSignature[{_echo(signature)}]: "
            "openapi sign params error!",
        )
    account = accounts.get(key)
    if account is None:
        raise ApiError(10003, "API key is invalid.")
    if account.ips and remote not in account.ips:
        raise ApiError(10010, "Unmatched IP, please check your API key's bound IP addresses.")
    if has_expired(account, now_ms):
        raise ApiError(33004, "Your api key has expired.")
    check_time(timestamp, window, now_ms)
    origin = f"{timestamp}{key}{window}".encode() + payload
    if not is_signed(account, signature, origin):
        shown = _echo(origin[: 5 * LONGEST_ECHO].decode(errors="replace"))
        raise ApiError(10004, f"error sign! origin_string[{shown}]")
    return account


def has_expired(account: Account, now_ms: int) -> bool:
    return account.expires_ms is not None and account.expires_ms <= now_ms


def check_permission(key: KeyConfig | None, verb: str, path: str) -> None:
    """Refuse what a key may not do: a read-only one changes nothing, one without `Order` knows no orders."""
    if key is None:
        return
    area = path.removeprefix("/v5/").partition("/")[0]
    needed = _NEEDED.get(area)
    if (key.read_only and verb != "GET") or (needed is not None and needed not in key.contract_trade):
        raise ApiError(10005, "Permission denied, please check your API key permissions.")


def _echo(text: str) -> str:
    """The beginning of a text of the client's, on one line; Bybit gives the whole."""
    return printable(text[:LONGEST_ECHO]) + ("..." if len(text) > LONGEST_ECHO else "")


def check_time(timestamp: str, window: str, now_ms: int) -> None:
    """`server - recv_window <= timestamp < server + 1000`; the window never widens the forward allowance."""
    stamp, recv_window = time_or_none(timestamp), time_or_none(window or DEFAULT_RECV_WINDOW)
    if stamp is None or recv_window is None:
        raise ApiError(10001, "params error: timestamp or recv_window is not a number")
    if not now_ms - recv_window <= stamp < now_ms + AHEAD_MS:
        raise ApiError(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp}],server_timestamp[{now_ms}],recv_window[{recv_window}]",
        )


def check_ws_auth(accounts: Mapping[str, Account], args: object, now_ms: int, remote: str = "") -> Account | None:
    """Account of an `auth` request's args [key, expires, signature], None when it is refused."""
    if not isinstance(args, list) or len(args) != 3:
        return None
    key, expires, signature = args
    expires_ms = time_or_none(expires)
    account = accounts.get(key) if isinstance(key, str) else None
    if account is None or expires_ms is None or expires_ms <= now_ms or not isinstance(signature, str):
        return None
    if (account.ips and remote not in account.ips) or has_expired(account, now_ms):
        return None
    return account if is_signed(account, signature, f"GET/realtime{expires}".encode()) else None


def is_named(accounts: Mapping[str, Account], query: Mapping[str, str]) -> bool:
    """Whether the address of a public stream names an account of this exchange, and proves it. Others need not."""
    account, proof = accounts.get(query.get("key", "")), query.get("proof", "")
    return account is not None and is_signed(account, proof, PROOF_OF)
