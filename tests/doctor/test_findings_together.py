"""An account as a whole: a line of each check, and what is missing takes nothing else along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.core.events import OrderStatus, OrderUpdateEvent, WalletEvent
from gridbot.core.vocabulary import Direction, Side
from gridbot.doctor.doctor_facts import AccountFacts, SymbolFacts, Unread
from gridbot.doctor.examine import examined_account
from gridbot.doctor.findings import Finding
from gridbot.exchange.environment import Environment
from gridbot.exchange.examined import HeldLeg, SymbolTerms
from gridbot.exchange.requests import AccountInfo, ApiKeyInfo, FeeRate
from tests.doctor.ladder_kit import BTC, NOW, OK, REFUSED, UNREAD, WARNING, D, config, has

FEES = FeeRate("BTCUSDT", D("0.0002"), D("0.00055"))
SYMBOL = SymbolFacts(BTC, D(100), SymbolTerms(True, D(10)), FEES)
KEY = ApiKeyInfo("7", read_only=False, contract_trade=("Order", "Position"), can_withdraw=False, ips=("1.2.3.4",))
FACTS = AccountFacts(
    "alice",
    Environment.TESTNET,
    key=KEY,
    info=AccountInfo("REGULAR_MARGIN"),
    wallet=WalletEvent("USDT", D(1000)),
    dead_man=Unread("no answer"),
    orders=(),
    legs=(),
    executions=(),
    symbols={"BTCUSDT": SYMBOL},
    server_ms=NOW,
)


def findings(facts: AccountFacts, made: GridbotConfig | None = None, **how: Any) -> dict[str, Finding]:
    return {each.check: each for each in examined_account(made or config(), facts, NOW, **how).findings}


def test_a_good_account_has_a_line_of_each_check() -> None:
    found = findings(FACTS)
    assert {each.verdict for each in found.values()} == {OK}
    of_account = {"key", "withdrawals", "key_binding", "margin_mode", "dead_man", "foreign_orders", "foreign_positions"}
    of_strategy = {"instrument", "position_mode", "leverage", "risk_limit", "fees", "sizes"}
    assert set(found) == of_account | of_strategy | {"rival", "margin", "liquidation"}


def test_what_is_missing_is_said_and_takes_nothing_else_along() -> None:
    gone = Unread("there is none")
    found = findings(replace(FACTS, symbols={"BTCUSDT": SymbolFacts(gone, gone, gone, gone)}))
    has(found["instrument"], WARNING, "not known: there is none")
    has(found["margin"], WARNING, "not known: what it takes is missing: the rules of BTCUSDT")
    without_price = replace(SYMBOL, price=UNREAD, fees=UNREAD)
    has(findings(replace(FACTS, symbols={"BTCUSDT": without_price}))["margin"], WARNING, "price and fees of BTCUSDT")
    has(findings(replace(FACTS, wallet=UNREAD, legs=UNREAD))["foreign_positions"], WARNING, "no answer")
    has(findings(replace(FACTS, legs=UNREAD))["margin"], WARNING, "no answer")
    has(findings(replace(FACTS, wallet=UNREAD), config(caps={"max_notional": "off"}))["risk_limit"], OK, "worth 2")
    no_leverage = replace(SYMBOL, terms=SymbolTerms(True, None))
    has(findings(replace(FACTS, symbols={"BTCUSDT": no_leverage}))["margin"], WARNING, "missing: leverage of BTCUSDT")
    has(findings(FACTS, config(amount="0.0001"))["sizes"], WARNING, "rounded up by over 10 %")


def test_a_demo_account_reckons_with_usual_fees() -> None:
    symbol = replace(SYMBOL, fees=UNREAD)
    facts = replace(FACTS, environment=Environment.DEMO, symbols={"BTCUSDT": symbol})
    has(findings(facts, config("demo"))["fees"], OK, "(usual; not told)")
    has(findings(replace(facts, environment=Environment.TESTNET))["fees"], WARNING, "no answer")


def test_positions_and_caps_count() -> None:
    held = HeldLeg("BTCUSDT", Direction.LONG, D(3), D(100), D(100), D(0))
    strange = HeldLeg("ETHUSDT", Direction.SHORT, D(1), D(90), D(100), D(-10), initial=D(10), maintenance=D(5))
    full = findings(FACTS)["risk_limit"]
    has(full, OK, "worth 21 USDT" if "21" in full.text else "worth 20 USDT")
    has(findings(replace(FACTS, legs=(held, strange)))["risk_limit"], OK, "worth 320 USDT")
    has(findings(FACTS, config(max_margin="0.015"))["risk_limit"], OK, "worth 10 USDT")
    has(findings(FACTS, config(caps={"max_notional": "5"}))["risk_limit"], OK, "worth 0 USDT")
    has(findings(replace(FACTS, legs=(held, strange)))["margin"], OK, "now 990.00")


def test_a_used_symbol_in_one_way_mode_is_refused() -> None:
    symbol = replace(SYMBOL, terms=SymbolTerms(False, D(10)))
    facts = replace(FACTS, symbols={"BTCUSDT": symbol})
    assert findings(facts)["position_mode"].verdict is OK
    row = OrderUpdateEvent("BTCUSDT", "o", "x", Side.BUY, None, D(50), D(1), OrderStatus.NEW)
    assert findings(replace(facts, orders=(row,)))["position_mode"].verdict is REFUSED
    assert findings(replace(facts, orders=(replace(row, symbol="ETHUSDT"),)))["position_mode"].verdict is OK


def test_offline_only_what_the_file_tells() -> None:
    assert findings(AccountFacts("alice", Environment.TESTNET), is_online=False) == {}
    facts = AccountFacts("alice", Environment.TESTNET, symbols={"BTCUSDT": SYMBOL})
    assert set(findings(facts, config(shadow_mode=True), is_online=False)) == {
        "leverage",
        "risk_limit",
        "fees",
        "sizes",
    }
