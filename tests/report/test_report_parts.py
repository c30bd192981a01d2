"""Single functions of the report: figures as text, bars, thinning, ladders, times, JSON in a page."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.report import page_text
from gridbot.report.backtest_row import Backtest, tried_beside
from gridbot.report.chart_series import ladder_of, prices_with_fills, thinned
from gridbot.report.facts import Facts
from gridbot.report.money_facts import Balance, Money, Pairs, WalletPoint
from gridbot.report.money_split import account_money, parts
from gridbot.report.page_assets import safe_json
from gridbot.report.position_facts import Fill, LadderRow, Leg, PriceEnds, PricePoint
from gridbot.report.positions_over_time import exposure, mean_exposure
from gridbot.report.report_page import Bar, bars
from gridbot.report.report_span import DAY_MS, Asked, SpanMistake, time_ms
from tests.case_table import case_table

D = Decimal


@case_table(
    ("made", "text"),
    [
        (page_text.money(D("1234567.005")), "1,234,567.00"),
        (page_text.money(D("-0.004")), "0.00"),
        (page_text.money(None), "–"),
        (page_text.signed(D("0.015")), "+0.02"),
        (page_text.signed(D("-12")), "−12.00"),
        (page_text.signed(D("-0.001")), "0.00"),
        (page_text.signed(D("9" * 26 + ".5")), "+" + f"{D('9' * 26):,}" + ".50"),
        (page_text.percent(D("0.12345"), sign=True), "+12.34 %"),
        (page_text.percent(0.5), "50.00 %"),
        (page_text.times(D("3.2")), "3.20×"),
        (page_text.price(D("104233.100000000000")), "104,233.1"),
        (page_text.price(D("51162.215046020000")), "51,162.215"),
        (page_text.price(D("0.000012340000")), "0.00001234"),
        (page_text.price(D("1E+3")), "1,000"),
        (page_text.duration(0), "0 s"),
        (page_text.duration(999), "under 1 s"),
        (page_text.duration(3 * DAY_MS + 61_000), "3 d"),
        (page_text.duration(12 * 60_000 + 5_000), "12 min 5 s"),
        (page_text.moment(1_700_000_000_000, seconds=True), "2023-11-14 22:13:20"),
        (page_text.tone(D("0.001")), ""),
        (page_text.tone(D("-1")), "down"),
        (page_text.often(1), "once"),
    ],
)
def test_figures_as_text(made: str, text: str) -> None:
    assert made == text


def test_bars_share_one_line() -> None:
    bar = bars([D(30), D(-10)])
    assert (bar(D(30)), bar(D(-10))) == (Bar(25.0, 75.0, 25.0, "up"), Bar(0.0, 25.0, 25.0, "down"))
    assert bars([D(5)])(D(5)) == Bar(0.0, 100.0, 0.0, "up")
    assert bars([])(D(0)) == Bar(0.0, 0.0, 0.0, "up")


points = st.lists(st.tuples(st.integers(0, 10**6), st.integers(-1000, 1000)), max_size=300).map(sorted)


@given(points, st.integers(8, 100))
def test_thinning_keeps_order_ends_and_extremes(given_points: list[tuple[int, int]], most: int) -> None:
    kept = thinned(given_points, lambda point: point[0], lambda point: point[1], most)
    assert kept == sorted(kept, key=lambda point: point[0])
    assert len(kept) <= most + 4
    if given_points:
        assert (kept[0], kept[-1]) == (given_points[0], given_points[-1])
        values = [value for _, value in given_points]
        assert {min(values), max(values)} <= {value for _, value in kept}


@case_table("levels", ["", "{", "[]", "[1]", '[["1"]]', '[["x", "Buy"]]', '{"a": 1}', "null"])
def test_a_ladder_that_is_none_is_not_drawn(levels: str) -> None:
    assert ladder_of(LadderRow("s", "BTCUSDT", 0, None, levels)) == ([], [])


def test_times_are_read_as_utc_and_a_day_as_the_end_counts_whole() -> None:
    assert time_ms("2023-11-14T22:13:20Z") == 1_700_000_000_000
    assert time_ms("2023-11-14 22:13:20.5") == 1_700_000_000_500
    assert time_ms("2023-11-14", end=True) - time_ms("2023-11-14") == DAY_MS
    assert time_ms("2023-11-14T12:00", end=True) == time_ms("2023-11-14T12:00")
    for wrong in ("", "now", "2023-02-30", "2023-11-14T25:00", "14.11.2023", "٢٠٢٣-11-14", "2023-11-14+02:00"):
        with pytest.raises(SpanMistake, match="expected a date or time in UTC"):
            time_ms(wrong)
    for year in ("0001", "9999"):  # the day after the last of a calendar was a fault, and year 1 was written `1-01-01`
        with pytest.raises(SpanMistake, match="expected a time in a year from 1970 to 2999"):
            time_ms(f"{year}-12-31", end=True)
    with pytest.raises(SpanMistake):
        Asked("a", 5, 5)


def test_json_in_a_page_ends_no_element() -> None:
    words = ["</script><script>", "<!--", "&lt;", "\u2028"]
    text = safe_json(words)
    assert "<" not in text
    assert json.loads(text) == words


def test_where_no_price_is_recorded_those_of_fills_are_drawn() -> None:
    def fill(at_ms: int, symbol: str = "BTCUSDT") -> Fill:
        return Fill("s", symbol, "long", "Buy", False, at_ms, D(at_ms))

    prices = [PricePoint("BTCUSDT", at_ms, 1, D(1), None) for at_ms in (10, 20)]
    fills = [*map(fill, (5, 10, 15, 20, 25)), fill(15, "ETHUSDT")]
    assert [(point.symbol[:3], point.at_ms) for point in prices_with_fills(prices, fills)] == [
        *(("BTC", at_ms) for at_ms in (5, 10, 20, 25)), ("ETH", 15)
    ]  # fmt: skip


def test_a_clock_that_was_set_back_draws_no_line_backwards() -> None:
    def point(at_ms: int, seq: int) -> WalletPoint:
        return WalletPoint(at_ms, seq, D(10), D(0), D(5), 0.5, None, None, None)

    rows = exposure([point(3000, 1), point(1000, 2), point(2000, 3)])
    assert [row.at_ms for row in rows] == [1000, 2000, 3000]
    assert mean_exposure(rows) == D("0.5")


def test_warnings_of_a_run_that_are_about_other_accounts_are_not_in_a_report() -> None:
    """The page of an account that rested all the time told of the refusals of another one as if they were its own."""
    a_btc, b_sol = ({"strategies": [{"strat_id": name, "symbol": on}]} for name, on in (("a", "BTC"), ("b", "SOL")))
    mine = ("BTC: no mark prices", "2026-09-01 00:02 alice: nothing was sent", "2026-09-02 00:00 a: BTC: no price")
    others = ("SOL: no mark prices", "2026-09-01 00:02 bob: nothing was sent", "2026-09-02 00:00 b: SOL: no price")
    both = ("broken off at 2026-09-02 00:00 UTC: what is here ends there", "9 more things were told, of other kinds")
    run = Backtest("m", 0, 1, False, {"alice": a_btc, "bob": b_sol}, {}, {}, (*mine, *others, *both))
    assert run.about("alice").warnings == (*mine, *both)
    assert run.about("bob").warnings == (*others, *both)


@pytest.mark.parametrize(
    ("span", "config", "tried"),
    [
        ((5, 15), {"alice": {"strategies": [{"grid_step": "0.4"}]}}, 1),
        ((10, 15), {"alice": {"strategies": [{"grid_step": "0.4"}]}}, 0),
        ((0, 10), {"bob": {"strategies": [{"grid_step": "0.4"}]}}, 0),
        ((0, 10), {"alice": {"strategies": [{"grid_step": "0.2"}]}, "bob": {}}, 0),
        ((0, 10), {"alice": {"strategies": [{"grid_step": "0.2"}], "web": {"port": 8798}}}, 0),
    ],
    ids=["half the days", "the days after", "another account", "the same beside another account", "another web page"],
)
def test_a_choice_was_made_of_runs_of_the_account_with_other_settings(
    span: tuple[int, int], config: dict[str, object], tried: int
) -> None:
    """Runs of another account, and the same settings beside another account, were told as settings that were tried."""
    run = Backtest("m", 0, 10, True, {"alice": {"strategies": [{"grid_step": "0.2"}], "web": {}}}, {}, {}, ())
    assert tried_beside(run, [run, Backtest("n", *span, True, config, {}, {}, ())], "alice") == tried


def balance(place: str, equity: str, wallet: str | None, open_result: str | None) -> Balance:
    return Balance(
        place, 1, 0, None if wallet is None else D(wallet), D(equity), None if open_result is None else D(open_result)
    )


BARE = Facts(**{each.name: [] for each in fields(Facts)})


@case_table(
    ("balances", "change"),
    [
        ([balance("before", "90", "100", "-9"), balance("first", "1", "1", "0"), balance("last", "95", "99", "0")],
         "6"),
        ([balance("first", "90", None, "-10"), balance("last", "95", None, "-3")], "7"),
        ([balance("first", "90", None, None), balance("last", "95", None, "-3")], "-3"),
        ([balance("before", "90", "100", "-10")], None),
        ([balance("before", "90", "100", "-10"), balance("last", "95", "99", "-4")], None),
        ([balance("first", "90", "100", "-10")], None),
    ],
)  # fmt: skip
def test_what_is_open_is_the_equity_without_the_wallet_or_what_the_row_says(
    balances: list[Balance], change: str | None
) -> None:
    money = account_money(replace(BARE, balances=balances))
    assert (None if money is None else money.unrealised_change) == (None if change is None else D(change))


def test_a_leg_without_an_entry_has_the_result_of_its_newest_row() -> None:
    leg = Leg("last", "btc", "BTCUSDT", "long", False, D("0.2"), None, D(60_000), None, D("-7"))
    ends = PriceEnds("BTCUSDT", 2, 2, 0, 1, D(60_000), D(61_000), D(60_000), D(61_000))
    (part,) = parts(replace(BARE, legs=[leg], price_ends=[ends]))
    assert (part.unrealised_before, part.unrealised_after) == (D(0), D("-7"))


def leg(place: str, symbol: str, direction: str, size: str, entry: int, *, shadow: bool = False) -> Leg:
    return Leg(place, f"of {symbol}", symbol, direction, shadow, D(size), D(entry), None, None, None)


def test_open_results_add_up_to_the_balance_by_what_is_not_hedged_and_those_of_shadows_are_their_own() -> None:
    """Before: 0.2 * 60000 and 3 * 2000 of value, of which -90 is missing. After: 200 and 300, and 17.90 is missing of
    0.2 * 61000 and 3 * 1900."""
    legs = [
        *(leg("before", "BTCUSDT", "long", "0.3", 60_000), leg("before", "BTCUSDT", "short", "0.1", 60_000)),
        *(leg(place, "ETHUSDT", "short", "3", 2_000) for place in ("before", "last")),
        leg("last", "BTCUSDT", "long", "0.2", 60_000),
        *(leg(place, "BTCUSDT", "short", "1", 60_000, shadow=True) for place in ("before", "last")),
    ]
    ends = [
        PriceEnds("BTCUSDT", 2, 2, 0, 1, D(1), D(1), D(60_000), D(61_000)),
        PriceEnds("ETHUSDT", 2, 2, 0, 1, D(1), D(1), D(2_000), D(1_900)),
    ]
    balances = [balance("before", "10", "100", None), balance("first", "10", "100", None)]
    balances.append(balance("last", "617.90", "100", None))
    money = [Money("of BTCUSDT", "BTCUSDT", "long", False, 1, 1, D(0), D(10), D(0), D(0), D(0), None, None, None, None)]
    pairs = [Pairs("of BTCUSDT", "BTCUSDT", "long", D(60_000), None, 1, D(4), D(0))]
    found = parts(replace(BARE, legs=legs, price_ends=ends, balances=balances, money=money, pairs=pairs))
    assert [(each.symbol, each.shadow, each.unrealised_before, each.unrealised_after) for each in found] == [
        ("BTCUSDT", False, D(-60), D("212.2")),
        ("ETHUSDT", False, D(-30), D("305.7")),
        ("BTCUSDT", True, D(0), D(-1_000)),
    ]
    assert (found[0].grid_profit, found[0].inventory) == (D(4), D(6))
