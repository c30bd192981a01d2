"""What differs from the exchange is corrected by the workers, and compared again until nothing is left."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gridbot.exchange.requests import Transaction
from gridbot.records.open_orders import OpenOrders
from supervisor.store import exchange_repair
from supervisor.store.exchange_ledger import AccountCheck
from supervisor.store.exchange_repair import repair_orders, repair_records
from supervisor.store.exchange_views import Recorded as StaleOrder
from supervisor.store.exchange_views import ViewCheck
from supervisor.store.transactions import Comparison, Recorded

D = Decimal
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def checked(differing: int = 0, as_of: int = 7) -> AccountCheck:
    comparison = Comparison()
    for n in range(differing):
        ours = Recorded(f"e{n}", "BTCUSDT", "Trade", D(1), D("0.1"), 5, "btc", "short", is_maker=False)
        row = Transaction("TRADE", "BTCUSDT", f"e{n}", "USDT", D(2), D(0), D("0.1"), D("1.9"), 5)
        comparison.differing.append((ours, row))
    return AccountCheck("alice", THEN, THEN, comparison, as_of=as_of)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_repair, "FLUSH_S", 0.0)


def test_nothing_is_done_when_nothing_differs() -> None:
    checks = [checked()]
    assert repair_records(checks, list, lambda *_: "", lambda text: None) is checks


def test_the_worker_gets_the_figures_of_both_sides() -> None:
    given: list[tuple[str, dict[str, str]]] = []
    said: list[str] = []

    def correct(account: str, args: dict[str, str]) -> str:
        given.append((account, args))
        return "1 corrected"

    clean = [checked()]
    assert repair_records([checked(1)], lambda: clean, correct, said.append) is clean
    [(account, args)] = given
    assert (account, args["as_of"], said) == ("alice", "7", ["alice: 1 corrected"])
    assert json.loads(args["figures"]) == [
        {
            "exec_id": "e0",
            "strategy": "btc",
            "symbol": "BTCUSDT",
            "direction": "short",
            "exec_type": "Trade",
            "is_maker": False,
            "exchange_ts": 5,
            "recorded_realised": "1",
            "recorded_fee": "0.1",
            "realised": "2",
            "fee": "0.1",
        }
    ]


def test_many_take_several_commands_and_a_database_that_is_behind_another_look() -> None:
    answers = iter(["250 corrected", "expected ...; again in a moment", "100 corrected"])
    looks = iter([[checked(100, as_of=8)], [checked(100, as_of=9)], [checked()]])
    sizes: list[int] = []

    def correct(account: str, args: dict[str, str]) -> str:
        sizes.append(len(json.loads(args["figures"])))
        answer = next(answers)
        if "again" in answer:
            raise LookupError(answer)
        return answer

    [last] = repair_records([checked(350)], lambda: next(looks), correct, lambda text: None)
    assert (sizes, last.figures) == ([250, 100, 100], [])


def test_without_a_worker_the_reason_is_said_and_that_is_all() -> None:
    said: list[str] = []

    def correct(account: str, args: dict[str, str]) -> str:
        raise LookupError("no supervisor runs")

    checks = [checked(1)]
    assert repair_records(checks, list, correct, said.append) is checks
    assert said == ["alice: not corrected: no supervisor runs"]


STALE = StaleOrder("a-1", "o1", "BTCUSDT", D(50), D(2), D(0), "open", "btc", "long", "Buy", attempt=1)
CLEAN = {"alice": ViewCheck(3, 1)}


def test_orders_that_do_not_rest_are_given_to_their_worker_and_looked_at_until_they_have_ended() -> None:
    given: list[tuple[str, dict[str, str]]] = []
    looks = [{"alice": ViewCheck(4, 1, ("it does not rest",), stale=(STALE,))}, CLEAN]

    def correct(account: str, args: dict[str, str]) -> str:
        given.append((account, args))
        return "1 orders that do not rest are asked for"

    said: list[str] = []
    assert repair_orders(looks[0], lambda: looks.pop(0), correct, said.append) is CLEAN
    [(account, args)] = given
    assert (account, args["as_of"], said) == ("alice", "0", ["alice: 1 orders that do not rest are asked for"])
    held = OpenOrders()
    assert held.missed(json.loads(args["orders"])) == 1
    [record] = held
    assert (record.order_link_id, record.strategy, record.price, record.state) == ("a-1", "btc", D(50), "open")


def test_nothing_is_asked_when_everything_rests_and_a_worker_that_is_not_there_is_said() -> None:
    def absent(account: str, args: dict[str, str]) -> str:
        raise LookupError("no worker")

    assert repair_orders(CLEAN, dict, absent, lambda text: None) is CLEAN
    views, said = {"alice": ViewCheck(stale=(STALE,))}, list[str]()
    assert repair_orders(views, dict, absent, said.append) is views
    assert said == ["alice: not corrected: no worker"]
