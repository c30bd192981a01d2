"""Inputs that somebody might send: documents with parts that do not belong there, and bytes hurt on the way."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import orjson

__all__ = ["NASTY", "bytes_of", "changed", "dumped", "hurt", "nasty"]


def _deep(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


NASTY: tuple[Any, ...] = (
    *("", " ", "0", "-0", "-1", "1e30", "1e-30", "1e999999", "x1e999999", "1_000", "١٢", "²", "NaN", "inf"),
    *("9" * 30, "9" * 5000, "0." + "1" * 5000, "x" * 100_000, "\x1b[2J", "a\nb\r", "\x9b31m", "\u202e", "\x00", "%s"),
    *(None, True, False, 0, -1, 1, 2, 1.5, 1e300, -1e-300, 2**53, 2**63 - 1, -(2**63), 2**64 - 1, 10**13),
    *([], {}, [[]], [None], {"a": {}}, "null", "[]", "true", "Buy", "BTCUSDT", _deep(30), _deep(150)),
)  # fmt: skip
"""What is JSON, and belongs nowhere."""


INSERTED = (b"\xff\xfe", b"\xed\xa0\x80", b'"', b"\\", b"\\ud800", b"[" * 1500, b'{"a":' * 300, b"\x00")


def nasty(rng: random.Random) -> Any:
    """One of them, to keep: what changes it later changes no other."""
    return copy.deepcopy(rng.choice(NASTY))


def dumped(document: Any) -> bytes:
    """A document as bytes, however deep it is."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return json.dumps(document).encode()


def changed(rng: random.Random, document: Any, value: Callable[[random.Random], Any] = nasty) -> Any:
    """A copy of a document with one to three of its parts replaced, removed, added or doubled."""
    found = orjson.loads(orjson.dumps(document))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        found = _change(rng, found, value)
    return found


def _change(rng: random.Random, document: Any, value: Callable[[random.Random], Any]) -> Any:
    place = document
    while isinstance(place, dict | list) and place:
        key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            place = inner
            continue
        what = rng.random()
        if what < 0.75:
            place[key] = value(rng)
        elif what < 0.9:
            del place[key]
        elif isinstance(place, dict):
            place[str(value(rng))[:50]] = inner
        else:
            place.append(inner)
        return document
    return value(rng)


def bytes_of(rng: random.Random, document: Any) -> bytes:
    """A document as bytes, now and then hurt."""
    text = dumped(document)
    return hurt(rng, text) if rng.random() < 0.4 else text


def hurt(rng: random.Random, text: bytes) -> bytes:
    """Bytes of which some are lost, turned, doubled or not of this world."""
    found = bytearray(text)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(found) + 1)
        what = rng.randrange(6)
        if what == 0:
            del found[at:]
        elif what == 1:
            del found[at : at + rng.randrange(1, 20)]
        elif what == 2 and found:
            found[at % len(found)] ^= 1 << rng.randrange(8)
        elif what == 3:
            found[at:at] = found[at : at + rng.randrange(1, 30)]
        elif what == 4:
            found[at:at] = rng.choice(
                (b"\xff\xfe", b"\xed\xa0\x80", b'"', b"\\", b"\\ud800", b"[" * 1500, b'{"a":' * 300, b"\x00")
            )
        else:
            found[at:at] = str(rng.choice((2**64, 10**400, "1e400", "-", "\u0661"))).encode()
    return bytes(found)
