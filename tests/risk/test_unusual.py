"""Which executions pause a strategy, which are only told, and which are nothing unusual."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import ExecType, ExecutionEvent, Side
from gridbot.risk.holds import SET_BY, Hold, Who
from gridbot.risk.unusual import unusual
from tests.case_table import case_table

D = Decimal


def execution(word: str, closed: str = "0", **more: object) -> ExecutionEvent:
    values: dict[str, object] = {
        "symbol": "BTCUSDT",
        "exec_id": "e1",
        "order_id": "",
        "order_link_id": "",
        "side": Side.SELL,
        "price": D(60000),
        "qty": D("0.5"),
        "closed_size": D(closed),
        "exec_type": ExecType(word),
        "exec_word": word,
    }
    return ExecutionEvent(**{**values, **more})  # type: ignore[arg-type]


@case_table("word", ["Trade", "BlockTrade", "FutureSpread", "Funding"])
def test_trades_and_fundings_are_nothing_unusual(word: str) -> None:
    assert unusual(execution(word)) is None


@pytest.mark.parametrize("word", ["AdlTrade", "BustTrade"])
def test_what_the_exchange_takes_pauses(word: str) -> None:
    found = unusual(execution(word, "0.5"))
    assert found == ("reduced", "error", f"the exchange reduced our long by 0.5 ({word})", Who.LIQUIDATION)


def test_a_delivery_ends_the_contract() -> None:
    found = unusual(execution("Delivery", "0.5"))
    text = "the exchange has settled our long of 0.5 at 60000 (Delivery): the contract is over"
    assert found == ("reduced", "error", text, Who.EXCHANGE)


@pytest.mark.parametrize("word", ["Dividend", "Settle", "SessionSettlePnL"])
def test_money_is_told_and_pauses_nothing(word: str) -> None:
    found = unusual(execution(word, realised=D("12.5"), fee=D("0.5")))
    assert found == ("unusual", "warning", f"the exchange booked +12.0 USDT ({word})", None)
    for fee, amount in ((D(3), "-3 USDT"), (D(0), "an amount that its transaction log will tell")):
        found = unusual(execution(word, fee=fee))
        assert found is not None
        assert found.text == f"the exchange booked {amount} ({word})"
    found = unusual(execution(word, other_fees=(("MNT", D(-3)),)))
    assert found is not None
    assert found.text == f"the exchange booked +3 MNT ({word})"


@case_table("word", ["MovePosition", "ForwardSplitSettle", "ReverseSplitSettle", "CorporateAction", "New"])
def test_what_nobody_knows_pauses(word: str) -> None:
    found = unusual(execution(word))
    text = f"the exchange may have changed a leg of ours by 0.5, in a way that is not known here ({word!r})"
    assert found == ("reduced", "error", text, Who.EXCHANGE)
    found = unusual(execution(word, qty=D(0)))
    assert found is not None
    assert "changed a leg of ours, in a way" in found.text, "a row without quantity names no leg"


@pytest.mark.parametrize("word", ["Dividend", "Settle", "SessionSettlePnL"])
def test_money_that_closes_something_is_what_nobody_knows(word: str) -> None:
    found = unusual(execution(word, "0.5"))
    assert found is not None
    assert (found.kind, found.pauses) == ("reduced", Who.EXCHANGE)


def test_a_type_without_its_word_is_told_by_its_own_name() -> None:
    found = unusual(execution("Unknown", exec_word=""))
    assert found is not None
    assert "Unknown" in found.text


def test_who_pauses_may_pause() -> None:
    assert {Who.EXCHANGE, Who.LIQUIDATION} <= SET_BY[Hold.PAUSED]
