"""The id an order carries on the wire: its level, and a number that is new for each order.

`<16 hex of the level>-<generation in base 36>`. The exchange remembers an id for hours after the order is gone, so a
generation is used once per account, ever (incidents L1-L3); the first one of a fresh state directory starts at the
clock, above anything an earlier installation can have used.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["MAX_LENGTH", "Generations", "client_id_of", "wire_id"]

MAX_LENGTH = 36
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_CLIENT_ID_LENGTH = 16


def wire_id(client_id: str, generation: int) -> str:
    """Compose an orderLinkId; raise ValueError when it would be too long for the exchange."""
    digits = ""
    rest = generation
    while True:
        rest, digit = divmod(rest, 36)
        digits = _DIGITS[digit] + digits
        if rest == 0:
            break
    text = f"{client_id}-{digits}"
    if len(text) > MAX_LENGTH:
        raise ValueError(f"expected an orderLinkId of at most {MAX_LENGTH} characters, got {len(text)}: {text}")
    return text


def client_id_of(link_id: str) -> str | None:
    """The level part of one of our ids; None for ids of another form (foreign orders)."""
    head, dash, tail = link_id.partition("-")
    if not dash or len(head) != _CLIENT_ID_LENGTH or not tail:
        return None
    if not set(head) <= set("0123456789abcdef") or not set(tail) <= set(_DIGITS):
        return None
    return head


class Generations:
    """Numbers that never repeat for an account, across restarts and crashes.

    They come from blocks. Before the first number of a block is used, `reserve(upto)` has to make durable that
    everything below `upto` counts as used. A block is large, so with `reserve` at start that never happens later, where
    a disk that refuses would halt a strategy. After a crash the rest of a block is skipped, which costs nothing.
    """

    BLOCK = 1_000_000

    def __init__(self, start: int, reserve: Callable[[int], None]) -> None:
        self._next = start
        self._reserved = start
        self._reserve = reserve

    def reserve(self) -> None:
        """Have a block at hand. Raises what `reserve` raises."""
        if self._next >= self._reserved:
            self._reserve(self._next + self.BLOCK)
            self._reserved = self._next + self.BLOCK

    def next(self) -> int:
        self.reserve()
        number = self._next
        self._next += 1
        return number
