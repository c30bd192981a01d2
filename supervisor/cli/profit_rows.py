"""The rows of `pnl`: sums of executions, of matched pairs and of open legs, by what they are about. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from supervisor.store.record_questions import BY

__all__ = ["PROFIT_NOTE", "PROFIT_SUMS", "profit_rows"]

Row = dict[str, Any]
PROFIT_SUMS: Final = ("fills", "volume", "realised", "grid_profit", "fees", "funding", "net", "unrealised")
PROFIT_NOTE: Final = (
    "NET = REALISED - FEES - FUNDING, in USDT; GRID_PROFIT is the part of REALISED that matched pairs of the grid made "
    "(before fees), and UNREALISED, what the open legs would bring at their last recorded mark price, is in no other "
    "column."
)
ZERO: Final = Decimal(0)


def profit_rows(
    by: str,
    sums: Sequence[Mapping[str, Any]],
    grids: Sequence[Mapping[str, Any]] | None,
    legs: Sequence[Mapping[str, Any]] | None,
) -> list[Row]:
    """One row per key and kind of money. Of `grids` and `legs` None is "not known", which is not nothing."""
    keys = (*BY[by], "money")
    grid = {_key(row, keys): row["grid_profit"] for row in grids or ()}
    held = {_key(row, keys): row["unrealised"] for row in legs or ()}
    rows = {_key(row, keys): row for row in sums}
    found = []
    for key in sorted({*rows, *held}, key=str):
        row = rows.get(key, {})
        found.append(
            {
                **dict(zip(keys, key, strict=True)),
                "fills": row.get("fills", 0),
                "volume": row.get("volume", ZERO),
                "realised": row.get("realised", ZERO),
                "grid_profit": None if grids is None else grid.get(key, ZERO),
                "fees": row.get("fees", ZERO),
                "funding": row.get("funding", ZERO),
                "net": row.get("net", ZERO),
                "unrealised": None if legs is None else held.get(key, ZERO),
            }
        )
    return found


def _key(row: Mapping[str, Any], keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in keys)
