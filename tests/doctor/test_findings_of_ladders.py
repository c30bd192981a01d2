"""Each check of a strategy and of an account's money at its border; the full ladder against plain arithmetic."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.config.ladder_report import LadderReport, ladder_report
from gridbot.core import Instrument
from gridbot.core.margin import LegMargin
from gridbot.core.risk_rules import LegState
from gridbot.doctor.doctor_facts import Unread
from gridbot.doctor.filled_ladder import Rung, SymbolBook, filled
from gridbot.doctor.findings import Verdict
from gridbot.doctor.margin_findings import margin_findings
from gridbot.doctor.market_findings import (
    fee_finding,
    instrument_finding,
    leverage_finding,
    most_value,
    narrowest_step,
    position_mode_finding,
    risk_limit_finding,
    size_finding,
)
from gridbot.exchange.examined import SymbolTerms
from gridbot.exchange.requests import FeeRate
from tests.case_table import case_table
from tests.doctor.ladder_kit import BTC, DAY, NOW, OK, REFUSED, TIERS, UNREAD, WARNING, D, config, has


@case_table(
    ("instrument", "tick", "verdict", "text"),
    [
        (BTC, None, OK, "BTCUSDT Trading, tick 0.1, step 0.001, smallest order 0.001 and 5 USDT"),
        (BTC, D("0.10"), OK, "Trading"),
        (BTC, D("0.5"), REFUSED, "expected tick_size 0.5 for BTCUSDT as configured, the exchange has 0.1"),
        (replace(BTC, status="PreLaunch"), None, WARNING, "waits until it trades"),
        (replace(BTC, status="Closed"), None, REFUSED, "it was delisted"),
        (replace(BTC, status="Settling"), None, WARNING, "is Settling"),
        (replace(BTC, delivery_ms=NOW + 2 * DAY), None, WARNING, "delists on"),
        (replace(BTC, delivery_ms=NOW + DAY), None, WARNING, "reduce only, close by then"),
        (Unread("there is none", is_absent=True), None, REFUSED, "expected to trade BTCUSDT, got: there is none; cor"),
        (UNREAD, None, WARNING, "BTCUSDT is not known: no answer"),  # the symbol may be right
    ],
)
def test_the_instrument(instrument: Instrument | Unread, tick: Decimal | None, verdict: Verdict, text: str) -> None:
    strategy = config(tick_size=tick).strategies[0]
    has(instrument_finding("alice/btc", strategy, instrument, NOW), verdict, text)


@case_table(
    ("terms", "used", "shadow", "verdict", "text"),
    [
        (SymbolTerms(True, None), False, False, OK, "hedge mode"),
        (SymbolTerms(False, None), False, False, OK, "the start switches it"),
        (SymbolTerms(False, None), True, False, REFUSED, "it cannot be switched"),
        (SymbolTerms(False, None), True, True, OK, "a shadow strategy sends nothing"),
        (SymbolTerms(None, None), False, False, WARNING, "does not tell"),
        (UNREAD, False, False, WARNING, "no answer"),
    ],
)
def test_the_position_mode(terms: SymbolTerms | Unread, used: bool, shadow: bool, verdict: Verdict, text: str) -> None:
    has(position_mode_finding("alice/btc", "BTCUSDT", terms, is_used=used, is_shadow=shadow), verdict, text)


@case_table(
    ("wanted", "now", "instrument", "verdict", "text"),
    [
        (None, D("10.00"), BTC, OK, "10x; the file names none"),
        (D(10), D(10), BTC, OK, "10x"),
        (D(50), D(10), BTC, OK, "10x now; the start sets 50x"),
        (D(51), D(10), BTC, REFUSED, "expected at most 50x"),
        (D(51), D(10), UNREAD, OK, "the start sets 51x"),
        (D(20), None, BTC, OK, "the start sets 20x"),
        (None, None, BTC, WARNING, "does not tell"),
    ],
)
def test_the_leverage(
    wanted: Decimal | None, now: Decimal | None, instrument: Instrument | Unread, verdict: Verdict, text: str
) -> None:
    has(leverage_finding("alice/btc", wanted, SymbolTerms(True, now), instrument), verdict, text)


def test_a_leverage_that_could_not_be_read() -> None:
    has(leverage_finding("alice/btc", None, UNREAD, BTC), WARNING, "no answer")


@case_table(
    ("leverage", "value", "verdict", "text"),
    [
        (D(25), D(100_000), OK, "25x may have 100000 USDT"),
        (D(25), D("100000.01"), WARNING, "(110016)"),
        (D("25.1"), D(1000), OK, "may have 1000 USDT"),
        (D("25.1"), D(1001), WARNING, "(110016)"),
        (D(51), D(1), WARNING, "may have 0 USDT"),
        (None, D(1), WARNING, "not known"),
    ],
)
def test_the_risk_limit(leverage: Decimal | None, value: Decimal, verdict: Verdict, text: str) -> None:
    has(risk_limit_finding("alice/btc", BTC, leverage, value), verdict, text)


def test_without_tiers_nobody_knows_the_risk_limit() -> None:
    assert most_value(replace(BTC, tiers=()), D(10)) is None
    has(risk_limit_finding("alice/btc", replace(BTC, tiers=()), D(10), D(1)), WARNING, "no risk tiers")
    has(risk_limit_finding("alice/btc", UNREAD, D(10), D(1)), WARNING, "not known")


@case_table(
    ("step", "maker", "taker", "verdict", "text"),
    [
        (
            "0.01",
            "0.0002",
            "0.00055",
            OK,
            "a step of 100 bps earns 95.98 bps with two maker fees, 92.44 with one taker fee",
        ),
        ("0.0007", "0.0002", "0.00055", WARNING, "raise grid_step"),
        ("0.0004", "0.0002", "0.0002", REFUSED, "every pair of fills loses"),
        ("0.02", "0.01", "0", REFUSED, "every pair"),
        ("0.0202020202", "0.01", "0", REFUSED, "every pair"),
        ("0.02020202021", "0.01", "0", OK, "a step of 202.02 bps earns 0 bps"),
        ("0.0001", "0", "0.0001", WARNING, "raise grid_step"),
        ("0.0001", "-0.0001", "0.0001", OK, "maker -1, taker 1 bps"),
    ],
)
def test_whether_a_level_pays_for_itself(step: str, maker: str, taker: str, verdict: Verdict, text: str) -> None:
    has(fee_finding("alice/btc", FeeRate("BTCUSDT", D(maker), D(taker)), D(step)), verdict, text)


def test_a_step_that_earns_nothing_is_no_loss() -> None:
    usual = FeeRate("BTCUSDT", D("0.0002"), D("0.00055"))
    has(fee_finding("alice/btc", usual, D("0.01"), is_usual=True), OK, "(usual; not told)")
    has(
        fee_finding("alice/btc", FeeRate("BTCUSDT", D("0.2"), D("0.2")), D("0.5")),
        WARNING,
        "earns 0 bps with two maker",
    )
    has(fee_finding("alice/btc", usual, None), OK, "fewer than two levels")
    has(fee_finding("alice/btc", UNREAD, D(1)), WARNING, "no answer")


def test_the_narrowest_step() -> None:
    assert narrowest_step([D(100), D(110), D(121), D(100)]) == D("0.1")
    assert narrowest_step([D(100), D(104), D(110)]) == D("0.04")
    assert narrowest_step([D(100)]) is None
    assert narrowest_step([]) is None


def report(instrument: Instrument = BTC, wallet: str = "1000", price: str = "100", **strategy: Any) -> LadderReport:
    made = config(**strategy)
    return ladder_report(made, made.strategies[0], {"BTCUSDT": D(price)}, {"alice": D(wallet)}, asked=instrument)


@case_table(
    ("changes", "strategy", "verdict", "text"),
    [
        ({}, {}, OK, "4 levels of 0.100 BTC; smallest order 0.001 BTC and 5 USDT"),
        ({"min_order_qty": D("0.1")}, {}, OK, "4 levels"),
        (
            {"min_order_qty": D("0.101")},
            {},
            REFUSED,
            "all 4 levels are below the smallest order (0.101 BTC and 5 USDT)",
        ),
        ({"min_notional": D(10)}, {"amount": "q0.1"}, OK, "0.100 to 0.103 BTC"),
        ({"min_notional": D(20)}, {}, WARNING, "4 rounded up by over 10 %"),
        ({"min_order_qty": D("0.1")}, {"amount": "10"}, WARNING, "1 below it, without an order (at 102.0)"),
        ({"max_order_qty": D("0.05")}, {}, WARNING, "4 cut to the largest order, 0.05 BTC"),
        ({}, {"grid_step": "0.01"}, REFUSED, "tick"),
    ],
)
def test_the_sizes_level_by_level(
    changes: dict[str, Any], strategy: dict[str, Any], verdict: Verdict, text: str
) -> None:
    instrument = replace(BTC, **changes)
    if "grid_step" in strategy:
        instrument = replace(instrument, tick_size=D(1))
    has(size_finding("alice/btc", report(instrument, **strategy), instrument), verdict, text)


def test_sizes_that_nobody_knows() -> None:
    made = config(amount="x0.01")
    unknown = ladder_report(made, made.strategies[0], {}, {}, asked=BTC)
    has(size_finding("alice/btc", unknown, BTC), WARNING, "not known: the price is known when the exchange is asked")
    has(size_finding("alice/btc", report(), UNREAD), WARNING, "not known")


# ---------------------------------------------------------------------- money

FLAT = LegState(leverage=D(10))
BOOK = SymbolBook("BTCUSDT", D(100), TIERS, D(0), D("0.00055"), FLAT, FLAT)


def book(**changes: Any) -> SymbolBook:
    return replace(BOOK, **changes)


def maintenance(value: Decimal) -> Decimal:
    """By hand, without the fee to close."""
    return value * D("0.01") if value <= 1000 else value * D("0.02") - 10


def test_a_full_ladder_by_hand() -> None:
    found = filled([book(buys=[Rung(D(90), D(5)), Rung(D(80), D(5))])], D(500), up=False)
    fee = D(850) * D("0.9") * D("0.00055")  # at the bankruptcy price of 10x
    assert found.full.move == D("-0.2")
    assert found.full.balance == 500 - 50
    assert found.full.initial == 10 * D(80) / 10 + fee
    assert found.full.maintenance == maintenance(D(800)) + fee
    assert found.liquidated is not None
    assert not found.is_before_full
    mark = 100 * (1 + found.liquidated)
    assert abs(500 - (850 - 10 * mark) - (maintenance(10 * mark) + fee)) < D("0.0001")


def test_both_ways_in_one_wallet() -> None:
    """Two symbols are liquidated together sooner than each alone, and a hedge helps."""
    one = book(buys=[Rung(D(90), D(10))], sells=[Rung(D(110), D(10))])
    other = replace(one, symbol="ETHUSDT")
    alone, both = filled([one], D(500), up=True), filled([one, other], D(500), up=True)
    assert alone.liquidated is not None
    assert both.liquidated is not None
    assert D("0.1") < both.liquidated < alone.liquidated
    hedged = replace(one, long=LegState(D(10), D(100), None, D(10)))
    assert filled([hedged], D(500), up=True).liquidated is None


@pytest.mark.parametrize(
    ("balance", "move"),
    [("0", "-0.1"), ("1", "-0.1"), ("49", "-0.2")],
)
def test_a_liquidation_before_the_ladder_is_full(balance: str, move: str) -> None:
    rungs = [Rung(D(90), D(5)), Rung(D(80), D(5))]
    found = filled([book(buys=rungs)], D(balance), up=False)
    assert found.is_before_full
    assert found.liquidated is not None
    assert abs(found.liquidated) <= abs(D(move))


def test_orders_of_the_other_side_lock_their_margin_and_change_no_liquidation() -> None:
    rungs = [Rung(D(90), D(5))]
    one, both = (filled([book(buys=rungs, sells=sells)], D(100), up=False) for sells in ([], [Rung(D(110), D(2))]))
    fees = (D(220) + D(242)) * D("0.00055")  # to open, and to close at the bankruptcy price of 10x
    assert both.full.initial - one.full.initial == D(22) + fees
    assert (both.liquidated, both.full.maintenance) == (one.liquidated, one.full.maintenance)


def test_margins_of_other_positions_count() -> None:
    rungs = [Rung(D(90), D(5))]
    free = filled([book(buys=rungs)], D(100), up=False)
    bound = filled([book(buys=rungs)], D(100), up=False, others=LegMargin(D(7), D(20)))
    assert bound.full.initial == free.full.initial + 7
    assert bound.full.maintenance == free.full.maintenance + 20
    assert free.liquidated is not None
    assert bound.liquidated is not None
    assert bound.liquidated > free.liquidated


def test_nothing_open_is_never_liquidated() -> None:
    for balance, up in itertools.product((D(100), D(0), D(-5)), (True, False)):
        assert filled([book()], balance, up=up).liquidated is None


@given(
    rungs=st.lists(st.tuples(st.integers(50, 99), st.integers(1, 20)), min_size=1, max_size=5),
    balance=st.integers(1, 3000),
)
def test_the_liquidation_is_the_first_move_at_which_the_balance_is_used(
    rungs: list[tuple[int, int]], balance: int
) -> None:
    """Against a walk in small steps that knows nothing of halving."""
    found = filled([book(buys=[Rung(D(price), D(qty)) for price, qty in rungs])], D(balance), up=False)
    first = None
    for step in range(201):
        mark = D(100) - D(step) / 2
        held = [(D(price), D(qty)) for price, qty in rungs if price >= mark]
        size, cost = sum((q for _, q in held), D(0)), sum((p * q for p, q in held), D(0))
        needed = maintenance(size * mark) + cost * D("0.9") * D("0.00055")
        if held and needed >= balance - (cost - size * mark):
            first = mark / 100 - 1
            break
    if first is None:
        assert found.liquidated is None
    else:
        assert found.liquidated is not None
        assert first <= found.liquidated <= first + D("0.005")


@case_table(
    ("balance", "liquidation", "margin"),
    [
        ("5000", OK, OK),
        ("160", OK, OK),
        ("120", WARNING, OK),
        ("60", WARNING, WARNING),
        ("20", REFUSED, WARNING),
    ],
)
def test_what_is_said_of_the_money(balance: str, liquidation: Verdict, margin: Verdict) -> None:
    symbol = book(buys=[Rung(D(95), D(5)), Rung(D(90), D(5))])
    found = {each.check: each for each in margin_findings("alice", [symbol], D(balance))}
    assert (found["liquidation"].verdict, found["margin"].verdict) == (liquidation, margin), found
    assert "never when prices rise" in found["liquidation"].text


def test_many_symbols_are_named_shortly() -> None:
    books = [book(symbol=f"X{n}USDT", price=D(20_000), buys=[Rung(D(19_000), D(1))]) for n in range(6)]
    text = {each.check: each.text for each in margin_findings("alice", books, D(10_000))}["liquidation"]
    assert "X3USDT" in text
    assert "X4USDT" not in text
    assert "and 2 more" in text
