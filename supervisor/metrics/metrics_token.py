"""Who may scrape: whoever knows the token of a file that only our user reads. It is made at the first start.

    Authorization: Bearer <token>

Prometheus reads the same file (`bearer_token_file` or `authorization.credentials_file`), or a copy of it.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from gridbot.private_files import make_directory, open_private

__all__ = ["SHORTEST", "is_bearer", "metrics_token", "token_path"]

SHORTEST: Final = 16
LONGEST: Final = 1_024
BYTES: Final = 32


def token_path(data_dir: Path) -> Path:
    """Where the token is, unless the configuration names another file."""
    return data_dir / "web" / "metrics_token"


def metrics_token(path: Path) -> str:
    """The token in a file, which is made with a new one where there is none.

    Raises OSError, PermissionError for a file that others may read, and ValueError for one without a token; both say
    what to do.
    """
    make_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        _make(path)
    with open_private(path, "r", encoding="utf-8", errors="replace") as file:
        found = os.fstat(file.fileno())
        text = str(file.read(LONGEST + 1)).strip()
    if found.st_mode & 0o077:
        raise PermissionError(
            f"expected {path} to be for its owner alone, got the mode {found.st_mode & 0o777:o}; what others may have "
            "read is no secret any more: remove the file, and the next start makes another one"
        )
    if not SHORTEST <= len(text) <= LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            f"expected in {path} one token of {SHORTEST} to {LONGEST} ASCII characters, got something else; remove the "
            "file, and the next start makes another one"
        )
    return text


def _make(path: Path) -> None:
    """A whole file or none: another process may read it at once."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    if path.exists():
        raise FileExistsError(path)
    with open_private(beside, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)  # never over a file that another process has made meanwhile
    finally:
        os.unlink(beside)


def is_bearer(header: str, token: str) -> bool:
    """Whether a header `Authorization` has the token; compared in constant time."""
    scheme, _, given = header.partition(" ")
    matches = hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())
    return matches and scheme.lower() == "bearer"
