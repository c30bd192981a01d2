"""What an account can afford (docs/risk.md 6.3, incidents L9 and L56)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import WalletEvent
from gridbot.risk.funds import FRESH_S, PROBE_S, Funds
from tests.risk.helpers import NOW, wallet

D = Decimal


def funds(available: str | None) -> Funds:
    known = Funds()
    known.update(wallet(available=available), NOW)
    return known


@pytest.mark.parametrize(
    ("notional", "leverage", "need"), [("250", "10", "26.25"), ("250", None, "262.5"), ("100", "0", "105")]
)
def test_an_open_needs_its_margin_and_a_twentieth(notional: str, leverage: str | None, need: str) -> None:
    """An unknown leverage counts as 1."""
    assert Funds().needed(D(notional), None if leverage is None else D(leverage)) == D(need)


def test_what_was_promised_is_spent_until_the_next_figure() -> None:
    known = funds("50")
    assert known.affords(D(50), NOW)
    known.promise(D("26.25"))
    assert known.available == D("23.75")
    assert [known.affords(D(need), NOW) for need in ("23.75", "23.76")] == [True, False]
    assert known.update(wallet(available="40", ts=2), NOW)
    assert known.available == 40, "the exchange has taken it off itself"


def test_an_older_figure_is_not_taken() -> None:
    known = funds("50")
    known.promise(D(10))
    assert not known.update(wallet(available="99", ts=0), NOW)
    assert known.available == 40


def test_a_fresh_zero_is_zero_and_an_old_figure_lets_one_order_probe() -> None:
    known = funds("0")
    assert not known.affords(D(1), NOW + FRESH_S)
    later = NOW + FRESH_S + 0.1
    assert [known.affords(D(1), later + wait_s) for wait_s in (0, PROBE_S - 0.1, PROBE_S)] == [True, False, True]


def test_a_live_private_stream_keeps_the_figure_young() -> None:
    known = funds("0")
    known.confirm(NOW + FRESH_S)
    assert not known.affords(D(1), NOW + 2 * FRESH_S)
    assert known.affords(D(1), NOW + 2 * FRESH_S + 0.1), "old again: a probe"


def test_a_figure_that_nobody_has_lets_one_order_probe_however_live_the_stream_is() -> None:
    for known in (Funds(), funds(None)):
        known.confirm(NOW)
        assert known.available is None
        assert [known.affords(D(1), NOW + wait_s) for wait_s in (0, 1, PROBE_S)] == [True, False, True]


@pytest.mark.parametrize(("known", "balance"), [(None, "0"), (WalletEvent("USDT", None), "0"), (wallet("7"), "7")])
def test_an_unknown_wallet_sizes_nothing(known: WalletEvent | None, balance: str) -> None:
    ledger = Funds()
    if known is not None:
        ledger.update(known, NOW)
    assert ledger.wallet_balance == D(balance)
