"""A worker's lease of its account, as its supervisor tells it: a plain value, which crosses a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from gridbot.core.strict_numbers import whole_of

__all__ = ["LeaseTerm"]


@dataclass(frozen=True, slots=True)
class LeaseTerm:
    """The worker may send until `until_ns`, as holder number `epoch` of the account.

    Times are CLOCK_BOOTTIME of this machine, ns. `sent_ns` is when the request was sent that gave this term.
    """

    epoch: int
    sent_ns: int
    until_ns: int

    def to_message(self) -> dict[str, Any]:
        """For the pipe to the worker."""
        return {"type": "lease_term", "epoch": self.epoch, "sent_ns": self.sent_ns, "until_ns": self.until_ns}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Self:
        """Read what `to_message` wrote. KeyError or ValueError for anything else."""
        return cls(*(whole_of(message[name]) for name in ("epoch", "sent_ns", "until_ns")))
