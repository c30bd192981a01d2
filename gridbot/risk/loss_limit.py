"""The session-loss latch: an account that has lost too much opens nothing more until an operator says so.

The loss counts from the last time the latch was clear, from executions, fees and funding (and unrealised PnL when
configured), so it survives restarts together with the ledger (incidents L26, 5.2 no. 14).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gridbot.config.models import AccountCaps, StrategyConfig
from gridbot.core.execution_ledger import Ledger
from gridbot.risk.gate import Gate
from gridbot.state.documents import StateFile

__all__ = ["LossLimit"]

ZERO = Decimal(0)


class LossLimit:
    """USDT throughout."""

    def __init__(self, file: StateFile, caps: AccountCaps, strategies: Sequence[StrategyConfig]) -> None:
        self._file = file
        self._caps = caps
        self._live = [strategy.strat_id for strategy in strategies if not strategy.shadow_mode]
        self._baseline = ZERO
        self._text = ""

    def load(self, gate: Gate, ledger: Ledger) -> None:
        """Take up the latch where an earlier run left it."""
        document = self._file.load()
        if document is None:
            self._baseline = self._net(ledger)
            self._save()
        else:
            self._baseline, self._text = Decimal(document["baseline"]), str(document["latched"])
        gate.loss_latched = self._text

    def check(self, ledger: Ledger, wallet_balance: Decimal, unrealised: Decimal) -> str:
        """The reason when the limit is passed (then it is latched), else an empty string."""
        if self._text or self._caps.session_loss_limit is None or wallet_balance <= 0:
            return self._text
        result = self._net(ledger) - self._baseline
        if self._caps.session_loss_includes_unrealised:
            result += unrealised
        # The wallet has shrunk by the loss already: the limit is a share of what it was.
        limit = self._caps.session_loss_limit.resolve(wallet_balance - min(result, ZERO))
        if -result <= limit:
            return ""
        self._text = (
            f"lost {-result:.2f} USDT since the latch was clear, the session loss limit is {limit:.2f}; "
            "nothing is opened until `resume`"
        )
        self._save()
        return self._text

    def clear(self, ledger: Ledger) -> None:
        """An operator has looked: count from here."""
        self._text, self._baseline = "", self._net(ledger)
        self._save()

    def _net(self, ledger: Ledger) -> Decimal:
        return sum((ledger.of(name).net for name in self._live), ZERO)

    def _save(self) -> None:
        self._file.save_now({"baseline": str(self._baseline), "latched": self._text})
