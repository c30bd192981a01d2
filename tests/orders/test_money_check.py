"""What is recorded beside the exchange's log: which differences there are, and how much may be corrected unasked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import ExecType, ExecutionEvent, Side
from gridbot.core.execution_ledger import Ledger
from gridbot.exchange.listing import Unreadable
from gridbot.exchange.requests import Transaction
from gridbot.orders.money_check import UNKNOWN_MOST_MS, Difference, described, findings, limit_of
from tests.case_table import case_table

D = Decimal


def listed(exec_id: str, cash_flow: str = "0", fee: str = "0.02", funding: str = "0", **more: Any) -> Transaction:
    flow, fees, paid = D(cash_flow), D(fee), D(funding)
    values: dict[str, Any] = {"kind": "TRADE", "symbol": "BTCUSDT", "currency": "USDT", "exchange_ts": 5, **more}
    change = values.pop("change", flow + paid - fees)
    return Transaction(exec_id=exec_id, cash_flow=flow, funding=paid, fee=fees, change=change, **values)


@pytest.fixture
def ledger() -> Ledger:
    """A coin bought and sold with a profit of 10, and a funding of 0.3."""
    made = Ledger()
    buy = ExecutionEvent("BTCUSDT", "e1", "o", "", Side.BUY, D(100), D(1), fee=D("0.02"), exchange_ts=1)
    sell = ExecutionEvent("BTCUSDT", "e2", "o", "", Side.SELL, D(110), D(1), D(0), D("0.02"), D(1), exchange_ts=2)
    paid = ExecutionEvent(
        "BTCUSDT", "e3", "", "", Side.BUY, D(100), D(1), fee=D("0.3"), exec_type=ExecType.FUNDING, exchange_ts=3
    )
    for execution in (buy, sell, paid):
        made.apply("s", execution)
    return made


def test_what_agrees_leads_to_nothing(ledger: Ledger) -> None:
    rows = [listed("e1"), listed("e2", "10"), listed("e3", fee="0", funding="-0.3", kind="SETTLEMENT", exchange_ts=9)]
    found = findings(rows, ledger)
    assert (found.differences, found.unknown, found.up_to_ms, found.amount) == ((), (), 9, 0)


@pytest.mark.parametrize(
    ("kind", "figure", "is_news"), [("Dividend", None, True), ("Dividend", "1", False), ("Funding", None, False)]
)
def test_what_only_the_log_can_say_is_news_and_no_mistake(
    ledger: Ledger, kind: str, figure: str | None, is_news: bool
) -> None:
    """A dividend of 12.5 in a list, which does not say how much it was, waited for an operator."""
    realised = None if figure is None else D(figure)
    event = ExecutionEvent(
        "BTCUSDT", "e4", "", "", Side.BUY, D(0), D(0), exec_type=ExecType(kind), exchange_ts=4, realised=realised
    )
    ledger.apply("s", event)
    found = findings([listed("e4", "12.5", fee="0", kind="DIVIDEND")], ledger)
    assert [each.is_news for each in found.differences] == [is_news]
    assert (found.amount == 0) is is_news


def test_rows_of_other_coins_are_no_money_of_ours(ledger: Ledger) -> None:
    """0.5 MNT are not half a dollar."""
    rows = [listed("e1", fee="0.5", currency="MNT", exchange_ts=7), listed("e9", fee="1", currency="MNT")]
    found = findings(rows, ledger)
    assert (found.differences, found.unknown, found.up_to_ms) == ((), (), 7)
    assert findings([listed("e1", currency="")], ledger).differences == (), "an empty one is USDT"


def test_the_log_tells_what_was_realised_and_what_the_wallet_moved_by(ledger: Ledger) -> None:
    """A tax on the fee is no column of its own, but part of the change."""
    rows = [
        listed("e2", "9", change=D("8.95")),
        listed("e3", fee="0", funding="-0.25", kind="SETTLEMENT"),
        listed("e1"),
    ]
    found = findings(rows, ledger)
    assert found.differences == (
        Difference("e2", D(9), D("0.05"), D("-1.03")),
        Difference("e3", D(0), D("0.25"), D("0.05")),
    )
    assert found.amount == D("1.08")


def test_an_execution_that_was_never_counted_is_unknown(ledger: Ledger) -> None:
    rows = [listed("e9"), listed("", kind="TRANSFER_IN"), listed("x", symbol=""), listed("t", kind="TRANSFER_IN")]
    assert findings(rows, ledger).unknown == ("e9",)
    rows[1:1] = [rows[0]._replace(exec_id="e8", exchange_ts=5)]
    found = findings(rows, ledger)
    assert (found.up_to_ms, found.unknown_since_ms) == (5, 5), "it is read again from there on"
    found = findings([*rows, rows[0]._replace(exchange_ts=UNKNOWN_MOST_MS + 8)], ledger)
    assert (found.up_to_ms, found.unknown_since_ms) == (8, 5), "but not for ever"
    ledger.reached(complete_to=100_000, checked_to=100_000)
    assert findings([listed("e2", "3")], ledger).differences == (), "what is folded is not kept"
    assert findings([], ledger).up_to_ms == 0
    odd = [Unreadable("", "no change", 7), Unreadable("", "no time")]
    assert findings([], ledger, odd).up_to_ms == 7


@case_table(("equity", "limit"), [(None, "1"), ("1000", "1"), ("50", "0.5"), ("-3", "0"), ("100", "1")])
def test_a_dollar_or_one_percent_of_the_equity_whichever_is_less(equity: str | None, limit: str) -> None:
    assert limit_of(None if equity is None else D(equity)) == D(limit)


def test_a_few_are_named() -> None:
    many = [Difference(f"e{n}", D(0), D(0), D(n)) for n in range(1, 6)]
    assert described(many) == "e1 +1, e2 +2, e3 +3 and 2 more"
    assert described(many[:1]) == "e1 +1"
