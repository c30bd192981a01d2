"""The kinds of strategies that `kind:` in the file can name. A new kind is a line here."""

from __future__ import annotations

from typing import Any

from gridbot.strategies.base import StrategyKind
from gridbot.strategies.grid.kind import GRID

__all__ = ["DEFAULT_KIND", "KINDS"]

AnyKind = StrategyKind[Any, Any]

KINDS: dict[str, AnyKind] = {kind.name: kind for kind in (GRID,)}

DEFAULT_KIND = GRID.name
"""Of a section that names none."""
