"""Where an SQL statement ends: its semicolon, and comments that may follow it. By DuckDB's own tokens."""

from __future__ import annotations

import duckdb

__all__ = ["is_ended", "without_end"]


def without_end(statement: str) -> str:
    """The statement without its semicolon and what follows, so that it can stand in brackets."""
    return _cut(statement)[0]


def is_ended(text: str) -> bool:
    """Whether a semicolon ends the text; comments may follow it."""
    return _cut(text)[1]


def _cut(statement: str) -> tuple[str, bool]:
    data = statement.encode()  # the tokens count bytes
    end, ended = len(data), False
    for start, kind in reversed(duckdb.tokenize(statement)):
        semicolon = data[start:end].strip() == b";"
        if kind is not duckdb.token_type.comment and not semicolon:
            break
        end, ended = start, ended or semicolon
    return data[:end].decode().rstrip(), ended
