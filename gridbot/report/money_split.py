"""What the change of equity is made of, and by how much it is not explained. Pure, exact: Decimal, USDT.

    change of equity = realised - fees - funding + other + change of unrealised + what no execution of ours explains

Realised is what the exchange booked against the average entry. Of it the grid's matched pairs earned `grid_profit`; the
rest is what closing at another price than the average entry moved between realised and unrealised: `inventory`.
`other` is what the exchange booked without a trade: dividends, settlements.

An open position has one mark price at each moment: the one that the account's balance of that moment was worked out
with. Nobody recorded it, so it is the newest before, moved by one fraction for all symbols until the parts add up to
the balance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, Final

from gridbot.report.facts import Facts
from gridbot.report.money_facts import Balance, Money, Pairs
from gridbot.report.position_facts import Leg

__all__ = ["CENT", "AccountMoney", "Part", "Totals", "account_money", "parts"]

ZERO: Final = Decimal(0)
CENT: Final = Decimal("0.01")
BEFORE: Final = "before"
FURTHEST: Final = Decimal("0.01")
"""So much, as a fraction, a mark price may have moved between its row and the balance's: more has another reason."""


@dataclass(frozen=True, slots=True)
class Part:
    """The share of one strategy (`strategy` empty: symbols that no strategy owns)."""

    strategy: str
    symbol: str
    shadow: bool
    fills: int
    maker_fills: int
    volume: Decimal
    pairs: int
    grid_profit: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal
    other: Decimal
    unrealised_before: Decimal
    unrealised_after: Decimal

    @property
    def inventory(self) -> Decimal:
        """Realised beyond the matched pairs."""
        return self.realised - self.grid_profit

    @property
    def unrealised_change(self) -> Decimal:
        """What the open positions gained, at the mark price."""
        return self.unrealised_after - self.unrealised_before

    @property
    def total(self) -> Decimal:
        """What it changed of the equity."""
        return self.realised - self.fees - self.funding + self.other + self.unrealised_change


@dataclass(frozen=True, slots=True)
class AccountMoney:
    """The account's money over the span. `before` and `after` are the balances that the change lies between."""

    before: Balance
    after: Balance
    fills: int
    grid_profit: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal
    other: Decimal
    outside: Decimal
    """Net of executions of the span that no balance of it includes yet, or that its first includes already."""

    @property
    def inventory(self) -> Decimal:
        """Realised beyond the matched pairs."""
        return self.realised - self.grid_profit

    @property
    def change(self) -> Decimal:
        """Change of equity."""
        return self.after.equity - self.before.equity

    @property
    def change_ratio(self) -> Decimal | None:
        """Change as a fraction of the equity at the beginning; None when there was none."""
        return self.change / self.before.equity if self.before.equity > 0 else None

    @property
    def unrealised_change(self) -> Decimal:
        """Change of what the open positions would bring at the mark price."""
        return _unrealised(self.after) - _unrealised(self.before)

    @property
    def explained(self) -> Decimal:
        """What the executions and the open positions changed."""
        return self.realised - self.fees - self.funding + self.other + self.unrealised_change

    @property
    def unexplained(self) -> Decimal:
        """What is left: deposits, withdrawals, lost records, an account that began anew; and rounding."""
        return self.change - self.explained + self.outside

    @property
    def adds_up(self) -> bool:
        """To the cent."""
        return abs(self.unexplained) < CENT


@dataclass(frozen=True, slots=True)
class Totals:
    """Several strategies added up."""

    fills: int
    pairs: int
    volume: Decimal
    grid_profit: Decimal
    inventory: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal
    other: Decimal
    unrealised_change: Decimal
    total: Decimal

    @classmethod
    def of(cls, rows: Sequence[Part]) -> Totals:
        """The sums of their shares."""
        sums: dict[str, Any] = {name: sum(getattr(row, name) for row in rows) for name in ("fills", "pairs")}
        others = [field.name for field in fields(cls) if field.name not in sums]
        sums |= {name: sum((getattr(row, name) for row in rows), ZERO) for name in others}
        return cls(**sums)


def _unrealised(balance: Balance) -> Decimal:
    if balance.wallet_balance is None:
        return balance.unrealised_pnl or ZERO
    return balance.equity - balance.wallet_balance


def account_money(facts: Facts) -> AccountMoney | None:
    """The account's live money; None when no balance of the span is recorded."""
    found = {balance.place: balance for balance in facts.balances}
    before, after = found.get(BEFORE) or found.get("first"), found.get("last")
    if before is None or after is None or "first" not in found:
        return None
    live = [row for row in facts.money if not row.shadow]
    return AccountMoney(
        before,
        after,
        fills=sum(row.fills for row in live),
        grid_profit=_grid_profit(facts.pairs),
        realised=sum((row.realised for row in live), ZERO),
        fees=sum((row.fees for row in live), ZERO),
        funding=sum((row.funding for row in live), ZERO),
        other=sum((row.other for row in live), ZERO),
        outside=sum((row.net for row in facts.money_outside), ZERO),
    )


def _grid_profit(pairs: Iterable[Pairs]) -> Decimal:
    return sum((row.profit for row in pairs if row.hour_ms is None), ZERO)


def parts(facts: Facts) -> list[Part]:
    """The share of each strategy that traded or held something, live ones first."""
    keys = {(row.shadow, row.strategy, row.symbol) for row in facts.money}
    keys |= {(leg.shadow, leg.strategy, leg.symbol) for leg in facts.legs if leg.size}
    found = [_part(facts, *key) for key in sorted(keys)]
    live, shadows = [row for row in found if not row.shadow], [row for row in found if row.shadow]
    money = account_money(facts)
    if money is None or not live:
        return found
    if len(live) == 1:  # what is open is all its own: no mark price has to be guessed
        alone = replace(live[0], unrealised_before=_unrealised(money.before), unrealised_after=_unrealised(money.after))
        return [alone, *shadows]
    before = _shared(_unrealised(money.before), [row.unrealised_before for row in live], _bare(facts, live, BEFORE))
    after = _shared(_unrealised(money.after), [row.unrealised_after for row in live], _bare(facts, live, "last"))
    return [
        *(
            replace(row, unrealised_before=one, unrealised_after=other)
            for row, one, other in zip(live, before, after, strict=True)
        ),
        *shadows,
    ]


def _bare(facts: Facts, live: Sequence[Part], place: str) -> list[Decimal]:
    """What is open of each part and not hedged, in USDT: so much its result changes with a mark price."""
    values = {(row.strategy, row.symbol): ZERO for row in live}
    for leg in facts.legs:
        if leg.place == place and not leg.shadow and leg.size:
            value = leg.size * (_mark(facts, leg) or leg.entry_price or ZERO)
            values[leg.strategy, leg.symbol] += value if leg.direction == "long" else -value
    return [abs(value) for value in values.values()]


def _shared(whole: Decimal, own: Sequence[Decimal], bare: Sequence[Decimal]) -> list[Decimal]:
    """Results that add up to the account's: each with a mark price that has moved by the same fraction, up or down. As
    they are where that would be too much for a mark price."""
    missing, weight = whole - sum(own, ZERO), sum(bare, ZERO)
    if not missing or abs(missing) > FURTHEST * weight:
        return list(own)
    shared = [result + missing * part / weight for result, part in zip(own, bare, strict=True)]
    biggest = max(range(len(bare)), key=lambda at: bare[at])
    shared[biggest] += whole - sum(shared, ZERO)  # what dividing has rounded
    return shared


def _part(facts: Facts, shadow: bool, strategy: str, symbol: str) -> Part:
    def is_its(row: Money | Leg) -> bool:
        return (row.shadow, row.strategy, row.symbol) == (shadow, strategy, symbol)

    money = [row for row in facts.money if is_its(row)]
    legs = [leg for leg in facts.legs if is_its(leg)]
    pairs = [
        row
        for row in (facts.shadow_pairs if shadow else facts.pairs)
        if (row.strategy, row.symbol) == (strategy, symbol) and row.hour_ms is None
    ]
    return Part(
        strategy,
        symbol,
        shadow,
        fills=sum(row.fills for row in money),
        maker_fills=sum(row.maker_fills for row in money),
        volume=sum((row.volume for row in money), ZERO),
        pairs=sum(row.pairs for row in pairs),
        grid_profit=_grid_profit(pairs),
        realised=sum((row.realised for row in money), ZERO),
        fees=sum((row.fees for row in money), ZERO),
        funding=sum((row.funding for row in money), ZERO),
        other=sum((row.other for row in money), ZERO),
        unrealised_before=sum((_open_result(leg, _mark(facts, leg)) for leg in legs if leg.place == BEFORE), ZERO),
        unrealised_after=sum((_open_result(leg, _mark(facts, leg)) for leg in legs if leg.place != BEFORE), ZERO),
    )


def _mark(facts: Facts, leg: Leg) -> Decimal | None:
    """The recorded mark price that is nearest to the balance before the leg's moment."""
    ends = next((ends for ends in facts.price_ends if ends.symbol == leg.symbol), None)
    if ends is None:
        return None
    return ends.first_mark if leg.place == BEFORE else ends.last_mark


def _open_result(leg: Leg, mark: Decimal | None) -> Decimal:
    """What a leg would bring at the mark price; without one what its newest row says."""
    if not leg.size:
        return ZERO
    if mark is None or leg.entry_price is None:
        return leg.unrealised_pnl or ZERO
    gain = mark - leg.entry_price if leg.direction == "long" else leg.entry_price - mark
    return gain * leg.size
