"""Every figure of a report against sessions worked out by hand, to the last decimal, from the real database."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.report.figures import Figures, figures_from
from gridbot.report.money_split import _shared
from gridbot.report.report_page import split_lines
from tests.report.grid_session import START_MS, GridSession, facts_of, store, trade

D = Decimal


def deposit(session: GridSession) -> None:
    trade(session)
    session.balance("1502.157833333334", "1.666666666667")


def filled_after(session: GridSession) -> None:
    trade(session)
    session.fill("Sell", "103", "1", realised_pnl=D("3.666666666667"))


def several(session: GridSession) -> None:
    session.start()
    session.balance("100")
    for symbol, strategy, is_shadow in (("BTCUSDT", "a", False), ("ETHUSDT", "b", False), ("LTCUSDT", "s", True)):
        session.price("10", "10", symbol=symbol)
        own: dict[str, Any] = {"strategy": strategy, "symbol": symbol, "shadow": is_shadow}
        session.fill("Buy", "10", "1", fee=D("0.01"), **own)
        session.fill("Sell", "12", "1", fee=D("0.02"), realised_pnl=D(2), **own)
        session.price("11", "11", symbol=symbol)
    session.balance("103.94")


def several_open(session: GridSession) -> None:
    session.start()
    session.balance("100")
    for symbol, strategy in (("BTCUSDT", "a"), ("ETHUSDT", "b")):
        session.price("10", "10", symbol=symbol)
        session.fill("Sell", "10", "3", direction="short", strategy=strategy, symbol=symbol, fee=D(0))
        session.leg("3", "10", "10", "short", strategy=strategy, symbol=symbol, unrealised_pnl=D(0))
        session.price("12", "12", symbol=symbol)
    session.balance("100", "-12")
    session.price("99", "99")


def several_moved(session: GridSession) -> None:
    """Marks of 12 are recorded; the balance was worked out at 12.06 and 12.06."""
    several_open(session)
    session.price("12", "12")
    session.balance("100", "-12.36")


def long_session(session: GridSession) -> None:
    session.start()
    session.balance("1000")
    for number in range(3000):
        session.price("200" if number == 1234 else "50" if number == 2345 else str(100 + number % 7))
    for number in range(3000):
        session.balance("900" if number == 777 else str(1000 + number % 5))


def alice(session: GridSession) -> None:
    trade(session)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sessions")
    store(directory, alice, deposit, filled_after, several, several_open, several_moved, long_session)
    return directory


@pytest.fixture(scope="module")
def figures(records: Path) -> Figures:
    return figures_from(*facts_of(records))


def test_the_money_adds_up_to_the_change_of_equity(figures: Figures) -> None:
    money = figures.money
    assert money is not None
    assert (money.grid_profit, money.inventory, money.realised) == (D(3), D("-0.666666666666"), D("2.333333333334"))
    assert (money.fees, money.funding) == (D("0.1355"), D("0.05"))
    assert money.unrealised_change == D("1.666666666667")
    assert money.change == D("3.814500000001")
    assert money.explained == money.change
    assert (money.unexplained, money.outside, money.adds_up) == (0, 0, True)
    assert money.change_ratio == D("0.003814500000001")


def test_the_lines_of_the_split_add_up_to_the_last(figures: Figures) -> None:
    *lines, total = split_lines(figures)
    assert sum(line.amount for line in lines if line.kind != "sum") == total.amount == D("3.814500000001")


def test_the_share_of_the_strategy(figures: Figures) -> None:
    [part] = figures.parts
    assert (part.strategy, part.symbol, part.fills, part.maker_fills, part.pairs) == ("btc_grid", "BTCUSDT", 4, 3, 2)
    assert part.volume == D(499)
    assert part.unrealised_after == D("1.666666666667")
    assert part.total == D("3.814500000001")
    assert figures.total == part.total


def test_holding_the_same_capital(figures: Figures) -> None:
    assert figures.held is not None
    assert (figures.held.capital, figures.held.change, figures.held.ratio) == (D(1000), D(10), D("0.01"))


def test_the_deepest_fall(figures: Figures) -> None:
    [fall] = figures.falls
    assert (fall.peak_equity, fall.trough_equity, fall.depth) == (D(1000), D("995.9404"), D("4.0596"))
    assert fall.ratio == D("0.0040596")
    assert fall.recovered_ms is not None
    assert fall.peak_ms < fall.trough_ms < fall.recovered_ms


def test_profit_by_level_hour_and_weekday(figures: Figures) -> None:
    [table] = figures.levels
    assert [(band.high, band.pairs, band.profit, band.fees) for band in table.bands] == [
        (D(100), 1, D(2), D("0.0761")),
        (D(98), 1, D(1), D("0.0394")),
    ]
    [hour] = [slot for slot in figures.hours if slot.fills]
    assert (hour.name, hour.fills, hour.pairs, hour.net) == ("22:00", 4, 2, D("2.8845"))
    assert hour.equity_change == D("3.814500000001")
    [day] = [slot for slot in figures.weekdays if slot.fills]
    assert (day.name, day.net) == ("Tuesday", D("2.8845"))


def test_nearest_to_liquidation_and_exposure(figures: Figures) -> None:
    [near] = figures.nearest
    assert (near.mark_price, near.liq_price) == (D(98), D(80))
    assert near.distance == pytest.approx(18 / 98)
    assert figures.most_exposed is not None
    assert figures.most_exposed.notional == D(294)
    assert figures.most_exposed.ratio == D(294) / D("995.9404")
    assert figures.most_margin is not None
    assert figures.most_margin.maintenance_ratio == D("1.5") / D("995.9404")


def test_a_deposit_is_said_to_be_unexplained(records: Path) -> None:
    figures = figures_from(*facts_of(records, account="deposit"))
    assert figures.money is not None
    assert (figures.money.unexplained, figures.money.adds_up) == (D("500.01"), False)
    assert figures.cautions[0].title == "+500.01 USDT of the change of equity is not explained"
    *lines, total = split_lines(figures)
    assert sum(line.amount for line in lines if line.kind != "sum") == total.amount


def test_fills_after_the_last_balance_are_told_apart(records: Path) -> None:
    figures = figures_from(*facts_of(records, account="filled_after"))
    assert figures.money is not None
    assert figures.money.outside == D("3.646066666667")
    assert (figures.money.unexplained, figures.money.adds_up) == (0, True)


def test_a_span_within_a_session_begins_with_the_newest_balance_before_it(records: Path) -> None:
    """From the seventh second on: after both buys' balance (999.9404 and -4 open)."""
    _, facts = facts_of(records, account="alice")
    second = facts.wallet_curve[1].at_ms
    figures = figures_from(*facts_of(records, account="alice", from_ms=second + 1))
    money = figures.money
    assert money is not None
    assert money.before.equity == D("995.9404")
    assert money.realised == D("2.333333333334")
    assert money.change == D("7.874100000001")
    assert (money.fees, money.funding, money.unexplained) == (D("0.0759"), D("0.05"), 0)
    assert figures.parts[0].unrealised_before == D(-4), "all that is open is its own"
    assert figures.total == figures.parts[0].total == D("7.874100000001")


def test_strategies_shadows_and_the_share_of_one(records: Path) -> None:
    """bob trades two symbols, and a shadow strategy a third: the shadow is in no figure of the account."""
    figures = figures_from(*facts_of(records, account="several"))
    assert [(part.strategy, part.total) for part in figures.parts] == [("a", D("1.97")), ("b", D("1.97"))]
    assert [(part.strategy, part.grid_profit, part.total) for part in figures.shadows] == [("s", D(2), D("1.97"))]
    assert figures.money is not None
    assert (figures.money.change, figures.money.unexplained, figures.money.fills) == (D("3.94"), 0, 4)
    assert figures.held is not None
    assert [end.symbol for end in figures.held.symbols] == ["BTCUSDT", "ETHUSDT"]
    assert figures.held.change == D(10)
    one = figures_from(*facts_of(records, account="several", strategy="b"))
    assert ([part.strategy for part in one.parts], one.total) == (["b"], D("1.97"))
    shadow = figures_from(*facts_of(records, account="several", strategy="s"))
    assert (shadow.parts, [part.strategy for part in shadow.shadows]) == ([], ["s"])


def test_open_positions_of_several_strategies_are_counted_at_one_mark_price(records: Path) -> None:
    """The newest one that a balance of the span can know: 12, not 99."""
    figures = figures_from(*facts_of(records, account="several_open"))
    assert [part.unrealised_after for part in figures.parts] == [D(-6), D(-6)]
    assert figures.money is not None
    assert (figures.together.total, figures.money.change) == (D(-12), D(-12))
    assert figures.most_exposed is not None
    assert figures.most_exposed.notional == D(60)


def test_parts_add_up_to_the_balance_though_its_mark_prices_are_not_recorded(records: Path) -> None:
    figures = figures_from(*facts_of(records, account="several_moved"))
    assert [part.unrealised_after for part in figures.parts] == [D("-6.18"), D("-6.18")]
    assert figures.money is not None
    assert figures.together.total == figures.money.change == D("-12.36")


def test_marks_do_not_move_so_far_that_they_hide_what_is_not_explained() -> None:
    assert _shared(D(-7), [D(-2), D(-3)], [D(120), D(80)]) == [D("-3.2"), D("-3.8")]
    assert _shared(D(-8), [D(-2), D(-3)], [D(120), D(80)]) == [D(-2), D(-3)]
    assert sum(_shared(D(1), [D(0)] * 3, [D(100)] * 3)) == 1


def test_a_long_session_is_thinned_but_keeps_its_extremes(records: Path) -> None:
    asked, facts = facts_of(records, account="long_session", to_ms=START_MS + 7_000_000)
    assert len(facts.price_curves) < 1300
    prices = [point.last_price for point in facts.price_curves]
    assert (max(prices), min(prices)) == (D(200), D(50))
    figures = figures_from(asked, facts)
    assert figures.falls[0].depth == D(104)
    assert figures.falls[0].trough_equity == D(900)
