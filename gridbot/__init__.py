"""gridbot: what one account's worker is made of. See docs/architecture.md for the map.

`gridbot.connect(data_dir)` opens the records of a data directory for reading, also while the bot runs;
`gridbot.connect(fleet=DSN)` those of all hosts of a fleet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridbot.version import __version__ as __version__

if TYPE_CHECKING:
    from gridbot.store.connecting import connect as connect


def __getattr__(name: str) -> object:
    """Import `connect` when it is first used: a trading process does without DuckDB."""
    if name == "connect":
        from gridbot.store.connecting import connect

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
