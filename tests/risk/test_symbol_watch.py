"""What may be sent for a symbol: the stricter of its listing and of the exchange's answers, which hold for a while."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.remedies import remedy_for
from gridbot.risk.symbol_state import Allows, SymbolWord
from gridbot.risk.symbol_watch import NOTHING_S, REDUCING_S, SymbolWatch
from tests.orders.helpers import INSTRUMENT

NOW_MS = 1_764_547_200_000
NOT_LIVE, REDUCE_ONLY = 110074, 30228


def watch() -> SymbolWatch:
    return SymbolWatch(INSTRUMENT)


def answer(code: int | None, text: str) -> ExchangeError:
    return make_error(text, ErrorKind.SYMBOL, ret_code=code)


def test_nothing_is_restricted_at_first() -> None:
    fresh = watch()
    fresh.look(NOW_MS, 1.0)
    assert (fresh.state.allows, fresh.state.text) == (Allows.ALL, "")


def test_the_listing_counts_from_the_next_look_on() -> None:
    seen = watch()
    seen.listed(replace(INSTRUMENT, status="Delivering"))
    seen.look(NOW_MS, 1.0)
    assert seen.state.word is SymbolWord.SETTLING
    seen.listed(INSTRUMENT)
    seen.look(NOW_MS, 2.0)
    assert seen.state.allows is Allows.ALL


def test_an_answer_counts_at_once_and_until_it_has_not_come_for_a_while() -> None:
    for code, allows, word, lasts_s in (
        (REDUCE_ONLY, Allows.REDUCING, SymbolWord.REDUCING, REDUCING_S),
        (NOT_LIVE, Allows.NOTHING, SymbolWord.WAITING, NOTHING_S),
        (None, Allows.NOTHING, SymbolWord.WAITING, NOTHING_S),
    ):
        seen = watch()
        seen.refused(answer(code, "the exchange's words"), 10.0)
        assert (seen.state.allows, seen.state.word) == (allows, word)
        assert "the exchange's words" in seen.state.text
        seen.refused(answer(code, "again"), 20.0)
        seen.look(NOW_MS, 20.0 + lasts_s - 0.1)
        assert seen.state.allows is allows
        assert "words" in seen.state.text, "the first ones stay"
        seen.look(NOW_MS, 20.0 + lasts_s)
        assert seen.state.allows is Allows.ALL
        seen.refused(answer(code, "once more"), 1000.0)
        assert "once more" in seen.state.text


def test_of_two_the_stricter_one_holds() -> None:
    seen = watch()
    seen.refused(answer(REDUCE_ONLY, "reduce only"), 10.0)
    seen.refused(answer(NOT_LIVE, "not live"), 11.0)
    assert seen.state.allows is Allows.NOTHING
    seen.refused(answer(REDUCE_ONLY, "reduce only"), 12.0)
    assert seen.state.allows is Allows.NOTHING, "an answer to an order that was sent before"
    seen.listed(replace(INSTRUMENT, status="Closed"))
    seen.look(NOW_MS, 13.0)
    assert seen.state.word is SymbolWord.DELISTED, "of equals what is listed"


def test_the_text_names_code_and_remedy_as_nothing_else_does() -> None:
    for code in (30228, 110023, 110042, 110066, 110074, 110095):
        seen, error = watch(), answer(code, "the exchange's words")
        seen.refused(error, 10.0)
        assert seen.state.text.endswith(f": {error}; {remedy_for(error)}")
        assert f"retCode {code}" in seen.state.text


def test_isolated_margin_lets_positions_be_reduced_only_and_an_answer_that_is_stricter_goes_before() -> None:
    seen = watch()
    seen.in_margin_mode("ISOLATED_MARGIN")
    seen.look(NOW_MS, 1.0)
    assert (seen.state.allows, seen.state.word) == (Allows.REDUCING, SymbolWord.REDUCING)
    seen.refused(answer(NOT_LIVE, "not live"), 2.0)
    assert seen.state.allows is Allows.NOTHING
    seen.look(NOW_MS, 3.0)
    assert seen.state.allows is Allows.NOTHING
    seen.look(NOW_MS, 2.0 + NOTHING_S)
    assert "isolated margin" in seen.state.text
    seen.in_margin_mode("REGULAR_MARGIN")
    seen.look(NOW_MS, 100.0)
    assert seen.state.allows is Allows.ALL


@pytest.mark.parametrize("mode", ["", "A_NEW_MARGIN"])
def test_a_margin_mode_that_nobody_knows_lifts_no_restriction(mode: str) -> None:
    """An answer without a mode counted as cross margin."""
    seen = watch()
    seen.in_margin_mode(mode)
    assert seen.is_isolated is bool(mode)
    seen.in_margin_mode("ISOLATED_MARGIN")
    seen.in_margin_mode(mode)
    seen.look(NOW_MS, 1.0)
    assert (seen.state.allows, seen.is_isolated) == (Allows.REDUCING, True)


def test_a_listing_that_does_not_tell_the_end_takes_back_no_delisting() -> None:
    """It counted as a symbol that goes on: opens went out until the exchange refused them."""
    seen = watch()
    seen.listed(replace(INSTRUMENT, delivery_ms=NOW_MS + 1))
    seen.listed(replace(INSTRUMENT, delivery_ms=None))
    seen.look(NOW_MS, 1.0)
    assert seen.state.word is SymbolWord.REDUCING
    seen.listed(INSTRUMENT)
    seen.look(NOW_MS, 2.0)
    assert seen.state.word is SymbolWord.TRADING
