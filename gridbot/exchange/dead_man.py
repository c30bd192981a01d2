"""Disconnect-cancel-all (DCP): the exchange cancels our orders when our private stream has been gone for some seconds.

It is the only cancel that works when the whole machine is gone. Pure, importable without pybit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["LEAST_S", "MOST_S", "DeadMan"]

LEAST_S: Final = 3
MOST_S: Final = 300
"""What Bybit takes as its time (docs/bybit.md)."""
_DCP = re.compile(r"dcp ([0-9]{1,4})\Z")


@dataclass(frozen=True, slots=True)
class DeadMan:
    """Cancel all when the private stream has been gone for `after_s` seconds."""

    after_s: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `dcp 30`. Raises ValueError for anything else."""
        found = _DCP.match(" ".join(text.lower().split()))
        if found is None or not LEAST_S <= int(found[1]) <= MOST_S:
            raise ValueError(f"expected dcp with {LEAST_S} to {MOST_S} seconds such as `dcp 30`, got {text!r}")
        return cls(int(found[1]))

    def __str__(self) -> str:
        return f"dcp {self.after_s}"
