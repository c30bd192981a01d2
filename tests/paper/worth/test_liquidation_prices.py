"""The liquidation price that is told, and the one that is found by moving the mark until the account is liquidated."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.engine.liquidation import is_due
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.account_rows import position_row
from gridbot.paper.settings import PaperConfig, PositionMode
from tests.core.helpers import EXAMPLES

D = Decimal
MOVED, OTHER = "SOLUSDT", "ETHUSDT"
CLOSE = D("1e-12")
"""Of a price: how near the brute force comes."""


class Case(NamedTuple):
    """An exchange with one account, and the same mark prices for everybody who asks."""

    exchange: Exchange
    account: Account

    def at(self, mark: Decimal) -> None:
        self.exchange.markets[MOVED].mark = mark

    @property
    def surplus(self) -> Decimal:
        long, short = (self.account.leg(MOVED, index).size for index in (1, 2))
        return long - short

    def is_due(self, mark: Decimal) -> bool:
        self.at(mark)
        return is_due(self.exchange.totals(self.account))

    def maintenance(self, mark: Decimal) -> Decimal:
        self.at(mark)
        return self.exchange.totals(self.account).maintenance

    def told(self, mark: Decimal) -> tuple[Decimal | None, Decimal | None]:
        """For (long, short); None for a flat leg, which nobody asks for."""
        self.at(mark)
        figures, valuation = self.exchange.totals(self.account), self.exchange.state.valuation
        long, short = (
            valuation.liquidation_price(self.account, leg, figures) if leg.size else None
            for leg in (self.account.leg(MOVED, 1), self.account.leg(MOVED, 2))
        )
        return long, short

    def brute(self, healthy: Decimal, due: Decimal) -> tuple[Decimal, Decimal]:
        """The marks between two, right before and where the account's maintenance rate has come to 100 %."""
        while abs(due - healthy) > CLOSE * healthy:
            middle = (healthy + due) / 2
            healthy, due = (healthy, middle) if self.is_due(middle) else (middle, due)
        return healthy, due


def case_of(
    wallet: Decimal,
    legs: dict[tuple[str, int], tuple[Decimal, Decimal]],
    orders: list[tuple[str, Decimal, Decimal]],
    leverage: int,
) -> Case:
    """`legs`: (size, entry) by symbol and position index; `orders`: long ones that rest (symbol, size, price)."""
    config = PaperConfig(position_mode=PositionMode.HEDGE, default_leverage=D(leverage))
    markets = {name: SymbolMarket(LISTINGS[name], LISTINGS[name].default_price, D(10**9), 0) for name in (MOVED, OTHER)}
    exchange = Exchange(config, markets, "0123456789ab", 0)
    account = exchange.state.add_account("a", "k", "s", D(10**9))
    for symbol, size, price in orders:
        exchange.place(account, NewOrder(symbol, Side.BUY, size, price, 1, "PostOnly"), 1)
    for (symbol, index), (size, entry) in legs.items():
        leg = account.leg(symbol, index)
        leg.size, leg.cost = size, size * entry
    account.wallet = wallet
    return Case(exchange, account)


def amounts(least: str, most: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(D(least), D(most), places=places)


SIZES = st.one_of(st.just(D(0)), amounts("0.1", "60", 1), amounts("1000", "40000", 0))
"""In base coin: those of a grid, and those of the higher risk tiers."""
HELD = st.fixed_dictionaries(
    {
        (MOVED, 1): st.tuples(SIZES, amounts("120", "180", 2)),
        (MOVED, 2): st.tuples(SIZES, amounts("120", "180", 2)),
        (OTHER, 1): st.tuples(amounts("0", "3", 2), amounts("2200", "2800", 2)),
        (OTHER, 2): st.tuples(amounts("0", "3", 2), amounts("2200", "2800", 2)),
    }
)
RESTING = st.lists(st.tuples(st.just(MOVED), amounts("0.1", "20", 1), amounts("90", "140", 2)), max_size=3)


@settings(max_examples=EXAMPLES, deadline=None)
@given(HELD, RESTING, amounts("-0.5", "2", 3), amounts("125", "175", 2), st.sampled_from((1, 3, 10, 50)))
def test_no_mark_is_ever_beyond_the_price_that_is_told(held, resting, worth, mark, leverage):
    """Of drawn accounts: one or both legs, two symbols, orders, tiers, with nothing available, or with less."""
    gross = sum((size * entry for size, entry in held.values()), D(0))
    case = case_of(gross * worth, held, resting, leverage)
    surplus, due, told = case.surplus, case.is_due(mark), case.told(mark)
    price, none = told if surplus > 0 else told[::-1]
    assert none is None
    if not surplus:
        assert price is None
        return
    assert price is not None
    sign = 1 if surplus > 0 else -1
    assert (mark - price) * sign >= 0
    if held[MOVED, 1][0] and held[MOVED, 2][0]:
        return  # a fit, which is not where the account is liquidated
    assert (price == mark) is due
    end = D("0.000001") if surplus > 0 else mark * 50
    if due or not case.is_due(end):
        return
    _, found = case.brute(mark, end)
    near = abs(found) * D("1e-9")
    there = case.told(found)[0 if surplus > 0 else 1]
    assert there is not None
    assert abs(there - found) <= near
    # from afar it counts with the maintenance margin of the present mark, as captured, and with nothing else
    if price:
        assert abs(price - found - (case.maintenance(mark) - case.maintenance(found)) / surplus) <= near


@settings(max_examples=EXAMPLES, deadline=None)
@given(HELD, amounts("0.05", "0.5", 3))
def test_an_account_is_whole_a_tick_before_its_margin_is_used_up_and_liquidated_a_tick_beyond(held, worth):
    """By the exchange itself, with its rows: none is shown with a mark beyond its price."""
    gross = sum((size * entry for size, entry in held.values()), D(0))
    case = case_of(gross * worth, held, [], 10)
    market, surplus = case.exchange.markets[MOVED], case.surplus
    tick, start = market.instrument.tick_size, D(150)
    end = D("0.01") if surplus > 0 else D(2000)
    assume(surplus and not case.is_due(start) and case.is_due(end))
    found = case.brute(start, end)[1] / tick
    long_is_bigger = surplus > 0
    before = found.to_integral_value(ROUND_CEILING if long_is_bigger else ROUND_FLOOR) * tick
    leg = case.account.leg(MOVED, 1 if long_is_bigger else 2)
    assume(not case.is_due(before))
    sizes = [each.size for each in case.account.legs.values()]
    for mark in (start, before):
        case.at(mark)
        case.exchange.liquidator.liquidate_if_due(case.account, 1)
        assert [each.size for each in case.account.legs.values()] == sizes
        row = position_row(case.account, leg, case.exchange.state.valuation, case.exchange.totals(case.account))
        told = D(row["liqPrice"] or mark)
        assert told == mark or (told < mark) is long_is_bigger
    case.at(before - tick if long_is_bigger else before + tick)
    case.exchange.liquidator.liquidate_if_due(case.account, 1)
    assert [each.size for each in case.account.legs.values()] != sizes
    assert case.exchange.liquidator.take()


def test_the_long_of_a_pair_in_a_fall_is_not_told_a_price_that_the_mark_has_passed() -> None:
    """29.9 long beside 16.2 short, as in a session: at 125 it was told 130.08, and was liquidated at about 100."""
    held = {(MOVED, 1): (D("29.9"), D("149.82")), (MOVED, 2): (D("16.2"), D("149.6"))}
    case = case_of(D(700), held, [], 10)
    _, end = case.brute(D(150), D(1))
    for mark in (125, 105):
        price, _ = case.told(D(mark))
        assert price is not None
        assert 0 <= price - end < D("0.5")
