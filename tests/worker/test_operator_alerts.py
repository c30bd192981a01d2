"""The incidents of an account: what is recorded and told of them, and what stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbot.core import Direction, OrderStatus, Side
from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.order_entry import EntryHealth, OrderEntry
from gridbot.exchange.requests import OrderAck
from gridbot.exchange.stream_news import ConnectionState
from gridbot.incidents import Change, Name, Standing
from gridbot.orders.outcomes import OrderOutcome, OrderResult
from gridbot.records.record_types import AlertRecord
from gridbot.risk.caps import CapWarned
from gridbot.risk.gate_state import Verdict
from gridbot.risk.holds import Who
from gridbot.risk.refusals import Refusal
from gridbot.worker.operator_alerts import Alerts
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.standing import standing
from gridbot.worker.startup import RefusedStrategy
from tests.case_table import case_table
from tests.worker.account_bench import AccountBench, Notes, ticker

BAD_KEY = make_error("API key is invalid.", ErrorKind.AUTH, ret_code=10003)
BAD_ADDRESS = make_error("Exceeded the IP Rate Limit.", ErrorKind.IP_BAN, ret_code=10018)


class Bench:
    """Alerts with a recorder; `told` has what the supervisor hears."""

    def __init__(self) -> None:
        self.account = AccountBench()
        self.notes = Notes()
        self.told: list[tuple[str, str, str, str]] = []
        self.alerts = Alerts(self.notes, self._hear, self.account.clock)

    def _hear(self, change: Change) -> None:
        name = change.incident.name
        self.told.append((change.level, name.key, change.text, name.where))

    def everything(self) -> dict[Name, Standing]:
        account = self.account
        return standing(
            [account.gate],
            [account.runner.risk_state],
            passage=account.context.passage,
            ban=account.context.executor.ban,
            has_numbers=True,
            now_s=account.clock.now_s,
        )

    def stands(self) -> dict[Name, tuple[str, str]]:
        return {name: (what.level, what.text) for name, what in self.everything().items()}


def test_a_beginning_and_an_end_are_recorded_and_told_and_a_repetition_is_neither() -> None:
    bench = Bench()
    clock, began_us = bench.account.clock, bench.account.clock.wall_us()
    assert bench.alerts("error", "journal", "full") == 1
    clock.now_s += 2
    assert bench.alerts("error", "journal", "still full") == 2
    bench.alerts.over("journal", "written again")
    assert bench.told == [("error", "journal", "full", ""), ("info", "journal", "written again", "")]
    records = bench.notes.of(AlertRecord)
    assert [(r.phase, r.level, r.text, r.count, r.began_at) for r in records] == [
        ("begun", "ERROR", "full", 1, began_us),
        ("ended", "INFO", "written again", 2, began_us),
    ]
    assert bench.alerts.rows() == []


def test_an_alert_that_cannot_be_recorded_is_told_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.notes.failures.append(OSError("the disk is full"))
    bench.alerts("warning", "foreign.BTCUSDT", "not ours", "btc")
    assert bench.told == [("warning", "foreign.BTCUSDT", "not ours", "btc")]
    assert "could not be recorded" in caplog.text


def test_nothing_stands_of_an_account_that_is_well() -> None:
    bench = Bench()
    bench.account.start()
    assert bench.stands() == {}


@pytest.mark.parametrize("by_liquidation", [True, False])
def test_a_halt_and_a_pause_by_the_exchange_stand_until_an_operator_resumes(by_liquidation: bool) -> None:
    bench = Bench()
    runner = bench.account.runner
    runner.risk_state.pause()
    assert bench.stands() == {}, "the operator knows of his own pause"
    runner.resume()
    runner.risk_state.halt("a fault")
    who = Who.LIQUIDATION if by_liquidation else Who.EXCHANGE
    runner.risk_state.pause(who, "the exchange reduced our long")
    assert bench.stands() == {
        Name("halt.BTCUSDT", "btc"): ("error", "btc is halted: a fault"),
        Name("reduced.BTCUSDT", "btc"): (
            "error",
            "BTCUSDT: the exchange reduced our long; the strategy is paused",
        ),
    }
    runner.resume()
    assert bench.stands() == {}


def test_a_strategy_that_could_not_start_stands_for_as_long_as_the_worker() -> None:
    bench = Bench()
    refused = RefusedStrategies([RefusedStrategy("eth", "ETHUSDT", "it is not listed any more")])

    def found() -> dict[Name, Standing]:
        return standing(
            [],
            [],
            passage=bench.account.context.passage,
            ban=None,
            has_numbers=True,
            now_s=1.0,
            refused=refused,
        )

    halt = {Name("halt.ETHUSDT", "eth"): Standing("error", "eth is halted: it is not listed any more")}
    assert found() == halt
    refused.pause("eth")
    assert found() == halt, "the operator knows of his own pause"
    refused.resume("eth")
    refused.pause("eth", Who.LIQUIDATION, "the exchange reduced our long")
    text = "ETHUSDT: the exchange reduced our long; the strategy is paused"
    assert found() == halt | {Name("reduced.ETHUSDT", "eth"): Standing("error", text)}


@case_table(("down_s", "is_told"), [(0.0, False), (59.0, False), (60.0, True), (600.0, True)])
def test_a_trade_socket_that_stays_down_stands(down_s: float, is_told: bool) -> None:
    entry = EntryHealth(OrderEntry.HTTP, ConnectionState.LOST, down_s, 2, "no pong in time")
    found = standing(
        [],
        [],
        passage=Bench().account.context.passage,
        ban=None,
        has_numbers=True,
        now_s=1.0,
        order_entry=entry,
    )
    told = {Name("order_entry"): Standing("warning", "the trade socket is down (no pong in time); orders go by HTTP")}
    assert found == (told if is_told else {})


async def test_a_price_that_is_too_old_stands() -> None:
    bench = Bench()
    bench.account.start()
    bench.account.runner.on_ticker(ticker())
    bench.account.clock.now_s += 30
    assert bench.stands() == {}
    bench.account.clock.now_s += 1
    [name] = bench.stands()
    assert name == Name("stale_price.BTCUSDT", "btc")


async def test_orders_that_do_not_get_through_and_terms_that_changed_stand() -> None:
    bench = Bench()
    account, passage = bench.account, bench.account.context.passage
    account.start()
    passage.terms_read("BTCUSDT", "the exchange has changed BTCUSDT")
    assert bench.stands() == {Name("terms.BTCUSDT", "btc"): ("warning", "the exchange has changed BTCUSDT")}
    account.runner.on_ticker(ticker())
    error = make_error("not on the tick", ErrorKind.PARAM, ret_code=10001)
    opens = [order for order in account.orders if order.side is Side.BUY]
    for order in [*opens, *opens][:3]:
        passage.answered(order, OrderResult(OrderOutcome.REJECTED, error=error))
    [(name, (level, text))] = bench.stands().items()
    assert (name, level) == (Name("refused.BTCUSDT", "btc"), "error")
    assert "btc: no order gets through, 3 refused in a row: not on the tick (retCode 10001, param)" in text
    assert "; the exchange has changed BTCUSDT; " in text
    assert account.requests.wishes.terms == {"BTCUSDT"}
    passage.answered(opens[0], OrderResult(OrderOutcome.CONFIRMED, ack=OrderAck("id", opens[0].link_id)))
    passage.terms_read("BTCUSDT", "")
    assert bench.stands() == {}


@pytest.mark.parametrize("row_first", [True, False], ids=["the foreign order first", "the refusals first"])
async def test_the_order_that_covers_a_leg_is_told_whichever_is_heard_first(row_first: bool) -> None:
    """Refusals that had lasted were told without a cause, and not again when the foreign order's row came."""
    bench = Bench()
    account, passage = bench.account, bench.account.context.passage
    account.start()
    account.runner.on_ticker(ticker())
    ours = account.order_at(Side.SELL)
    closing = replace(ours, link_id="c1", reduce_only=True, direction=Direction.LONG)
    row = account.update(ours, OrderStatus.NEW, reduce_only=True)
    theirs = replace(row, order_id="by hand", order_link_id="", direction=Direction.LONG)

    def look() -> None:
        found = standing(
            [account.gate],
            [account.runner.risk_state],
            passage=passage,
            ban=None,
            has_numbers=True,
            now_s=account.clock.now_s,
        )
        bench.alerts.look(found)

    if row_first:
        account.runner.on_order_update(theirs)
    error = make_error("nothing left to close", ErrorKind.RESYNC, ret_code=110017)
    for _ in range(4):
        passage.answered(closing, OrderResult(OrderOutcome.REJECTED, error=error))
        account.clock.now_s += 11
        account.runner.set_price(ticker())
        look()
    if not row_first:
        account.runner.on_order_update(theirs)
        look()
        look()
    told = [text for _, key, text, _ in bench.told if key == "refused.BTCUSDT"]
    assert [("by hand" in text) for text in told] == ([True] if row_first else [False, True])
    assert [record.phase for record in bench.notes.of(AlertRecord)] == (["begun"] if row_first else ["begun", "worse"])


def test_latch_cooldown_ban_caps_and_missing_numbers_stand() -> None:
    bench = Bench()
    account, gate = bench.account, bench.account.gate
    gate.latch_loss("lost 5 of 4 USDT")
    for _ in range(5):
        gate.auth_failed(BAD_KEY, account.clock.now_s)
    gate._step(Verdict(Refusal.MAX_NOTIONAL, changes=(CapWarned("btc.max_notional", "90 of 100 used"),)))
    found = standing(
        [gate],
        [],
        passage=account.context.passage,
        ban=Ban(account.clock.now_s + 1, BAD_ADDRESS),
        has_numbers=False,
        now_s=account.clock.now_s,
    )
    assert [name.key for name in found] == [
        "cap.btc.max_notional",
        "session_loss_limit",
        "auth",
        "ip_ban",
        "no_order_number",
    ]
    texts = {name.key: what.text for name, what in found.items()}
    assert "API key is invalid. (retCode 10003, auth); the exchange does not know the API key" in texts["auth"]
    assert "(retCode 10018), no HTTP request is sent until that is over; it waits by itself" in texts["ip_ban"]
    later_s = account.clock.now_s + 1e5
    again = standing(
        [gate],
        [],
        passage=account.context.passage,
        ban=Ban(account.clock.now_s + 1, BAD_ADDRESS),
        has_numbers=True,
        now_s=later_s,
    )
    assert [name.key for name in again] == ["cap.btc.max_notional", "session_loss_limit"]


def test_the_look_of_each_second_ends_what_no_longer_stands() -> None:
    bench = Bench()
    account = bench.account
    account.runner.halt("a fault")
    account.alarm.look(
        standing(
            [account.gate],
            [account.runner.risk_state],
            passage=account.context.passage,
            ban=None,
            has_numbers=True,
            now_s=1.0,
        )
    )
    assert [row["count"] for row in account.alarm.rows()] == [1]
    account.runner.resume()
    assert account.alarm.ended == ["btc may trade again: an operator has resumed it"]


def test_what_a_symbol_becomes_is_told_though_the_incident_is_open() -> None:
    """An order's refusal comes first; that the exchange settles what is held is news all the same."""
    bench = Bench()
    state = bench.account.runner.risk_state
    text = "This contract is not live"
    state.restricted(make_error(text, ErrorKind.SYMBOL, ret_code=110074), bench.account.clock.now_s)
    bench.alerts.look(bench.everything())
    state.listed(replace(state.book.instrument, status="Settling"))
    for _ in range(2):
        state.look(bench.account.clock.now_s)
        bench.alerts.look(bench.everything())
    words = [text for _, key, text, _ in bench.told if key.startswith("listing.")]
    assert [word.partition(":")[0] for word in words] == [
        "BTCUSDT takes no orders now, they wait",
        "BTCUSDT is Settling",
    ]
