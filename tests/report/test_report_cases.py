"""Sessions that are not as one would like: what the page warns of, and that each of them has a page."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.records.record_types import (
    AdjustmentRecord,
    AlertRecord,
    LatchRecord,
    StreamGapRecord,
    UtcMs,
    UtcUs,
)
from gridbot.report.figures import Figures, figures_from
from gridbot.report.headline import cards
from gridbot.report.report_page import render, split_lines
from gridbot.report.report_span import DAY_MS
from gridbot.store.reading import database_path
from supervisor.store import record_questions
from supervisor.store.query import ask_all
from tests.report.grid_session import CONFIG, START_MS, GridSession, facts_of, store, trade

D = Decimal
DAYS_40 = START_MS + 40 * DAY_MS


def refuse(session: GridSession, reason: str, times: int) -> None:
    for _ in range(times):
        session.intent("refused", reason=reason)


def liquidated(session: GridSession) -> None:
    trade(session)
    bust: dict[str, Any] = {"exec_type": "BustTrade", "closed_size": D(1), "realised_pnl": D(-9), "is_maker": False}
    session.fill("Sell", "90", "1", **bust)
    session.balance("1000")


def caps(session: GridSession) -> None:
    trade(session)
    refuse(session, "max_notional", 3)
    refuse(session, "level_taken", 2)


def halts(session: GridSession) -> None:
    trade(session)
    session.add(LatchRecord(strategy="", kind="session_loss", is_set=True, reason="lost 250.00 USDT"))
    session.add(AlertRecord(level="ERROR", key="session_loss_limit", text="lost 250.00 USDT"))
    session.add(AlertRecord(level="CRITICAL", key="key_lost", text="the API key expired"))
    for is_set in (True, False, True, False):
        session.add(LatchRecord(strategy="btc_grid", kind="paused", is_set=is_set))


def held(session: GridSession) -> None:
    """Set, over and passed before an hour has gone, and what stands then."""
    session.start()
    session.add(LatchRecord(strategy="btc_grid", kind="halted", is_set=True))
    session.recorder.run_id = session.run_id = "run-2"
    session.start()
    hour = UtcUs((START_MS + 3_600_000) * 1000)
    for kind, level, is_set in (("paused", "", True), ("breaker", "a", True), ("breaker", "b", True),
                                ("ip_ban", "", True), ("ip_ban", "", False)):  # fmt: skip
        session.add(LatchRecord(strategy="btc_grid", kind=kind, level=level, is_set=is_set, reason="looking"))
    session.add(LatchRecord(strategy="", kind="auth_cooldown", is_set=True, until=UtcUs(hour - 1)))
    session.add(StreamGapRecord(stream="private", started_at=UtcUs(hour - 9_000_000), ended_at=UtcUs(hour + 5_000_000)))
    session.now_ms += 7_200_000
    session.add(LatchRecord(strategy="btc_grid", kind="breaker", level="b", is_set=False))
    session.balance("1000")


def crashed(session: GridSession) -> None:
    trade(session)
    began = UtcUs(session.now_ms * 1000)
    session.add(StreamGapRecord(stream="public", started_at=began, ended_at=UtcUs(began + 5_000_000)))
    died_ms = session.now_ms
    session.recorder.run_id = session.run_id = "run-2"
    session.now_ms += 7_200_000
    session.run("crashed", about="run-1", last_heartbeat=UtcUs(died_ms * 1000))
    session.start(CONFIG.replace('"0.2"', '"0.3"'), config_hash="other")
    session.price("120", "120")
    session.run("end", reason="stopped")


def touch(session: GridSession) -> None:
    session.start(CONFIG.replace('"matching":"queue"', '"matching":"touch"'))
    session.balance("1000")


def believed(session: GridSession) -> None:
    trade(session)
    session.add(
        AdjustmentRecord(
            strategy="btc_grid",
            symbol="BTCUSDT",
            direction="long",
            size_before=D(1),
            size=D(2),
            reason="moved by hand",
            exchange_seq=1,
            exchange_ts=UtcMs(session.now_ms),
        )
    )


def no_marks(session: GridSession) -> None:
    session.start()
    session.balance("1000")
    session.price("100")
    session.fill("Buy", "100", "1")
    session.fill("Buy", "10", "1", symbol="ETHUSDT", strategy="eth")


def no_balance(session: GridSession) -> None:
    session.fill("Buy", "100", "1", fee=D("0.5"))


def one_fill(session: GridSession) -> None:
    session.start()
    session.balance("1000")
    session.fill("Buy", "100", "1", fee=D("0.02"))
    session.balance("999.98")


def no_money(session: GridSession) -> None:
    session.start()
    session.balance("0")
    session.balance("-5")


def huge(session: GridSession) -> None:
    session.start()
    session.balance("1000000000000000000")
    session.price("1000000000", "1000000000")
    session.fill("Buy", "1000000000", "10000", fee=D("0.02"))
    session.leg("10000", "1000000000", "1000000000")
    session.fill("Sell", "1000999999", "10000", realised_pnl=D("9999990000"), fee=D(0))
    session.balance("1000000009999989999.98")


def intents(session: GridSession) -> None:
    session.start()
    refuse(session, "not_ready", 1)


def aged(session: GridSession) -> None:
    session.start()
    session.balance("1000")
    session.fill("Buy", "50", "1", fee=D(0))
    session.now_ms += DAY_MS
    session.price("100", "100")
    session.price("200", "200")
    session.balance("1000", "150")


def lost(session: GridSession) -> None:
    session.start()
    session.balance("1000")


def plain(session: GridSession) -> None:
    trade(session)


def beyond(session: GridSession) -> None:
    """The long of a pair with its mark below, and the short with its mark above its liquidation price."""
    trade(session)
    session.leg("2", "100", "96", liq_price=D(100))
    session.leg("1", "100", "100", "short", liq_price=D(95))
    session.leg("1", "100", "80", "short", liq_price=D(95))


def dividend(session: GridSession) -> None:
    """Beside a pair that earned 2 there are 5 less a fee of 0.5 that no trade earned."""
    session.start()
    session.price("100", "100")
    session.balance("1000")
    session.fill("Buy", "100", "1", fee=D(0))
    session.fill("Sell", "102", "1", fee=D(0), realised_pnl=D(2))
    session.fill("Sell", "102", "1", exec_type="Dividend", closed_size=D(0), realised_pnl=D(5), fee=D("0.5"))
    session.balance("1006.5")


def stopped(session: GridSession) -> None:
    """Prices of five minutes, an hour behind the begin of what is asked for and an hour before its end."""
    session.start()
    session.balance("1000")
    session.now_ms += 3_600_000
    for second in range(0, 300, 20):
        session.price(str(100 + second), "100")
        session.now_ms += 20_000
    session.now_ms += 3_600_000
    session.balance("1000")


CASES = (
    beyond,
    dividend,
    stopped,
    liquidated,
    caps,
    halts,
    held,
    crashed,
    touch,
    believed,
    no_marks,
    no_balance,
    one_fill,
    no_money,
    huge,
    intents,
    aged,
)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each case is the session of an account of its own; making a database is what takes time."""
    directory = tmp_path_factory.mktemp("cases")
    store(directory, *CASES, lost, plain)
    with duckdb.connect(str(database_path(directory))) as con:
        con.execute("INSERT INTO ingest_gaps VALUES ('lost', 5, 14, 'the journal was damaged', now())")
    return directory


def reported(
    data_dir: Path, case: Callable[[GridSession], None], to_ms: int = DAYS_40, from_ms: int = START_MS
) -> Figures:
    """Figures of a case, for which a page could be made."""
    figures = figures_from(*facts_of(data_dir, from_ms, to_ms, account=case.__name__))
    assert render(figures, START_MS).startswith("<!doctype html>")
    return figures


def warned(figures: Figures, title: str) -> str:
    """Text of the one caution whose title begins so."""
    [caution] = [caution for caution in figures.cautions if caution.title.startswith(title)]
    return caution.text


def test_a_liquidation_is_the_first_that_is_said(records: Path) -> None:
    figures = reported(records, liquidated)
    assert figures.cautions[0].title == "BTCUSDT was liquidated"
    assert "1 of the long position at 90; realised −9.00 USDT" in figures.cautions[0].text
    assert "the exchange's insurance paid after the liquidation" in warned(
        figures, "+6.90 USDT of the change of equity"
    )


def test_caps_that_were_reached(records: Path) -> None:
    figures = reported(records, caps)
    assert warned(figures, "btc_grid reached the cap on the value").startswith("3 orders were not placed for it, from")
    assert [row.times for row in figures.refusals] == [3, 2]


def test_halts_and_latches(records: Path) -> None:
    figures = reported(records, halts)
    assert "Reason: lost 250.00 USDT" in warned(figures, "Whole account: the loss limit stopped trading")
    assert "still set at the end" in warned(figures, "Whole account: the loss limit stopped trading")
    assert warned(figures, "btc_grid: trading was paused").startswith("2 times since 2023-11-14 22:13 UTC, last change")
    assert warned(figures, "Alert: key lost").endswith("the API key expired")
    assert not [caution for caution in figures.cautions if caution.title == "Alert: session loss limit"]


def test_a_halt_that_began_before_the_span_and_one_level_of_several_still_count(records: Path) -> None:
    """Of a halt that was over before it, and of a life of the worker that had ended, nothing is said."""
    figures = reported(records, held, from_ms=START_MS + 3_600_000)
    titles = [caution.title for caution in figures.cautions]
    assert warned(figures, "btc_grid: trading was paused") == (
        "Once since 2023-11-14 22:13 UTC, still set at the end. Reason: looking"
    )
    assert "2 times since 2023-11-14 22:13 UTC, still set at the end" in warned(figures, "btc_grid: levels were taken")
    assert warned(figures, "The private stream was interrupted").startswith("1 gap, 5 s together")
    assert not [
        title for title in titles if "API key" in title or "banned" in title or "a strategy was halted" in title
    ]


def test_a_mark_beyond_the_liquidation_price_is_said_so(records: Path) -> None:
    figures = reported(records, beyond)
    assert [(near.direction, near.distance) for near in figures.nearest] == [
        ("short", pytest.approx(-0.05)),
        ("long", pytest.approx(-4 / 96)),
    ]
    [card] = [card for card in cards(figures) if card.name == "Nearest to liquidation"]
    assert (card.figure, card.tone) == ("−5.00 %", "down")
    assert card.line.startswith("of the price, beyond its liquidation price: BTCUSDT short")
    assert "−4.17 % (beyond it)" in render(figures, START_MS)
    [listed] = ask_all(records, [record_questions.positions(record_questions.Asked())])
    found = [dict(zip(listed.columns, row, strict=True)) for row in listed.rows]
    assert [row["liq_distance"] for row in found if row["account"] == "beyond"] == [D("-4.17"), D("18.75")]


def test_what_was_booked_without_a_trade_is_no_inventory(records: Path) -> None:
    figures = reported(records, dividend)
    lines = {line.name: line.amount for line in split_lines(figures)}
    assert (lines["Grid profit"], lines["Inventory"], lines["Other bookings"]) == (D(2), 0, D("4.5"))
    assert (lines["Change of equity"], lines["Not explained"], lines["Fees"]) == (D("6.5"), 0, 0)
    assert [(part.other, part.total) for part in figures.parts] == [(D("4.5"), D("6.5"))]


def test_prices_that_begin_late_or_stop_early_have_gaps(records: Path) -> None:
    figures = reported(records, stopped, to_ms=START_MS + 7_500_000)
    assert warned(figures, "Prices of BTCUSDT have gaps").startswith("2 gaps, 2 h")


def test_a_strategy_is_warned_of_its_own_halts_and_those_of_the_account(records: Path) -> None:
    _, facts = facts_of(records, to_ms=DAYS_40, account="halts", strategy="another")
    assert [halt.kind for halt in facts.halts] == ["session_loss"]
    assert {alert.key for alert in facts.alerts} == {"session_loss_limit", "key_lost"}


def test_a_crash_a_pause_of_the_bot_and_gaps_of_its_data(records: Path) -> None:
    figures = reported(records, crashed, to_ms=START_MS + 7_300_000)
    assert warned(figures, "The bot crashed once")
    assert warned(figures, "The bot did not run for 2 h").startswith("Once; the longest 2 h")
    assert warned(figures, "Prices of BTCUSDT have gaps").startswith("1 gap, 2 h")
    assert warned(figures, "The public stream was interrupted").startswith("1 gap, 5 s together")
    assert figures.settings.changed == ["btc_grid: distance of levels, %"]
    assert dict(figures.settings.strategies[0].rows)["distance of levels, %"] == "0.3"
    assert [run.state for run in figures.runs] == ["crashed", "ended"]
    whole_day = reported(records, crashed, from_ms=START_MS - DAY_MS, to_ms=START_MS + 7_300_000)
    assert warned(whole_day, "The bot did not run for 2 h"), "before its first start there was none"


def test_too_short_to_judge_by(records: Path) -> None:
    assert warned(reported(records, plain, START_MS + 29 * DAY_MS), "Only 29 d: too short")


def test_a_month_is_long_enough(records: Path) -> None:
    titles = [caution.title for caution in reported(records, plain).cautions]
    assert "Paper money" in titles
    assert not [title for title in titles if "too short" in title]


def test_paper_that_fills_at_the_touch_is_optimistic(records: Path) -> None:
    assert "optimistic" in warned(reported(records, touch), "Paper money")


def test_the_exchange_was_believed(records: Path) -> None:
    assert warned(reported(records, believed), "The exchange's position was believed once").endswith(
        "1 became 2. moved by hand"
    )


def test_records_that_are_lost(records: Path) -> None:
    text = warned(reported(records, lost), "10 records of this account are lost")
    assert text.endswith("the journal was damaged")


def test_missing_marks_and_prices_that_are_gone(records: Path) -> None:
    figures = reported(records, no_marks)
    assert warned(figures, "Mark prices of BTCUSDT are missing").startswith("1 of 1 prices have none")
    assert warned(figures, "No prices of ETHUSDT are recorded")
    assert figures.held is not None
    assert [(end.symbol, end.first_price) for end in figures.held.symbols] == [("BTCUSDT", D(100)), ("ETHUSDT", D(10))]


def test_prices_that_were_removed_are_those_of_fills(records: Path) -> None:
    """The capital was held from the first fill on, not from the first price that is still recorded."""
    figures = reported(records, aged)
    assert figures.held is not None
    assert [(end.first_price, end.last_price) for end in figures.held.symbols] == [(D(50), D(200))]
    assert figures.held.change == D(3000)
    assert warned(figures, "Prices of BTCUSDT begin at 2023-11-15").startswith("Older ones were removed")
    [chart] = [chart for chart in figures.charts if chart["id"] == "price-0"]
    assert chart["series"][0]["y"] == [50, 100, 200]


def test_no_balance_and_no_run(records: Path) -> None:
    figures = reported(records, no_balance)
    assert (figures.money, figures.total, figures.falls) == (None, None, [])
    assert figures.together.total == D("-0.5")
    assert warned(figures, "No balance is recorded")
    assert figures.environment == ""


def test_one_fill(records: Path) -> None:
    figures = reported(records, one_fill)
    assert figures.money is not None
    assert (figures.money.change, figures.money.unexplained, figures.money.fills) == (D("-0.02"), 0, 1)
    assert figures.levels == []


def test_an_account_without_money(records: Path) -> None:
    figures = reported(records, no_money)
    assert figures.money is not None
    assert (figures.money.change, figures.money.change_ratio, figures.held) == (D(-5), None, None)


def test_numbers_that_are_larger_than_any_market(records: Path) -> None:
    figures = reported(records, huge)
    assert figures.money is not None
    assert (figures.money.unexplained, figures.money.change) == (0, D("9999989999.98"))
    assert figures.parts[0].grid_profit == D("9999990000")


def test_other_accounts_are_in_no_figure(records: Path) -> None:
    figures = reported(records, plain, to_ms=START_MS + 3_600_000)
    assert figures.money is not None
    assert figures.money.fees == D("0.1355")


def test_intents_alone_are_a_page(records: Path) -> None:
    figures = reported(records, intents)
    assert (figures.parts, [row.reason for row in figures.refusals]) == ([], ["not_ready"])
