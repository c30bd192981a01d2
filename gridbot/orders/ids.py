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

    They come from blocks. Before the first number of a block is used, the disk has to know that everything below its
    end counts as used. `reserve(upto, safe)` begins that and does not wait; `safe` is called, in any thread, when it is
    done. The next block is asked for long before the last number of this one. While the disk takes none, numbers run
    out, and `available` says so. After a crash the rest of a block is skipped. A block is ten seconds of the clock's
    milliseconds, so that deaths do not carry the numbers ahead of it: an account whose files are lost begins at the
    clock again, and must not meet its own numbers there.
    """

    BLOCK = 10_000
    AHEAD = 5_000

    def __init__(self, start: int, reserve: Callable[[int, Callable[[], None]], None]) -> None:
        self._next = start
        self._asked = start
        self._reserved = start
        self._reserve = reserve

    @property
    def unused(self) -> int:
        """The next number; all from here on are new."""
        return self._next

    def available(self, count: int) -> bool:
        """Whether the next `count` numbers may be used; asks for more where they run short. On the hot path."""
        left = self._reserved - self._next
        if left < self.AHEAD and self._asked == self._reserved:
            self._ask(self._reserved + self.BLOCK)
        return self._reserved - self._next >= count

    def next(self) -> int:
        """A new number. Raises LookupError when there is none; `available` says so before."""
        if not self.available(1):
            raise LookupError(f"expected a reserved number, all below {self._reserved} are used")
        number = self._next
        self._next += 1
        return number

    def _ask(self, upto: int) -> None:
        def safe() -> None:
            self._reserved = upto

        self._asked = upto
        self._reserve(upto, safe)
