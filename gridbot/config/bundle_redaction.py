"""Takes secrets out of what leaves this machine: those that are known, and what looks like one. Pure.

A log line has none of them when it is written (`log_lines`). This is the second look, for files that others wrote, for
lines of an earlier version, and for secrets that the configuration had then and has no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["HIDDEN", "Redaction"]

HIDDEN: Final = b"********"
SHORTEST: Final = 6
_PATTERNS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), kept)
    for pattern, kept in (
        (rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", b""),
        (rb"\b(bearer\s+)[\w.~+/=-]{8,}", rb"\1"),
        # name and password of an address; a password may have a slash that nobody has escaped
        (rb"(\b[a-z][a-z0-9+.-]{0,30}://)(?:[^\s/@\"']{1,300}|[^\s/@\"':]{0,100}:[^\s@\"']{1,200})@", rb"\1"),
        (rb"\b(bot)?\d{6,12}:[\w-]{30,}", rb"\1"),  # a bot of Telegram
        (rb"(https://(?:hooks\.slack\.com/services|(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks)/)[^\s\"'<>]+",
         rb"\1"),
        (rb"((?:x-bapi-sign|api[_-]?key|passw(?:or)?d|passphrase|secret|token)"
         rb"[\"']?\s{0,9}[=:]\s{0,9}[\"']?)(?!set\b|not set\b|null\b|none\b|true\b|false\b|\$\{|\*)[^\s\"',;&}]{6,}",
         rb"\1"),
    )
)  # fmt: skip
"""What looks like a secret, and what of it stays."""


class Redaction:
    """Replaces secrets in bytes."""

    def __init__(self, spellings: Iterable[str]) -> None:
        """`spellings`: each secret in each way in which it may be written."""
        known = {text.encode("utf-8", "surrogatepass") for text in spellings if len(text) >= SHORTEST}
        self._known = sorted(known, key=len, reverse=True)

    def of(self, data: bytes) -> bytes:
        """The same without them."""
        for secret in self._known:
            data = data.replace(secret, HIDDEN)
        for pattern, kept in _PATTERNS:
            data = pattern.sub(kept + HIDDEN, data)
        return data
