"""gridbot: what one account's worker is made of. See docs/architecture.md for the map.

`gridbot.connect(data_dir)` opens the records of a data directory for reading, also while it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gridbot.store.reading import connect as connect

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`connect`, imported when it is asked for: DuckDB is no business of a trading process."""
    if name == "connect":
        from gridbot.store.reading import connect

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
