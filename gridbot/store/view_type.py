"""What a view is, for those who define some."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["View"]


@dataclass(frozen=True, slots=True)
class View:
    """Name, documentation and query of a view. Later views may use earlier ones."""

    name: str
    doc: str
    sql: str
