"""Each check of an account at its border: what it says is ok, what it warns of, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.account_models import AccountConfig
from gridbot.core import Instrument
from gridbot.core.events import ExecType, ExecutionEvent, OrderStatus, OrderUpdateEvent
from gridbot.core.vocabulary import Direction, Side
from gridbot.doctor.account_findings import clock_finding, dead_man_finding, margin_mode_finding
from gridbot.doctor.doctor_facts import Local, Unread
from gridbot.doctor.findings import CHECKS, Finding, Verdict, worst
from gridbot.doctor.key_findings import key_findings
from gridbot.doctor.stranger_findings import Maker, Ours, foreign_orders, foreign_positions, maker_of, rival, same_users
from gridbot.exchange.dead_man import DeadMan
from gridbot.exchange.environment import Environment
from gridbot.exchange.examined import ClockReading, DeadManState, HeldLeg
from gridbot.exchange.requests import AccountInfo, ApiKeyInfo
from gridbot.orders.ids import Owner, account_tag, wire_id
from supervisor.doctor.local_reading import local_of
from tests.case_table import case_table

D = Decimal
OK, WARNING, REFUSED = Verdict.OK, Verdict.WARNING, Verdict.REFUSED
KEY = ApiKeyInfo("7", read_only=False, contract_trade=("Order", "Position"), can_withdraw=False, ips=("1.2.3.4",))
KEY = replace(KEY, deadline_days=-2)
UNREAD = Unread("no answer")


def verdict_of(found: Finding, text: str, verdict: Verdict, check: str = "") -> None:
    assert (found.verdict, text in found.text) == (verdict, True), found
    assert found.check in CHECKS
    assert found.check == (check or found.check)


@case_table(
    ("changes", "allows", "check", "verdict", "text"),
    [
        ({}, False, "key", OK, "user 7"),
        ({"user_id": ""}, False, "key", OK, "user not told"),
        ({"read_only": True}, False, "key", REFUSED, "got a read-only one"),
        ({"contract_trade": ("Order",)}, False, "key", REFUSED, "Position missing"),
        ({"contract_trade": ()}, False, "key", REFUSED, "Order and Position missing"),
        ({"is_unified": False}, False, "key", REFUSED, "unified trading account"),
        ({"wallet": ("AccountTransfer", "Withdraw")}, False, "key", WARNING, "other accounts (AccountTransfer)"),
        ({"wallet": ("Withdraw",)}, False, "key", OK, "may trade"),
        ({}, False, "withdrawals", OK, "cannot withdraw"),
        ({"can_withdraw": True}, False, "withdrawals", REFUSED, "set `allow_withdraw_permission: true` in the account"),
        ({"can_withdraw": True}, True, "withdrawals", WARNING, "allow_withdraw_permission allows"),
        ({}, False, "key_binding", OK, "bound to 1.2.3.4, does not expire"),
        ({"ips": ("1.1.1.1", "2.2.2.2", "3.3.3.3")}, False, "key_binding", OK, "1.1.1.1, 2.2.2.2 and 1 more"),
        ({"deadline_days": None}, False, "key_binding", OK, "does not expire"),
        ({"deadline_days": 15}, False, "key_binding", OK, "expires in 15 days"),
        ({"deadline_days": 14}, False, "key_binding", WARNING, "expires in 14 days"),
        (
            {"deadline_days": 14, "expires_at": "2026-12"},
            False,
            "key_binding",
            WARNING,
            "14 days (2026-12): renew",
        ),
        ({"deadline_days": 1}, False, "key_binding", WARNING, "expires in 1 day:"),
        ({"deadline_days": 0}, False, "key_binding", REFUSED, "expires in 0 days"),
        (
            {"ips": ("*",), "deadline_days": 90},
            False,
            "key_binding",
            WARNING,
            "bound to no address, expires in 90 days",
        ),
        ({"ips": ()}, False, "key_binding", WARNING, "bound to no address, does not expire"),
    ],
)
def test_what_a_key_may(changes: dict[str, Any], allows: bool, check: str, verdict: Verdict, text: str) -> None:
    found = {each.check: each for each in key_findings("alice", replace(KEY, **changes), allows_withdrawals=allows)}
    assert set(found) == {"key", "withdrawals", "key_binding"}
    verdict_of(found[check], text, verdict)


def test_a_key_that_tells_nothing_is_one_warning() -> None:
    [found] = key_findings("alice", UNREAD, allows_withdrawals=False)
    verdict_of(found, "not known: no answer", WARNING, "key")


@case_table(
    ("ahead", "room", "verdict", "text"),
    [
        (0.0, 1.0, OK, "0 ms ahead, give or take 1 ms"),
        (500.0, 20.0, OK, "500 ms ahead"),
        (501.0, 20.0, WARNING, "set the clock by NTP"),
        (1019.0, 20.0, WARNING, "set the clock by NTP"),
        (1020.0, 20.0, REFUSED, "(10002)"),
        (-3000.0, 20.0, OK, "3000 ms behind"),
        (-3001.0, 20.0, WARNING, "set the clock by NTP"),
        (-5019.0, 20.0, WARNING, "behind"),
        (-5020.0, 20.0, REFUSED, "behind"),
        (100.0, 1000.0, OK, "give or take 1000 ms"),
        (100.0, 1001.0, WARNING, "too slow to tell"),
        (1500.0, 1501.0, WARNING, "too slow to tell"),  # it may be right
        (1700.0, 1001.0, WARNING, "set the clock by NTP"),  # it is wrong, however slow the line is
    ],
)
def test_the_clock(ahead: float, room: float, verdict: Verdict, text: str) -> None:
    verdict_of(clock_finding("testnet", ClockReading(ahead, room)), text, verdict, "clock")


def test_what_is_not_known_of_an_account_is_a_warning() -> None:
    verdict_of(clock_finding("testnet", UNREAD), "no answer", WARNING)
    verdict_of(margin_mode_finding("alice", UNREAD), "no answer", WARNING)
    verdict_of(dead_man_finding("alice", DeadMan(30), UNREAD, Environment.DEMO), "no answer", WARNING)
    verdict_of(dead_man_finding("alice", None, UNREAD, Environment.DEMO), "off", OK)
    verdict_of(foreign_orders("alice", UNREAD, OURS, None), "no answer", WARNING)
    verdict_of(foreign_positions("alice", UNREAD, OURS), "no answer", WARNING)
    verdict_of(rival("alice", OURS, Local(), UNREAD, (), NOW), "no answer", WARNING)
    verdict_of(rival("alice", OURS, Local(), (), UNREAD, NOW), "no answer", WARNING)


@case_table(
    ("mode", "verdict", "text"),
    [
        ("REGULAR_MARGIN", OK, "cross"),
        ("PORTFOLIO_MARGIN", OK, "portfolio margin"),
        ("ISOLATED_MARGIN", REFUSED, "the account is in isolated margin"),
        ("STRANGE", REFUSED, "STRANGE, a margin mode nobody knows"),
    ],
)
def test_the_margin_mode(mode: str, verdict: Verdict, text: str) -> None:
    verdict_of(margin_mode_finding("alice", AccountInfo(mode)), text, verdict, "margin_mode")


@pytest.mark.parametrize(
    ("wanted", "state", "environment", "verdict", "text"),
    [
        (None, DeadManState(False), Environment.TESTNET, OK, "off, and the account may not use it"),
        (None, DeadManState(True, 10), Environment.TESTNET, WARNING, "on at the exchange (10 s)"),
        (DeadMan(30), DeadManState(False), Environment.TESTNET, WARNING, "have Bybit allow it"),
        (DeadMan(30), DeadManState(False), Environment.PAPER, WARNING, "set `paper.dcp: true`"),
        (DeadMan(30), DeadManState(True, 10), Environment.TESTNET, OK, "dcp 30; at the exchange 10 s now"),
    ],
)
def test_the_dead_man(
    wanted: DeadMan | None, state: DeadManState, environment: Environment, verdict: Verdict, text: str
) -> None:
    verdict_of(dead_man_finding("alice", wanted, state, environment), text, verdict, "dead_man")


# ---------------------------------------------------------------------- strangers

TAG = account_tag("testnet", "alice")
OURS = Ours.of(TAG, ["btc"], ["BTCUSDT"])
NOW = 1_700_000_000_000
HOUR = 3_600_000
BTC = Instrument("BTCUSDT", D("0.1"), D("0.001"), D("0.001"), D(100))


def link(account: str = "alice", strategy: str = "btc", number: int = 100, epoch: int = 0) -> str:
    owner = Owner.of(account_tag("testnet", account), strategy)
    return wire_id(replace(owner, epoch=epoch), Side.BUY, Direction.LONG, 600_000, number)


def order(link_id: str, symbol: str = "BTCUSDT", qty: str = "2") -> OrderUpdateEvent:
    return OrderUpdateEvent(symbol, "o", link_id, Side.BUY, Direction.LONG, D(50), D(qty), OrderStatus.NEW)


def execution(link_id: str, symbol: str = "BTCUSDT", at: int = NOW, kind: ExecType = ExecType.TRADE) -> ExecutionEvent:
    return ExecutionEvent(symbol, "e", "o", link_id, Side.BUY, D(50), D(1), exchange_ts=at, exec_type=kind)


@case_table(
    ("link_id", "next_number", "maker"),
    [
        (link(), None, Maker.OURS),
        (link(number=100), 101, Maker.OURS),
        (link(number=100), 100, Maker.COPY),
        (link(epoch=1), None, Maker.COPY),
        (link(strategy="gone"), None, Maker.LEFT),
        (link(account="bob"), None, Maker.GRIDBOT),
        ("0123456789abcdef-1", None, Maker.FORMER),
        ("my-bot-1", None, Maker.PROGRAM),
        ("", None, Maker.HAND),
    ],
)
def test_an_id_says_who_made_the_order(link_id: str, next_number: int | None, maker: Maker) -> None:
    assert maker_of(link_id, OURS, next_number) is maker
    # Of a fleet another host may have made it.
    assert maker_of(link_id, OURS._replace(in_fleet=True), next_number) is (
        Maker.OURS if maker is Maker.COPY else maker
    )


@case_table(
    ("orders", "verdict", "text"),
    [
        ([], OK, "none; 0 orders of ours rest"),
        ([order(link())], OK, "none; 1 order of ours rest"),
        (
            [order("x"), order("", "ETHUSDT"), order("x")],
            WARNING,
            "3 orders not of ours (BTCUSDT: 2 worth 200.00 USDT, ",
        ),
        ([order("x")], WARNING, "on a symbol of ours they change its position"),
        ([order(link(strategy="gone"), "ETHUSDT")], WARNING, "made by a strategy that the file does not name"),
    ],
)
def test_foreign_orders(orders: list[OrderUpdateEvent], verdict: Verdict, text: str) -> None:
    verdict_of(foreign_orders("alice", orders, OURS, None), text, verdict, "foreign_orders")


def test_an_adopted_order_is_ours_and_the_file_of_the_ledger_says_so(tmp_path: Path) -> None:
    """`adopt`: its id is still the other program's."""
    (tmp_path / "state" / "alice").mkdir(parents=True)
    row = {"order_link_id": "their-1", "order_id": "x1", "shadow": False}
    rows = [
        row,
        {**row, "order_link_id": ""},
        {**row, "order_link_id": "s", "shadow": True},
        5,
        {"order_link_id": link()},
    ]
    ledger = tmp_path / "state" / "alice" / "ledger.json"
    account = AccountConfig.model_validate({"name": "alice", "environment": "paper"})
    running = {"pid": 7, "state": "RUNNING"}
    for content, adopted in ((json.dumps({"orders": rows}), {"their-1", "x1"}), ("{", set()), ('{"orders": 5}', set())):
        ledger.write_text(content)
        assert local_of(account, tmp_path, running, None).adopted == adopted
    verdict_of(foreign_orders("alice", [order("their-1")], OURS, None, {"their-1"}), "none; 1 order of ours rest", OK)


def test_foreign_orders_elsewhere_change_nothing_of_ours() -> None:
    assert "on a symbol of ours" not in foreign_orders("alice", [order("x", "ETHUSDT")], OURS, None).text


def test_foreign_positions() -> None:
    mine = HeldLeg("BTCUSDT", Direction.LONG, D(1), D(50), D(60))
    others = [HeldLeg(f"X{n}USDT", Direction.SHORT, D(2), D(10)) for n in range(5)]
    verdict_of(foreign_positions("alice", [], OURS), "our strategies hold nothing", OK)
    verdict_of(foreign_positions("alice", [mine], OURS), "BTCUSDT long 1 (60.00 USDT)", OK, "foreign_positions")
    found = foreign_positions("alice", [mine, *others], OURS)
    verdict_of(found, "X0USDT short 2 (20.00 USDT), ", WARNING)
    assert "and 1 more" in found.text


@case_table(
    ("local", "orders", "executions", "verdict", "text"),
    [
        (Local(), [], [], OK, "nobody: 0 trades of the last hour looked at; this data directory has never traded it"),
        (Local(next_number=101), [order(link())], [execution(link())], OK, "nobody: 1 trade of"),
        (Local("17"), [], [], REFUSED, "process 17 has it"),
        (Local("unknown"), [], [], REFUSED, "a process has it"),
        (
            Local(next_number=100),
            [order(link())],
            [],
            REFUSED,
            "a copy of this configuration trades this account elsewhere",
        ),
        (Local(next_number=100), [], [execution(link())], REFUSED, f"(BTCUSDT {link()})"),
        (Local(), [order(link("bob"))], [], REFUSED, "another gridbot trades this account"),
        (Local(), [], [execution(link("bob"), at=NOW - HOUR + 1)], REFUSED, "another gridbot"),
        (Local(), [], [execution(link("bob"), at=NOW - HOUR)], OK, "nobody"),
        (
            Local(),
            [],
            [execution("their-1"), execution("")],
            WARNING,
            "1 by a hand, or the exchange, 1 by another program",
        ),
        (Local(), [], [execution("their-1", "ETHUSDT")], OK, "nobody"),
        (Local(adopted=frozenset({"their-1"})), [], [execution("their-1")], OK, "nobody: 1 trade of"),
        (Local(), [], [execution("", kind=ExecType.FUNDING)], OK, "nobody: 0 trades"),
        (Local(), [order("their-1")], [], OK, "nobody"),
    ],
)
def test_a_rival(
    local: Local, orders: list[OrderUpdateEvent], executions: list[ExecutionEvent], verdict: Verdict, text: str
) -> None:
    verdict_of(rival("alice", OURS, local, orders, executions, NOW), text, verdict, "rival")


def test_of_a_fleet_too_a_holder_of_the_key_is_a_rival() -> None:
    """Another host of the fleet on this machine is none: it shares the key, and `local_of` does not name it."""
    found = rival("alice", OURS._replace(in_fleet=True), Local("17"), [], [], NOW)
    verdict_of(found, "expected nobody else with this key on this machine, process 17 has it", REFUSED, "rival")


def test_two_accounts_of_one_user_are_one() -> None:
    keys = {
        "a": ("testnet", KEY),
        "b": ("mainnet", KEY),
        "c": ("testnet", KEY),
        "d": ("testnet", replace(KEY, user_id="")),
    }
    [found] = same_users(keys)
    assert found.about == "c"
    verdict_of(found, "that of a belong to the same user 7", REFUSED, "rival")


def test_the_worst_counts() -> None:
    rows = [Finding("key", verdict, "") for verdict in (OK, REFUSED, WARNING)]
    assert [worst(rows), worst(rows[:1]), worst([]), worst(rows[::2])] == [REFUSED, OK, OK, WARNING]
