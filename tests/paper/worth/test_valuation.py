"""The captured figures of docs/bybit_streams.md 6, as the accounts of the paper exchange get them."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from gridbot.core.events import OrderStatus
from gridbot.core.instrument import RiskTier
from gridbot.core.margin import LegMargin, tier_for
from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.charges import Charges
from gridbot.paper.accounts.exchange_order import NewOrder, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.account_rows import wallet_row
from gridbot.paper.worth.valuation import NO_MARGIN, Holdings, Totals, Valuation

D = Decimal
TAKER = D("0.00055")
SYMBOL = "ETHUSDT"


def valuation_at(mark: str, taker: Decimal = TAKER, symbol: str = SYMBOL) -> Valuation:
    market = SymbolMarket(LISTINGS[symbol], D(mark), D(10000), 0)
    market.mark = D(mark)
    return Valuation({symbol: market}, D(10), taker)


def account_with(
    long: tuple[str, str] = ("0", "0"), short: tuple[str, str] = ("0", "0"), symbol: str = SYMBOL
) -> Account:
    """(size, entry) of its legs."""
    account = Account("a", 1, "k", "s", D(1000))
    for idx, (size, entry) in ((1, long), (2, short)):
        leg = account.leg(symbol, idx)
        leg.size, leg.cost = D(size), D(size) * D(entry)
    return account


def legs(account: Account, symbol: str = SYMBOL) -> tuple[Leg, Leg]:
    return account.leg(symbol, 1), account.leg(symbol, 2)


def order(side: Side, qty: str, price: str, *, idx: int, closing: bool = False) -> Order:
    request = NewOrder(SYMBOL, side, D(qty), D(price), idx)
    return Order(1, "id", request, D(qty), D(price), closing, D(price), 0, 0)


def test_a_single_long_as_in_the_worked_example() -> None:
    valuation, account = valuation_at("2501.20"), account_with(long=("0.10", "2500"))
    long, short = valuation.totals(account).holdings.margins[SYMBOL]
    assert (long.initial, long.maintenance) == (D("25.13575"), D("1.37435"))
    assert short == NO_MARGIN
    figures = valuation.totals(account)
    assert (figures.holdings.unrealised, figures.equity) == (D("0.12"), D("1000.12"))
    assert (figures.holdings.initial, figures.maintenance) == (D("25.13575"), D("1.37435"))


def test_what_an_opening_order_locks() -> None:
    valuation, account = valuation_at("2500"), account_with()
    long = valuation.order_margin(account, order(Side.BUY, "0.10", "2500", idx=1))
    assert long == LegMargin(D("25.26125"), D("1.25") + D("0.26125"))  # 0.5 % of 250, and both fees
    assert valuation.order_margin(account, order(Side.SELL, "0.10", "2500", idx=2)).initial == D("25.28875")


def test_what_is_reserved_for_fees_has_its_tax_and_never_a_lower_rate() -> None:
    account, resting = account_with(), order(Side.BUY, "0.10", "2500", idx=1)
    assert valuation_at("2500", D("0.0004")).order_margin(account, resting).initial == D("25.26125")
    account.charges = Charges(D("0.18"))
    assert valuation_at("2500").order_margin(account, resting).initial == 25 + D("0.26125") * D("1.18")


def test_orders_add_to_the_maintenance_margin_of_the_account_not_of_the_positions() -> None:
    valuation, account = valuation_at("2501.20"), account_with(long=("0.10", "2500"))
    resting = order(Side.BUY, "0.10", "2500", idx=1)
    account.reserve(resting, valuation.order_margin(account, resting))
    figures = valuation.totals(account)
    assert (figures.holdings.maintenance, figures.maintenance) == (D("1.37435"), D("1.37435") + D("1.51125"))
    row = wallet_row(account, figures)
    assert (row["totalMaintenanceMargin"], row["coin"][0]["totalPositionMM"]) == ("2.8856", "1.37435")
    account.reserve(resting, NO_MARGIN)
    assert valuation.totals(account).maintenance == D("1.37435")


def test_the_tier_of_an_order_is_that_of_its_own_value_whatever_is_held() -> None:
    valuation, account = valuation_at("2500"), account_with(long=("4000", "2500"))
    first, second = LISTINGS[SYMBOL].instrument.tiers[:2]

    def maintenance(value: Decimal) -> Decimal:
        margin = valuation.order_margin(account, order(Side.BUY, str(value / 2500), "2500", idx=1)).maintenance
        return margin - value * D("1.9") * TAKER  # both fees, at ten times leverage

    assert maintenance(first.limit) == first.limit * first.mm_rate
    above = first.limit + 2500
    assert maintenance(above) == above * second.mm_rate - second.mm_deduction


def test_orders_that_close_or_wait_lock_nothing() -> None:
    valuation, account = valuation_at("2500"), account_with(long=("1", "2500"))
    closing = order(Side.SELL, "0.10", "2500", idx=1, closing=True)
    assert valuation.order_margin(account, closing) == NO_MARGIN
    waiting = order(Side.BUY, "0.10", "2500", idx=1)
    waiting.status = OrderStatus.UNTRIGGERED
    assert valuation.order_margin(account, waiting) == NO_MARGIN


def test_in_one_way_mode_only_what_turns_the_position_around_locks_margin() -> None:
    valuation, account = valuation_at("2500"), account_with()
    leg = account.leg(SYMBOL, 0)
    leg.direction, leg.size, leg.cost = Direction.LONG, D("0.05"), D(125)
    assert valuation.order_margin(account, order(Side.SELL, "0.15", "2500", idx=0)).initial == D("25.28875")


def test_margins_of_a_pair_as_fitted() -> None:
    valuation, account = valuation_at("2501.2"), account_with(long=("2", "2500"), short=("1", "2600"))
    long, short = valuation.totals(account).holdings.margins[SYMBOL]
    assert (long.initial, long.maintenance) == (D("502.715"), D("14.981"))
    assert (short.initial, short.maintenance) == (D("4.4015"), D("4.4015"))
    assert valuation.totals(account).margin_of(legs(account)[1]) == short


@pytest.mark.parametrize(
    ("long", "short", "maintenance"),
    [
        # 60 BTC long, 30 short: 1.8 million bare, first tier (to 2 million, 0.5 %), though 5.4 million stand open
        (("60", "60000"), ("30", "60000"), D(9000) + D("1782.000")),
        # 100 long, 40 short: 3.6 million bare, second tier: 1 % less 10000
        (("100", "60000"), ("40", "60000"), D(26000) + D("2970.000")),
    ],
)
def test_the_rate_is_that_of_the_part_that_is_not_hedged(
    long: tuple[str, str], short: tuple[str, str], maintenance: Decimal
) -> None:
    valuation = valuation_at("60000", symbol="BTCUSDT")
    bigger, smaller = valuation.totals(account_with(long, short, "BTCUSDT")).holdings.margins["BTCUSDT"]
    assert bigger.maintenance == maintenance
    assert smaller.initial == smaller.maintenance == D(short[0]) * 60000 * D("1.1") * TAKER


def test_a_bigger_hedge_never_needs_less_margin_for_the_part_that_is_bare() -> None:
    valuation = valuation_at("60000", symbol="BTCUSDT")
    figures = []
    for hedged in (0, 10, 20, 40, 80):
        account = account_with((str(30 + hedged), "60000"), (str(hedged), "60000"), "BTCUSDT")
        figures.append(valuation.totals(account).maintenance)
    assert figures == sorted(figures)


def test_liquidation_prices_of_a_pair() -> None:
    account = account_with(long=("2", "100"), short=("1", "110"), symbol="LTCUSDT")
    valuation = valuation_at("100", symbol="LTCUSDT")
    long, short = legs(account, "LTCUSDT")
    figures = valuation.totals(account)._replace(wallet=D(60))  # less 10 that the short has lost
    assert figures.equity == 70
    assert valuation.liquidation_price(account, long, figures) == D("33.10")
    assert valuation.liquidation_price(account, short, figures) is None
    account = account_with(long=("1", "100"), short=("2", "110"), symbol="LTCUSDT")
    long, short = legs(account, "LTCUSDT")
    figures = valuation.totals(account)._replace(wallet=D(30))
    assert figures.equity == 50
    assert valuation.liquidation_price(account, short, figures) == D("156.80")
    assert valuation.liquidation_price(account, long, figures) is None


def test_rates_are_cut_not_rounded() -> None:
    """SOLUSDT, 2025-10-02: 4.6908371 of 11.48691986 is 0.408363, shown as 0.4083; 0.26041992 is 0.022671: 0.0226."""
    holdings = Holdings(D("0.00180123"), D("4.6908371"), D("0.26041992"))
    figures = Totals(D("11.48511863"), holdings, D(0), D(0), isolated=False, prices={})
    row = wallet_row(account_with(), figures)
    assert (row["accountIMRate"], row["accountMMRate"]) == ("0.4083", "0.0226")
    assert row["totalAvailableBalance"] == "6.79608276"  # captured: 6.79608275, each part was rounded by itself


def test_tiers_are_chosen_by_value_and_continuous() -> None:
    for listing in LISTINGS.values():
        tiers: tuple[RiskTier, ...] = listing.instrument.tiers
        for lower, upper in pairwise(tiers):
            at_limit = lower.limit * lower.mm_rate - lower.mm_deduction
            assert at_limit == lower.limit * upper.mm_rate - upper.mm_deduction
            assert lower.limit < upper.limit
        assert tier_for(tiers, tiers[0].limit) is tiers[0]
        assert tier_for(tiers, tiers[-1].limit * 10) is tiers[-1]


@pytest.mark.parametrize(("isolated", "left"), [(False, "899.98425"), (True, "899.87625")])
def test_what_is_available_is_the_same_alone_as_among_all_figures(isolated: bool, left: str) -> None:
    valuation, account = valuation_at("2501.20"), account_with(long=("0.10", "2500"))
    account.isolated, account.order_margin = isolated, D("75")
    assert valuation.available(account) == valuation.totals(account).available
    assert valuation.available(account) == D(left)
    flat = account_with()
    flat.order_margin = D("75")
    assert valuation.available(flat) == valuation.totals(flat).available == 925
