"""How somebody describes files of market data: `--column` and `--map`. Reads the map's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from gridbot.doors.plain_text import one_line

__all__ = ["KINDS", "Described", "column_options", "described_by"]

KINDS: Final = ("trades", "candles", "marks", "fundings", "tickers")
LONGEST_MAP: Final = 1 << 16


def column_options(columns: tuple[str, ...]) -> dict[str, str]:
    """What each of our parts is called in the files. Raise UsageError."""
    found: dict[str, str] = {}
    for text in columns:
        part, equals, name = text.partition("=")
        if not equals or not part or not name:
            raise click.UsageError(f"--column: expected PART=NAME, such as time=when, got {text!r}")
        if part in found:
            raise click.UsageError(f"--column: expected one name for {part}, got {found[part]!r} and {name!r}")
        found[part] = name
    return found


class Described:
    """What a --map file says of the files."""

    def __init__(self, document: Any) -> None:
        if not isinstance(document, Mapping):
            raise ValueError("expected lines such as `as: candles`, `symbol: BTCUSDT` and `columns: {time: when}`")
        self.kind: str | None = document.get("as")
        self.symbol: str | None = document.get("symbol")
        self.columns: Mapping[str, str] = document.get("columns") or {}
        if not isinstance(self.columns, Mapping):
            raise ValueError("expected `columns` to be such as {time: when, open: o}")
        texts = [self.symbol or "", *self.columns, *self.columns.values()]
        if self.kind not in (*KINDS, None) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"expected `as` to be one of {', '.join(KINDS)}, and names as text")
        if unknown := document.keys() - {"as", "symbol", "columns"}:
            raise ValueError(f"expected as, symbol and columns, got {sorted(map(str, unknown))}")


def described_by(path: Path | None) -> Described:
    """What a map says; nothing without one. Raise UsageError."""
    if path is None:
        return Described({})
    import yaml

    try:
        with path.open("rb") as file:
            document = yaml.safe_load(file.read(LONGEST_MAP))
        return Described({} if document is None else document)
    except (OSError, yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise click.UsageError(f"--map {path}: {one_line(str(error))}") from None
