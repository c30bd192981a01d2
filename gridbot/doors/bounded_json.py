"""JSON that came from outside, with an end to its length and depth. Pure.

Whoever reads it gets a value that can be shown, copied and written again: at most `DEEPEST` levels deep, without
numbers beyond 64 bits (those are floats, or no JSON) and without lone surrogates. Anything else is a `JsonMistake`.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

__all__ = ["DEEPEST", "JsonMistake", "read_json"]

DEEPEST: Final = 200
"""Levels. orjson reads 1024 and writes 254, and Python's `repr` ends with a RecursionError somewhere between."""
LONGEST: Final = 1 << 24
"""Bytes of one text."""
_SHORT: Final = 2 * DEEPEST


class JsonMistake(ValueError):
    """What came is no JSON, or none of ours."""


def read_json(text: bytes | bytearray | str, *, longest: int = LONGEST) -> Any:
    """The value in a text. Raise JsonMistake, and nothing else."""
    size = len(text)
    if size > longest:
        raise JsonMistake(f"expected at most {longest} bytes of JSON, got {size}")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise JsonMistake(f"expected JSON: {error}") from None
    # A short text, or one with fewer brackets than that, cannot be deeper: to see so much costs next to nothing.
    if size > _SHORT and _opened(text) > DEEPEST and _is_deeper(value):
        raise JsonMistake(f"expected JSON of at most {DEEPEST} levels, got more")
    return value


def _opened(text: bytes | bytearray | str) -> int:
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _is_deeper(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True
