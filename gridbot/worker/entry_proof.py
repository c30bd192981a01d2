"""How many orders over WebSocket the account's testnet has acknowledged: what `order_entry: auto` asks on mainnet.

Counted while the account trades on testnet, in its state directory: that of its name, in one data directory. So an
account that was moved from testnet to mainnet has it, and no other account's says anything about it.
"""

from __future__ import annotations

import logging

from gridbot.exchange.environment import Environment
from gridbot.exchange.order_entry import PROVEN
from gridbot.state.documents import StateFile

__all__ = ["EntryProof"]

log = logging.getLogger(__name__)


class EntryProof:
    """The document `order_entry.json`; a damaged one counts as none. Raises OSError when it cannot be read."""

    def __init__(self, file: StateFile, environment: Environment) -> None:
        self._file = file
        self._counts = environment is Environment.TESTNET
        found = (file.load() or {}).get("acknowledged", 0)
        self.acknowledged = found if type(found) is int and 0 <= found <= PROVEN else 0
        """At most `PROVEN`: more proves nothing more."""

    def add(self, orders: int) -> None:
        """An answer over WebSocket has acknowledged so many creates."""
        if not self._counts or orders <= 0 or self.acknowledged >= PROVEN:
            return
        self.acknowledged = min(PROVEN, self.acknowledged + orders)
        self._file.save({"acknowledged": self.acknowledged})
        if self.acknowledged == PROVEN:
            log.info("%d orders over WebSocket acknowledged: on mainnet `order_entry: auto` uses it", PROVEN)
