"""The numbers of records under each holder of an account: those of a later one are all higher, on whatever host.

So whatever an earlier holder's journal on the same machine still has is older than what this one begins with.
"""

from __future__ import annotations

__all__ = ["epoch_of", "first_number", "is_floor"]

BITS = 31


def first_number(epoch: int) -> int:
    """Records of this epoch have higher numbers. 0 without a fleet; two thousand million records for each holder."""
    return epoch << BITS


def epoch_of(number: int) -> int:
    """The epoch whose holder gave a record this number."""
    return number >> BITS


def is_floor(number: int) -> bool:
    """Whether an epoch's records begin above this number: what is missing below it was never given."""
    return number > 0 and number & ((1 << BITS) - 1) == 0
