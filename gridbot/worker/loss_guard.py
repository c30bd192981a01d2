"""Watches the session loss limit: compares, latches the gate, alerts, and saves.

Memory comes first, the file after: what the disk does neither undoes nor delays a latch. A latch that a crash kept from
the file is found again by the next start, which counts from the same baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gridbot.risk.loss_limit import Begun, Checked, Cleared, Event, Latched, LossLimit, LossState, Restored, step
from gridbot.state.documents import StateFile
from gridbot.worker.context import WorkerContext
from gridbot.worker.startup import StartRefused

__all__ = ["LossGuard"]

ZERO = Decimal(0)


class LossGuard:
    """One per account. `live` are the strategies that count; shadow strategies lose no money."""

    def __init__(self, limit: LossLimit, file: StateFile, context: WorkerContext, live: Sequence[str]) -> None:
        self._limit = limit
        self._file = file
        self._context = context
        self._live = live
        self._state = LossState()

    def load(self) -> None:
        """Continue where an earlier run stopped: latched stays latched. Before the first order.

        Raises OSError, and StartRefused when the file does not say whether the account is latched.
        """
        document = self._file.load()
        if document is None:
            self._step(Begun(self._net()))
            self._file.save_now(self._state.to_document())
            return
        try:
            self._step(Restored(document))
        except (KeyError, ArithmeticError, TypeError, ValueError) as error:
            raise StartRefused(
                f"expected baseline and latched in {self._file}, got {document!r} ({error!r}); put them right, or "
                "remove the file to count the loss from now on"
            ) from error

    def check(self) -> bool:
        """Whether the account is latched now; alerts when that is new."""
        funds = self._context.funds
        unrealised = (funds.wallet.unrealised_pnl if funds.wallet else None) or ZERO
        latched = self._step(Checked(self._net(), funds.wallet_balance, unrealised))
        if latched is not None:
            self._context.alert("error", "session_loss_limit", latched.reason)
            self._file.save(self._state.to_document())
        return bool(self._state.latched)

    def clear(self) -> None:
        """An operator resumes the account: trade again, and count the loss from here."""
        self._step(Cleared(self._net()))
        self._file.save(self._state.to_document())

    def _step(self, event: Event) -> Latched | None:
        """Apply an event, and have the gate follow."""
        self._state, latched = step(self._state, event, self._limit)
        self._context.gate.latch_loss(self._state.latched)
        return latched

    def _net(self) -> Decimal:
        return sum((self._context.ledger.of(name).net for name in self._live), ZERO)
