"""Damages one block of a DuckDB file, as a bad disk or another program may."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

from gridbot.store.schema import BLOCK_BYTES

__all__ = ["BLOCKS_FROM", "BLOCK_BYTES", "damage_block"]

BLOCKS_FROM: Final = 12_288


def damage_block(path: Path, table: str, column: str) -> None:
    """Change 64 bytes in a block that has values of this column, if possible of no other."""
    with duckdb.connect(str(path), read_only=True) as con:
        block = con.execute(
            f"""
            SELECT block_id FROM pragma_storage_info('{table}') WHERE block_id >= 0 GROUP BY block_id
            HAVING list_contains(list(column_name), ?) ORDER BY count(*), block_id LIMIT 1""",
            [column],
        ).fetchone()
    assert block is not None
    with path.open("r+b") as file:
        file.seek(BLOCKS_FROM + block[0] * BLOCK_BYTES + 1000)
        file.write(bytes(range(64)))
