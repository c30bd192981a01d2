"""What a record survives once the journal has it; also the words of `storage.durability` in the configuration."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Durability"]


class Durability(StrEnum):
    """The death of the process, or the loss of power as well (fdatasync)."""

    PROCESS = "process"
    POWER = "power"
