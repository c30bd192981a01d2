"""Watches the session loss limit: compares, latches the gate, alerts, and saves.

Memory comes first, journal and file after: what the disk does neither undoes nor delays a latch. A latch that a crash
kept from both is found again by the next start, which counts from the same baseline and looks before anything trades. A
document that does not say whether the account is latched latches it: only an operator knows better.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gridbot.risk.loss_limit import (
    Begun,
    Checked,
    Cleared,
    Event,
    Latched,
    LossLimit,
    LossState,
    Regrouped,
    Restored,
    Unknown,
    lost,
    most_lost,
    step,
    unpriced,
)
from gridbot.state.documents import StopFile, Unreadable
from gridbot.worker.context import WorkerContext

__all__ = ["LossGuard"]

ZERO = Decimal(0)


class LossGuard:
    """One per account. `live` are the strategies that count; shadow strategies lose no money."""

    def __init__(self, limit: LossLimit, file: StopFile, context: WorkerContext, live: Sequence[str]) -> None:
        self._limit = limit
        self._file = file
        self._context = context
        self._live = live
        self._state = LossState()
        self._leaves_out = False

    @property
    def has_limit(self) -> bool:
        """Whether a loss can latch the account."""
        return self._limit.limit is not None

    def load(self) -> None:
        """Continue where an earlier run stopped: latched stays latched. Before the first order. Never raises."""
        try:
            earlier = self._file.load_as(LossState.from_document)
        except Unreadable as error:
            reason = (
                f"{error}, so it is unknown whether the account has lost too much; nothing is opened until "
                f"{self._limit.resume}"
            )
            self._tell(self._step(Unknown(reason, self._context.clock.wall_ms())))
            return
        if earlier is not None:
            self._step(Restored(earlier))
            return
        self._step(Begun(self._net(), self._fees()))
        self._file.save(self._state.to_document())

    def check(self) -> bool:
        """Whether the account is latched now; alerts when that is new."""
        if not (self.has_limit or self._state.latched) and self._state.fees is not None:
            return False  # nothing can be too much
        now = self._now()
        self._tell(self._step(now))
        self._tell_unpriced(unpriced(now.fees, now.prices, self._state))
        return bool(self._state.latched)

    @property
    def counted_from(self) -> str:
        """Names the moment from which losses count: another text after a `clear`."""
        return str(self._state.baseline)

    def result(self) -> Decimal:
        """USDT made since counting began, without what is unrealised."""
        return -lost(self._state, self._now(), LossLimit(None, includes_unrealised=False))

    def used(self) -> tuple[Decimal, Decimal] | None:
        """What was lost, and the limit (USDT); None while there is none."""
        now = self._now()
        loss = lost(self._state, now, self._limit)
        most = most_lost(now, loss, self._limit)
        return None if most is None else (max(ZERO, loss), most)

    def clear(self) -> None:
        """An operator resumes the account: trade again, and count the loss from here."""
        self._step(Cleared(self._net(), self._fees()))
        self._context.alert.over("session_loss_limit", "the account may trade again: an operator has resumed it")
        self._file.save(self._state.to_document())

    def limit(self, limit: LossLimit) -> None:
        """Another limit counts from now on; a latch stays."""
        self._limit = limit

    @property
    def resume(self) -> str:
        """What ends a latch, in words."""
        return self._limit.resume

    def follow(self, live: Sequence[str]) -> None:
        """Other strategies count from now on; what is lost so far stays what it is."""
        net, fees = self._net(), self._fees()
        self._live = live
        self._step(Regrouped(net, self._net(), fees, self._fees()))
        self._file.save(self._state.to_document())

    def _now(self) -> Checked:
        """The figures now."""
        funds = self._context.funds
        unrealised = (funds.wallet.unrealised_pnl if funds.wallet else None) or ZERO
        now_ms = self._context.clock.wall_ms()
        return Checked(self._net(), funds.wallet_balance, unrealised, now_ms, self._fees(), self._prices())

    def _tell_unpriced(self, coins: Sequence[str]) -> None:
        """An incident for as long as fees are left out of the loss."""
        text = f"fees in {', '.join(coins)} are not counted by the session loss limit: what they are worth is not known"
        if coins and self._limit.limit is not None and not self._leaves_out:
            self._context.alert("warning", "session_loss_fees", text)
        elif self._leaves_out and not coins:
            self._context.alert.over("session_loss_fees", "all fees are counted by the session loss limit")
        self._leaves_out = bool(coins)

    def _fees(self) -> dict[str, Decimal]:
        """In other coins than USDT, of all live strategies."""
        found: dict[str, Decimal] = {}
        for name in self._live:
            for coin, fee in self._context.ledger.of(name).other_fees.items():
                found[coin] = found.get(coin, ZERO) + fee
        return found

    def _prices(self) -> dict[str, Decimal]:
        """By the wallet's own valuation; one USD counts as one USDT."""
        wallet = self._context.funds.wallet
        others = () if wallet is None else wallet.others
        return {each.coin: each.price for each in others if each.price is not None}

    def _tell(self, latched: Latched | None) -> None:
        """Alert and save, if the account is latched now and was not before."""
        if latched is not None:
            self._context.alert("error", "session_loss_limit", latched.reason)
            self._file.save(self._state.to_document())

    def _step(self, event: Event) -> Latched | None:
        """Apply an event, and have the gate follow."""
        self._state, latched = step(self._state, event, self._limit)
        self._context.gate.latch_loss(self._state.latched, self._state.since_ms)
        return latched

    def _net(self) -> Decimal:
        return sum((self._context.ledger.of(name).net for name in self._live), ZERO)
