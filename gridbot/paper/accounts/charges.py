"""What a fill costs an account besides the exchange's own fee in USDT: taxes, and fees in another coin. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.paper.accounts.leg import rounded

__all__ = ["Charges"]


@dataclass(frozen=True, slots=True)
class Charges:
    """`tax` is a fraction of the fee, always charged in USDT (GST is 0.18); the fee itself is charged in `coin`.

    `price` is what one of that coin is worth in USDT.
    """

    tax: Decimal = Decimal(0)
    coin: str = SETTLE_COIN
    price: Decimal = Decimal(1)

    def of(self, fee: Decimal) -> tuple[Decimal, str, Decimal]:
        """For a fee in USDT: what is charged, in which coin, and the tax on it in USDT."""
        charged = fee if self.coin == SETTLE_COIN else rounded(fee / self.price)
        return charged, self.coin, rounded(fee * self.tax)
