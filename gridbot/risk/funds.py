"""What the account can still afford: one figure for all its strategies (incidents L9, L56). A value; pure.

The exchange's available balance counts as long as it is fresh, less the margin of every opening order admitted since,
so that one batch cannot spend the same money twice. When the figure is old or unknown, one order per `PROBE_S` is let
through as a probe, instead of all or none.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from gridbot.core import Direction, WalletEvent
from gridbot.core.exact import WIDE
from gridbot.core.margin import LEAST_RESERVE_FEE, order_cost

__all__ = ["FRESH_S", "LONGEST_ANSWER_S", "PROBE_S", "Funds", "margin_needed"]

FRESH_S = 45.0
LONGEST_ANSWER_S = 15.0
"""After this time no answer comes that was made before; mostly a request is given up after 10 s."""
PROBE_S = 5.0
BUFFER = Decimal("1.05")
ONE = Decimal(1)
ZERO = Decimal(0)


class Funds(NamedTuple):
    """Wallet figures in USDT; times in seconds on a monotonic clock.

    `known_s` is when the figures were last known to be true, `came_s` when they came, `promised` the margin of orders
    admitted since, `probe_s` the time of the last probe.
    """

    wallet: WalletEvent | None = None
    known_s: float | None = None
    promised: Decimal = ZERO
    probe_s: float | None = None
    came_s: float = 0.0

    @property
    def wallet_balance(self) -> Decimal:
        """USDT in the wallet; 0 when unknown (which sizes nothing)."""
        balance = None if self.wallet is None else self.wallet.wallet_balance
        return ZERO if balance is None else balance

    @property
    def available(self) -> Decimal | None:
        """Free USDT less what was promised since the figure arrived; None when the exchange gave none."""
        if self.wallet is None or self.wallet.available_balance is None:
            return None
        return self.wallet.available_balance - self.promised

    def seen(self, wallet: WalletEvent, now_s: float, *, was_asked: bool = False) -> Funds:
        """A wallet has come, from whichever source; one that is older than what we have changes nothing.

        Unless it `was_asked` for, and the other came before that: then the exchange's clock was set back. Without a row
        of the settle coin, the coin's figures stay as they were.
        """
        may_be_older = not was_asked or now_s - self.came_s <= LONGEST_ANSWER_S
        if may_be_older and self.wallet is not None and wallet.exchange_ts < self.wallet.exchange_ts:
            return self
        return Funds(wallet.on_top_of(self.wallet), now_s, ZERO, self.probe_s, now_s)

    def confirmed(self, now_s: float) -> Funds:
        """The private stream is alive: a wallet that was not pushed has not changed."""
        return self if self.wallet is None else self._replace(known_s=now_s)

    def promising(self, margin: Decimal, probe_s: float | None) -> Funds:
        """An opening order was let through; as a probe at `probe_s`, if it was one."""
        probe_s = self.probe_s if probe_s is None else probe_s
        return Funds(self.wallet, self.known_s, self.promised + margin, probe_s, self.came_s)

    def fresh(self, now_s: float) -> Decimal | None:
        """What is available, if that figure is known and young enough to be relied on."""
        if self.known_s is None or now_s - self.known_s > FRESH_S:
            return None
        return self.available

    def may_probe(self, now_s: float) -> bool:
        """Whether an order may be let through though nothing is known."""
        return self.probe_s is None or now_s - self.probe_s >= PROBE_S


def margin_needed(direction: Direction, notional: Decimal, leverage: Decimal | None) -> Decimal:
    """What the exchange locks for an opening order (USDT, `core.margin.order_cost`), plus 5 % for an account whose fees
    are higher than the usual ones.

    An unknown leverage counts as 1, which errs on the side of refusing.
    """
    return notional * _margin_rate(direction, leverage or ONE)


@lru_cache(maxsize=256)
def _margin_rate(direction: Direction, leverage: Decimal) -> Decimal:
    """The same for one USDT: the cost of an order grows with its value, and with nothing else."""
    return WIDE.multiply(order_cost(direction, ONE, leverage, LEAST_RESERVE_FEE), BUFFER)
