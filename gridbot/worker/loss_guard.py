"""Watches the session loss limit: compares, closes the gate, saves, and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gridbot.risk.loss_limit import LossLimit
from gridbot.state.documents import StateFile
from gridbot.worker.context import WorkerContext

__all__ = ["LossGuard"]

ZERO = Decimal(0)


class LossGuard:
    """One per account. `live` names the strategies whose money counts; shadow strategies lose none."""

    def __init__(self, limit: LossLimit, file: StateFile, context: WorkerContext, live: Sequence[str]) -> None:
        self._limit = limit
        self._file = file
        self._context = context
        self._live = live

    def load(self) -> None:
        """Go on where an earlier run stopped: latched stays latched. Before the first order. Raises OSError."""
        document = self._file.load()
        if document is None:
            self._limit.begin(self._net())
            self._file.save_now(self._limit.to_document())
        else:
            self._limit.restore(document)
        self._context.gate.latch_loss(self._limit.latched)

    def check(self) -> bool:
        """Whether the account is latched now; alerts when that is new."""
        funds = self._context.funds
        unrealised = (funds.wallet.unrealised_pnl if funds.wallet else None) or ZERO
        if self._limit.check(self._net(), funds.wallet_balance, unrealised):
            self._context.gate.latch_loss(self._limit.latched)
            self._context.alert("error", "session_loss_limit", self._limit.latched)
            self._save()
        return bool(self._limit.latched)

    def clear(self) -> None:
        """An operator has looked: trade again, and count the loss from here."""
        self._limit.clear(self._net())
        self._context.gate.latch_loss("")
        self._save()

    def _net(self) -> Decimal:
        return sum((self._context.ledger.of(name).net for name in self._live), ZERO)

    def _save(self) -> None:
        """At once, or as soon as the disk takes it: a full one must not end a worker that has orders to cancel."""
        document = self._limit.to_document()
        try:
            self._file.save_now(document)
        except OSError:
            self._file.save(document)
