r"""Words of others in a text for people: on one line, without signs that move a cursor, and not without end. Pure.

What an exchange, a file or another process says is data. In a log line, a table or an alert it may not begin a line of
its own, colour the terminal or fill it.
"""

from __future__ import annotations

import json
from typing import Any, Final

__all__ = ["LONGEST", "for_people", "json_line", "one_line", "printable", "printable_lines", "shown"]

LONGEST: Final = 300
"""Characters of a text that are shown, where nothing else is said."""


def one_line(text: str, longest: int = LONGEST) -> str:
    r"""A text with its control signs as `\n`, `\x1b` or `\ud800`, and cut when it is longer than `longest`."""
    if len(text) > longest:
        return f"{printable(text[:longest])}... ({len(text)} characters)"
    return printable(text)


def printable(text: str) -> str:
    r"""A text with everything that is no letter, digit or sign as `\n`, `\x1b` or `\ud800`. Blanks stay."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shown(value: Any, longest: int = 40) -> str:
    """A value as it came, cut when it is long; what holds others only by its kind and length."""
    if isinstance(value, dict | list | tuple):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of more than 64 bits"
    text = repr(value[: longest + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def json_line(text: str) -> str:
    r"""A line of JSON with the signs that a terminal acts on as `\u` escapes: it says the same to who parses it."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in text)


def for_people(value: Any, longest: int = LONGEST) -> Any:
    """Plain values of JSON with every text as `one_line` has it, at any depth."""
    if isinstance(value, str):
        return one_line(value, longest)
    if isinstance(value, dict):
        return {for_people(name, longest): for_people(inner, longest) for name, inner in value.items()}
    return [for_people(inner, longest) for inner in value] if isinstance(value, list | tuple) else value


def printable_lines(text: str) -> str:
    """The same as `printable`, for a text that has several lines."""
    return "\n".join(map(printable, text.split("\n")))
