"""What one may do with a symbol, from its status and the time at which it is delivered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbot.risk.symbol_state import OPENS_STOP_MS, Allows, SymbolState, SymbolWord, day_of, margin_state, symbol_state
from tests.case_table import case_table
from tests.orders.helpers import INSTRUMENT

NOW_MS = 1_764_547_200_000  # 2025-12-01 00:00 UTC
DAY_MS = 24 * 3600 * 1000


def of(status: str = "Trading", delivery_ms: int = 0) -> SymbolState:
    return symbol_state(replace(INSTRUMENT, status=status, delivery_ms=delivery_ms), NOW_MS)


def test_a_symbol_that_trades_and_goes_on_is_free() -> None:
    assert of() == SymbolState(SymbolWord.TRADING, Allows.ALL, "")


@case_table(
    ("status", "word", "part"),
    [
        ("PendingOpen", SymbolWord.WAITING, "BTCUSDT is PendingOpen: the strategy waits until it trades"),
        ("PreLaunch", SymbolWord.WAITING, "waits until it trades"),
        ("Settling", SymbolWord.SETTLING, "settles what is held"),
        ("Delivering", SymbolWord.SETTLING, "settles what is held"),
        ("Closed", SymbolWord.DELISTED, "take its strategy out of the configuration"),
        ("Napping", SymbolWord.WAITING, "which gridbot does not know"),
    ],
)
def test_a_symbol_that_does_not_trade_takes_no_order(status: str, word: SymbolWord, part: str) -> None:
    found = of(status, NOW_MS + DAY_MS)
    assert (found.word, found.allows) == (word, Allows.NOTHING)
    assert part in found.text


def test_a_delisting_is_told_with_its_date_and_opens_stop_a_day_before() -> None:
    early = of(delivery_ms=NOW_MS + OPENS_STOP_MS + 1)
    assert (early.word, early.allows) == (SymbolWord.TRADING, Allows.ALL)
    assert early.text == (
        "BTCUSDT delists on 2025-12-02 00:00 UTC: reduce only from 2025-12-01 00:00 UTC on, close by then"
    )
    near = of(delivery_ms=NOW_MS + OPENS_STOP_MS)
    assert (near.word, near.allows) == (SymbolWord.REDUCING, Allows.REDUCING)
    assert near.text.startswith("BTCUSDT delists on 2025-12-02 00:00 UTC: reduce only, close by then")


def test_at_its_time_nothing_is_placed_whatever_the_status_still_says() -> None:
    found = of(delivery_ms=NOW_MS)
    assert (found.word, found.allows) == (SymbolWord.SETTLING, Allows.NOTHING)
    assert "delisted on 2025-12-01 00:00 UTC" in found.text


def test_a_time_is_written_in_utc() -> None:
    assert day_of(0) == "1970-01-01 00:00 UTC"


@pytest.mark.parametrize("mode", ["REGULAR_MARGIN", "PORTFOLIO_MARGIN"])
def test_only_a_margin_that_is_not_shared_restricts(mode: str) -> None:
    assert margin_state("BTCUSDT", mode) == SymbolState()
    isolated = margin_state("BTCUSDT", "ISOLATED_MARGIN")
    assert isolated is not None
    assert (isolated.word, isolated.allows) == (SymbolWord.REDUCING, Allows.REDUCING)
    assert isolated.text.startswith("BTCUSDT: the account is in isolated margin")


def test_a_margin_mode_that_nobody_knows_lets_positions_be_reduced_only() -> None:
    """It counted as cross margin."""
    unknown = margin_state("BTCUSDT", "A_NEW_MARGIN")
    assert unknown is not None
    assert (unknown.word, unknown.allows) == (SymbolWord.REDUCING, Allows.REDUCING)
    assert "in A_NEW_MARGIN, a margin mode nobody knows" in unknown.text
    assert margin_state("BTCUSDT", "") is None, "an answer without a mode"
