"""What the account can still afford: one figure for all its strategies (incidents L9, L56). Pure.

The exchange's available balance counts as long as it is fresh, less the margin of every opening order admitted since,
so that one batch cannot spend the same money twice. When the figure is old or unknown, one order per `PROBE_S` is let
through as a probe, instead of all or none.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import WalletEvent

__all__ = ["Funds"]

FRESH_S = 45.0
PROBE_S = 5.0
BUFFER = Decimal("1.05")
ZERO = Decimal(0)


class Funds:
    """Wallet figures in USDT; times in seconds on a monotonic clock."""

    def __init__(self) -> None:
        self.wallet: WalletEvent | None = None
        self._known_s: float | None = None
        self._promised = ZERO
        self._probe_s: float | None = None

    @property
    def wallet_balance(self) -> Decimal:
        """USDT in the wallet; 0 when unknown (which sizes nothing)."""
        if self.wallet is None or self.wallet.wallet_balance is None:
            return ZERO
        return self.wallet.wallet_balance

    @property
    def available(self) -> Decimal | None:
        """Free USDT less what was promised since the figure arrived; None when the exchange gave none."""
        if self.wallet is None or self.wallet.available_balance is None:
            return None
        return self.wallet.available_balance - self._promised

    def update(self, wallet: WalletEvent, now_s: float) -> bool:
        """Take a newer wallet, from whichever source; False for one that is older than what we have."""
        if self.wallet is not None and wallet.exchange_ts < self.wallet.exchange_ts:
            return False
        self.wallet, self._known_s, self._promised = wallet, now_s, ZERO
        return True

    def confirm(self, now_s: float) -> None:
        """The private stream is alive: a wallet that was not pushed has not changed."""
        if self.wallet is not None:
            self._known_s = now_s

    def needed(self, notional: Decimal, leverage: Decimal | None) -> Decimal:
        """Margin an opening order needs, plus 5 %; an unknown leverage counts as 1 (errs on the side of refusing)."""
        return notional / (leverage if leverage else Decimal(1)) * BUFFER

    def affords(self, need: Decimal, now_s: float) -> bool:
        """Whether an opening order may be sent; a fresh balance of zero affords nothing."""
        available = self.available
        if available is None or self._known_s is None or now_s - self._known_s > FRESH_S:
            if self._probe_s is not None and now_s - self._probe_s < PROBE_S:
                return False
            self._probe_s = now_s
            return True
        return need <= available

    def promise(self, need: Decimal) -> None:
        """An opening order is admitted: count its margin as spent."""
        self._promised += need
