"""The secrets of this process, and texts without them: log lines, crash reports, what a fault is called."""

from __future__ import annotations

import json
import urllib.parse
from typing import Final

__all__ = ["redacted", "register_secret", "spellings"]

HIDDEN: Final = "********"
SHORTEST: Final = 6
_secrets: set[str] = set()


def register_secret(value: str) -> None:
    """Never let `value` appear in a text, as it is, as JSON or as part of a URL. Very short values are left alone."""
    _secrets.update(spellings(value))


def spellings(secret: str) -> set[str]:
    """How a secret may stand in a text: as it is, as JSON, in a URL. None of a very short one."""
    if len(secret) < SHORTEST:
        return set()
    return {secret, json.dumps(secret)[1:-1], urllib.parse.quote(secret, safe="")}


def redacted(text: str) -> str:
    """The text without the secrets that are registered in this process."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text
