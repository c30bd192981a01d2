"""The account as it would be if its shadow strategies were live: the exchange's wallet with theirs on top."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, Instrument, RiskTier, Side, WalletEvent
from gridbot.core.margin import LegMargin, MarginBalance
from gridbot.orders.shadow_account import ShadowAccount, ShadowTerms
from tests.case_table import case_table
from tests.orders.helpers import make_order

D = Decimal
TERMS = ShadowTerms(D(10), D("0.0002"), D("0.00055"))
TIER = RiskTier(D(2_000_000), D("0.005"), D("0.01"))
BTC = Instrument("BTCUSDT", D("0.1"), D("0.001"), D("0.001"), D(100), tiers=(TIER,))
ETH = Instrument("ETHUSDT", D("0.01"), D("0.01"), D("0.01"), D(100))
WALLET = WalletEvent("USDT", D(1000), D(1000), D(900), D(0), D(1001), total_initial_margin=D(100), exchange_ts=50)


def test_without_the_exchanges_wallet_nothing_is_known() -> None:
    account = ShadowAccount()
    account.open(BTC, TERMS)
    assert (account.funds(), account.margin_balance()) == (None, None)


def test_nothing_of_ours_leaves_the_wallet_as_it_is() -> None:
    account = ShadowAccount()
    account.open(BTC, TERMS)
    account.seen(WALLET)
    assert account.funds() == WALLET


def test_the_exchanges_wallet_is_never_older_than_what_it_replaces() -> None:
    """Its clock may be set back, by which a gate would take the newest for the older one."""
    account = ShadowAccount()
    for at_ms, available in ((9_000, D(50)), (5_000, D(40))):
        account.seen(WalletEvent("USDT", D(60), available_balance=available, exchange_ts=at_ms))
        funds = account.funds()
        assert funds is not None
        assert (funds.exchange_ts, funds.available_balance) == (9_000, available)


def test_a_resting_order_that_opens_locks_margin_and_both_fees() -> None:
    account = ShadowAccount()
    pair = account.open(BTC, TERMS)
    account.seen(WALLET)
    pair.resting["a"] = make_order(1, ticks=1000, qty="1")
    pair.resting["b"] = make_order(2, ticks=1010, side=Side.SELL, qty="1")  # closes the long: locks nothing
    funds = account.funds()
    assert funds is not None
    locked = D(10) + (100 + 90) * D("0.00055")  # 1/10 of 100, and the fees at 100 and at the bankruptcy price 90
    assert funds.available_balance == 900 - locked
    assert funds.total_initial_margin == 100 + locked
    assert (funds.wallet_balance, funds.equity) == (D(1000), D(1000))
    balance = account.margin_balance()
    assert balance is not None
    assert balance.maintenance == 100 * D("0.005") + (100 + 90) * D("0.00055")


def test_without_risk_tiers_an_order_locks_margin_and_adds_no_maintenance() -> None:
    account = ShadowAccount()
    pair = account.open(ETH, TERMS)
    account.seen(WALLET)
    pair.resting["a"] = make_order(1, ticks=1000, qty="1")
    assert pair.locked() == LegMargin(D(10) + (100 + 90) * D("0.00055"), D(0))


def test_no_less_than_the_usual_fee_is_reserved() -> None:
    assert ShadowTerms(D(10), D(0), D("0.0004")).reserve_fee == D("0.00055")


def test_results_of_all_strategies_change_the_one_wallet() -> None:
    account = ShadowAccount()
    btc, eth = account.open(BTC, TERMS), account.open(ETH, TERMS)
    account.restore(D(5))
    account.seen(WALLET)
    assert btc.fill(Direction.LONG, D(1), D(100), closes=False) == 0
    account.earn(btc.fill(Direction.LONG, D("0.4"), D(110), closes=True), 60)
    eth.fill(Direction.SHORT, D(2), D(50), closes=False)
    btc.mark, eth.mark = D(120), D(55)
    funds = account.funds()
    assert funds is not None
    assert funds.wallet_balance == 1000 + 5 + 4
    unrealised = D("0.6") * 20 - 2 * 5
    assert (funds.equity, funds.unrealised_pnl) == (1009 + unrealised, unrealised)
    assert funds.total_equity == 1010 + unrealised
    maintenance = D("0.6") * (120 * D("0.005") + 90 * D("0.00055"))  # BTC alone has tiers
    assert account.margin_balance() == MarginBalance(1010 + unrealised, maintenance)
    margins = D("0.6") * 120 / 10 + D("0.6") * (100 - 10) * D("0.00055") + 2 * D(55) / 10  # ETH has no tiers
    assert funds.available_balance == 900 + 9 + unrealised - margins
    assert funds.exchange_ts == 60


def test_what_the_exchange_leaves_out_stays_unknown() -> None:
    account = ShadowAccount()
    account.open(BTC, TERMS)
    account.seen(WalletEvent("USDT", D(10), exchange_ts=1))
    funds = account.funds()
    assert funds is not None
    assert (funds.available_balance, funds.equity, account.margin_balance()) == (None, None, None)


@case_table(
    ("direction", "balance", "price"),
    [
        (Direction.LONG, MarginBalance(D(50), D("0.57")), D("60.57")),  # 110 - (50 - 0.57) / 1
        (Direction.SHORT, MarginBalance(D(50), D("0.57")), D("159.43")),
        (Direction.LONG, MarginBalance(D(200), D(0)), None),  # below every price
        (Direction.LONG, None, None),
    ],
)
def test_the_liquidation_price_is_told_as_the_exchange_tells_it(
    direction: Direction, balance: MarginBalance | None, price: Decimal | None
) -> None:
    pair = ShadowAccount().open(BTC, TERMS)
    pair.fill(direction, D(1), D(100), closes=False)
    leg = next(leg for leg in pair.positions(balance, 7) if leg.direction is direction)
    assert (leg.size, leg.entry_price, leg.leverage, leg.exchange_ts) == (D(1), D(100), D(10), 7)
    assert (leg.liq_price, leg.unrealised_pnl) == (None, 0)  # no price yet
    pair.mark = D(110)
    leg = next(leg for leg in pair.positions(balance, 7) if leg.direction is direction)
    assert leg.liq_price == price


def test_average_entries_are_in_the_exchanges_unit() -> None:
    pair = ShadowAccount().open(BTC, TERMS)
    for price, qty in ((100, 1), (101, 2)):
        pair.fill(Direction.LONG, D(qty), D(price), closes=False)
    assert pair.legs[Direction.LONG].entry_price == D("100.66666667")
    pair.mark = D(102)
    leg = pair.positions(MarginBalance(D(50), D(0)), 1)[0]
    assert str(leg.liq_price) == "85.33333333"  # 102 - 50 / 3; with 57 decimals it was recorded once
    pair.fill(Direction.LONG, D(3), D(102), closes=True)
    flat = pair.positions(MarginBalance(D(1000), D(0)), 1)[0]
    assert (flat.size, flat.entry_price, flat.liq_price) == (0, None, None)
