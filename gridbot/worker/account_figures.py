"""What an account is worth and holds now, between two frames of its wallet. One object a worker; USDT.

The exchange pushes the wallet when an order fills, not when a price moves. So equity is its balance plus our own
valuation of the live legs at the mark price, and the margin ratio is carried on by what the legs are worth now.

Legs that no live strategy trades are in the exchange's unrealised result alone. How much that is, is looked at when a
wallet came while our legs stood still (`STILL_S` before and after): a fill changes wallet, leg and price one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gridbot.core import Direction, WalletEvent
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["AccountFigures", "Figures"]

STILL_S: Final = 2.0
NOISE: Final = Decimal("0.001")
"""Part of the value of our legs by which the exchange's valuation may differ from ours, for its prices are others."""
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """`wallet` and `equity` are None while unknown, and so is `margin_ratio` where the exchange tells none.

    `notional` is what the caps on notional count: live legs and opening orders.
    """

    notional: Decimal
    wallet: Decimal | None = None
    equity: Decimal | None = None
    margin_ratio: Decimal | None = None


class AccountFigures:
    """Call `look` twice a second or so."""

    def __init__(self) -> None:
        self._wallet: WalletEvent | None = None
        self._value_then = ZERO
        self._made_then = ZERO
        self._elsewhere = ZERO
        """Unrealised result of legs that no live strategy trades."""
        self._candidate: Decimal | None = None
        self._sizes: tuple[Decimal, ...] = ()
        self._still_since_s = float("inf")

    def look(self, live: Iterable[StrategyRunner], wallet: WalletEvent | None, now_s: float) -> Figures:
        """The figures now; `now_s` is monotonic."""
        runners = list(live)
        notional = sum((runner.risk_state.notional() for runner in runners), ZERO)
        if wallet is None or wallet.wallet_balance is None:
            return Figures(notional)
        made = sum((runner.positions.unrealised(leg) or ZERO for runner in runners for leg in Direction), ZERO)
        value = sum((_value(runner) for runner in runners), ZERO)
        self._watch_elsewhere(runners, wallet, value, made, now_s)
        if wallet is not self._wallet:
            self._wallet, self._value_then, self._made_then = wallet, value, made
        equity = wallet.wallet_balance + self._elsewhere + made
        return Figures(notional, wallet.wallet_balance, equity, self._ratio(wallet, value, made))

    def _ratio(self, wallet: WalletEvent, value: Decimal, made: Decimal) -> Decimal | None:
        ratio = wallet.account_mm_rate
        if ratio is None:
            return None
        if self._value_then > 0:
            ratio *= value / self._value_then
        balance = wallet.total_equity
        if balance is not None and balance > 0:
            left = balance + made - self._made_then
            ratio = ratio * balance / left if left > 0 else Decimal(1)
        return ratio

    def _watch_elsewhere(
        self, runners: list[StrategyRunner], wallet: WalletEvent, value: Decimal, made: Decimal, now_s: float
    ) -> None:
        sizes = tuple(runner.risk_state.legs[leg].size for runner in runners for leg in Direction)
        if sizes != self._sizes:
            self._sizes, self._still_since_s, self._candidate = sizes, now_s, None
            return
        is_still = now_s - self._still_since_s >= STILL_S
        if wallet is not self._wallet and is_still and wallet.unrealised_pnl is not None:
            elsewhere = wallet.unrealised_pnl - made
            self._candidate = elsewhere if abs(elsewhere) > value * NOISE else ZERO
            self._still_since_s = now_s
        elif self._candidate is not None and is_still:
            self._elsewhere, self._candidate = self._candidate, None


def _value(runner: StrategyRunner) -> Decimal:
    """Both legs at the mark price, else at the last one."""
    ticker = runner.risk_state.ticker
    price = (ticker.mark_price or ticker.last_price) if ticker else ZERO
    return sum((leg.size for leg in runner.risk_state.legs.values()), ZERO) * price
