"""`${NAME}` in a text of the configuration file: the value of the environment variable NAME."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gridbot.doors.plain_text import one_line

__all__ = ["Fault", "value_of_file", "variable_origin", "variables_in", "with_variables"]

LONGEST_SECRET: Final = 8192
"""Bytes of a file that `NAME_FILE` names: an RSA key of 8192 bits has 6,500."""
_VARIABLE = re.compile(r"\$\{([^}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a variable has no value. `name` is None where the text names none, and `got` is that text."""

    name: str | None
    got: str


def with_variables(text: str, environ: Mapping[str, str], fault: Callable[[Fault], None]) -> str:
    """The text with each variable replaced; `fault` hears of each without a value, which is replaced by nothing."""

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None or not _NAME.match(name):
            fault(Fault(None, match.group(0)))
            return ""
        value, reason = _lookup(name, environ)
        if not value:
            fault(Fault(name, reason))
        return value

    return _VARIABLE.sub(value_of, text)


def variables_in(text: str) -> list[str]:
    """The names of the variables in a text, each once."""
    return list(dict.fromkeys(name for name in _VARIABLE.findall(text) if _NAME.match(name)))


def variable_origin(name: str, environ: Mapping[str, str]) -> str:
    """Where the value of a variable comes from, in words; never the value."""
    if name not in environ and (path := environ.get(f"{name}_FILE")):
        return f"the file {one_line(path)} that {name}_FILE names"
    return f"environment variable {name}"


def _lookup(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Value of a variable, or "" and why. `NAME_FILE` names a file with the value: mounted secrets of containers.

    Without blanks around it: a file of variables with line ends of Windows leaves one at the end of each.
    """
    if name in environ:
        return environ[name].strip(), "an empty value"
    path = environ.get(f"{name}_FILE")
    if not path:
        return "", "no such variable"
    return value_of_file(path)


def value_of_file(path: str) -> tuple[str, str]:
    """What a file has, without blanks around it, or "" and why. Never waits: a pipe may have no writer."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return "", f"something else than a file at {one_line(path)}"
            content = file.read(LONGEST_SECRET + 1)
        if len(content) > LONGEST_SECRET:
            return "", f"a file of more than {LONGEST_SECRET:,} bytes, {one_line(path)}"
        # utf-8-sig: editors of Windows begin a file with a byte order mark, which is no part of a key
        return content.decode("utf-8-sig").strip(), f"an empty file {one_line(path)}"
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        return "", f"an unreadable file {one_line(path)} ({why})"
