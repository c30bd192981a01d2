"""Operator commands: what each changes, and what is answered and recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.command_line import pasteable
from gridbot.commands.command_table import WORKER_COMMANDS
from gridbot.core import Direction, ExecType
from gridbot.flatten.flatten_words import Finished, Others, Terms, Wanted
from gridbot.records.open_orders import OpenOrders
from gridbot.risk.brake import Brake, Stops
from gridbot.risk.holds import Hold, Who
from gridbot.risk.refusals import Refusal
from gridbot.worker.commands import Commands, answer_to, record_of, told
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.startup import RefusedStrategy
from tests.case_table import case_table
from tests.execution.support import settle
from tests.records.test_open_orders import order as order_record
from tests.worker.account_bench import AccountBench, take_reconcile, ticker

D = Decimal
ALL = "pause, reduce, cancel, flatten, kill, resume, reconcile"


class Losses:
    """As much of a `LossGuard` as a command needs."""

    def __init__(self) -> None:
        self.cleared = 0

    def clear(self) -> None:
        self.cleared += 1


class Money:
    """As much of a `MoneyWatch` as a command needs."""

    def __init__(self) -> None:
        self.repaired: list[Any] = []

    def repair(self, as_of: int, figures: list[dict[str, Any]]) -> str:
        self.repaired.append((as_of, figures))
        return "done"


class FakeFlattening:
    """As much of `Flattening` as a command needs; `told` is what the newest run will say."""

    def __init__(self) -> None:
        self.busy: dict[str, bool] = {}
        self.latched: list[tuple[str, Who]] = []
        self.unlatched = 0
        self.begun: list[tuple[Wanted, str]] = []
        self.ended: list[Callable[[Finished], None]] = []

    def latch(self, reason: str, who: Who) -> None:
        self.latched.append((reason, who))

    def unlatch(self) -> None:
        self.unlatched += 1

    def on_end(self, tell: Callable[[Finished], None]) -> None:
        self.ended.append(tell)

    def begin(self, wanted: Wanted, reason: str) -> asyncio.Future[tuple[bool, str]]:
        self.begun.append((wanted, reason))
        self.told: asyncio.Future[tuple[bool, str]] = asyncio.get_running_loop().create_future()
        return self.told


class Bench:
    def __init__(self) -> None:
        self.account = AccountBench()
        self.account.start()
        self.losses = Losses()
        self.money = Money()
        self.recorded = OpenOrders()
        self.flattening = FakeFlattening()
        parts: Any = (self.account.requests, self.losses, self.money, self.recorded, self.flattening)
        self.commands = Commands("alice", [self.account.runner], *parts)

    def say(self, name: str, **args: Any) -> dict[str, Any]:
        return answer_to({"name": name, "args": args}, self.commands, "trading")


async def test_pause_stops_new_orders_and_leaves_those_that_rest() -> None:
    bench = Bench()
    bench.account.runner.on_ticker(ticker())
    await settle()
    resting = len(bench.account.orders)
    assert bench.say("pause") == {"ok": True, "result": "1 paused"}
    assert bench.account.runner.risk_state.paused
    assert len(bench.account.orders) == resting > 0


@pytest.mark.parametrize("stop", ["pause", "halt", "liquidation"])
async def test_what_waits_to_be_sent_when_a_strategy_is_held_never_leaves(stop: str) -> None:
    """Orders waited for a slot while nothing was answered, and left 18 s after the pause."""
    bench = Bench()
    account, queue = bench.account, bench.account.context.executor.queue
    queue.free = 0
    account.runner.on_ticker(ticker())
    waiting = account.orders
    if stop == "pause":
        bench.say("pause")
    elif stop == "halt":
        account.runner.halt("a fault")
    else:
        account.runner.on_execution(account.taken(ExecType.BUST))
    queue.free = 4
    await account.clock.advance(5)
    assert account.gateway.sent == []
    assert waiting
    assert {order.state for order in waiting} == {"cancelled"}


async def test_pause_with_cancel_withdraws_them() -> None:
    bench = Bench()
    bench.account.runner.on_ticker(ticker())
    await settle()
    bench.say("pause", cancel=True, strategy="btc")
    assert {order.state for order in bench.account.orders} == {"pending_cancel"}


def test_resume_ends_pause_and_halt_and_lifts_the_loss_latch() -> None:
    bench = Bench()
    state = bench.account.runner.risk_state
    bench.account.runner.pause()
    bench.account.runner.halt("a fault")
    epoch = state.epoch
    assert bench.say("resume") == {"ok": True, "result": "1 active"}
    assert (state.paused, state.halted) == (False, "")
    assert state.epoch > epoch, "what was refused is worth another look"
    assert bench.losses.cleared == 1


def test_resume_of_one_strategy_leaves_the_loss_latch() -> None:
    bench = Bench()
    bench.account.runner.pause()
    bench.say("resume", strategy="btc")
    assert not bench.account.runner.risk_state.paused
    assert bench.losses.cleared == 0


@pytest.mark.parametrize("what", ["killed", "loss", "cap"])
def test_resume_of_one_strategy_says_when_its_account_stays_latched(what: str) -> None:
    """It said "1 active", and nothing traded."""
    bench = Bench()
    gate = bench.account.context.gate
    if what == "killed":
        gate.kill("enough", Who.OPERATOR)
    elif what == "loss":
        gate.latch_loss("enough")
    else:
        gate.braked(Brake(Stops.OPENS, "enough"))
    parts: Any = (bench.account.requests, bench.losses, bench.money, bench.recorded, bench.flattening)
    made: Any = Commands
    commands = made("alice", [bench.account.runner], *parts, latched=gate.account_latch)
    lifts = pasteable("resume alice")
    assert commands.run("resume", {"strategy": "btc"}) == (
        f"btc is not held any more, but its account is latched (enough): `{lifts}` lifts that"
    )
    assert commands.run("resume", {}) == "1 active"
    gate.braked(Brake(Stops.OPENS, "enough", passes=True))
    gate.unlatch()
    gate.latch_loss("")
    assert gate.account_latch() == "", "a brake that passes is no latch"


async def test_reduce_withdraws_what_opens_and_lets_closes_pass() -> None:
    bench = Bench()
    bench.account.runner.on_ticker(ticker())
    await settle()
    answer = bench.say("reduce", reason="margin")
    assert answer == {"ok": True, "result": "1 only reducing"}
    state = bench.account.runner.risk_state
    assert state.reducing == "only reducing by the operator: margin"
    assert {order.state for order in bench.account.orders} == {"pending_cancel"}
    assert not any(state.may_open(direction) for direction in Direction)
    bench.account.runner.on_ticker(ticker(50001))
    await settle()
    assert Refusal.REDUCING in bench.account.runner.placement.refusals
    bench.say("resume")
    assert not state.reducing


@pytest.mark.parametrize(
    ("name", "args", "wanted", "holds"),
    [
        ("cancel", {}, Wanted({"BTCUSDT": False}, others=Others.TOLD), {Hold.PAUSED}),
        (
            "cancel",
            {"leave_running": True, "foreign": True},
            Wanted({"BTCUSDT": False}, Terms(foreign=True), Others.CANCELLED),
            {Hold.NOT_READY},  # until it is over: the test below
        ),
        ("flatten", {"strategy": "btc"}, Wanted({"BTCUSDT": True}), {Hold.PAUSED}),
        (
            "flatten",
            {"band": "1.5", "market_after": "2", "foreign": True},
            Wanted({"BTCUSDT": True}, Terms(band=D("0.015"), market_after_s=2.0, foreign=True), Others.CLOSED),
            {Hold.PAUSED},
        ),
        ("kill", {"strategy": "btc"}, Wanted({"BTCUSDT": True}), {Hold.PAUSED, Hold.LATCHED}),
        ("kill", {"reason": "leaked"}, Wanted({"BTCUSDT": True}, others=Others.TOLD), {Hold.PAUSED}),
    ],
)
async def test_what_takes_long_holds_at_once_and_is_answered_when_it_is_over(
    name: str, args: dict[str, Any], wanted: Wanted, holds: set[Hold]
) -> None:
    bench = Bench()
    answer = bench.say(name, **args)
    assert bench.account.runner.risk_state.holds.held.keys() == holds, "in memory before anything else"
    assert [one for one, _ in bench.flattening.begun] == [wanted]
    of_account = name == "kill" and "strategy" not in args
    assert bench.flattening.latched == ([("killed by the operator: leaked", Who.OPERATOR)] if of_account else [])
    assert answer["result"] is bench.flattening.told
    assert told(True, "flat") == {"ok": True, "result": "flat"}
    assert told(False, "NOT flat") == {"ok": False, "unanswered": True, "error": "NOT flat"}


async def test_nothing_is_resumed_while_it_is_being_closed() -> None:
    bench = Bench()
    bench.say("flatten")
    bench.flattening.busy = {"BTCUSDT": True}
    assert "expected nothing under way for BTCUSDT" in bench.say("resume")["error"]
    assert bench.account.runner.risk_state.paused
    bench.flattening.busy = {}
    assert bench.say("resume")["ok"]
    assert bench.flattening.unlatched == 1


@case_table("args", [{"band": "0"}, {"band": "-1"}, {"band": "100"}, {"market_after": "soon"}])
def test_a_band_or_time_that_is_none_is_refused_and_changes_nothing(args: dict[str, Any]) -> None:
    bench = Bench()
    assert not bench.say("flatten", **args)["ok"]
    assert not bench.account.runner.risk_state.paused


def test_reconcile_posts_a_request() -> None:
    bench = Bench()
    assert bench.say("reconcile") == {"ok": True, "result": "under way"}
    assert take_reconcile(bench.account.requests) == "asked by the operator"


@pytest.mark.parametrize("name", ["pause", "resume"])
def test_an_unknown_strategy_is_refused_and_changes_nothing(name: str) -> None:
    bench = Bench()
    answer = bench.say(name, strategy="eth")
    assert answer == {"ok": False, "error": "expected a strategy of alice (btc), got 'eth'"}
    assert not bench.account.runner.risk_state.paused
    assert bench.losses.cleared == 0
    assert not bench.account.requests.wishes.reconcile


@case_table(
    ("name", "args", "error"),
    [
        ("reconcile", {"strategy": "btc"}, "expected no arguments for reconcile, got 'strategy'"),
        (
            "pause",
            {"cancle": True},
            "expected strategy, reason or cancel as an argument of pause, got 'cancle'",
        ),
        ("resume", {"cancel": True}, "expected strategy as an argument of resume, got 'cancel'"),
        (
            "zzzz",
            {"strategy": "eth"},
            f"expected {ALL}, correct or adopt, got 'zzzz'",
        ),
    ],
)
def test_an_argument_that_is_not_the_commands_is_refused_and_changes_nothing(name: str, args: Any, error: str) -> None:
    bench = Bench()
    answer = bench.say(name, **args)
    assert not answer["ok"]
    assert answer["error"].startswith(error)
    assert not bench.account.runner.risk_state.paused
    assert bench.losses.cleared == 0
    assert not bench.account.requests.wishes.reconcile


def test_every_command_for_workers_has_its_handler_and_every_handler_its_command() -> None:
    assert list(Bench().commands.handlers) == [command.name for command in WORKER_COMMANDS]


def test_arguments_that_are_no_object_are_refused_and_recorded() -> None:
    bench = Bench()
    message = {"name": "pause", "args": ["btc"]}
    answer = answer_to(message, bench.commands, "trading")
    assert answer["error"] == "expected the arguments of pause as an object, got ['btc']"
    assert record_of(message, answer).strategy == ""


def test_an_unknown_command_names_those_there_are() -> None:
    assert Bench().say("zzzz") == {
        "ok": False,
        "error": f"expected {ALL}, correct or adopt, got 'zzzz'",
    }


def test_a_worker_that_does_not_trade_yet_says_so() -> None:
    answer = answer_to({"name": "pause"}, None, "starting")
    assert answer["error"] == "expected a trading worker, it is starting; try again in a moment"
    assert all(command.needs_trading for command in WORKER_COMMANDS), "handlers exist only while it trades"


def test_a_command_is_recorded_with_its_arguments_and_what_came_of_it() -> None:
    message = {"name": "pause", "args": {"strategy": "btc", "cancel": True}}
    done = record_of(message, {"ok": True, "result": "1 paused"})
    assert (done.strategy, done.name, done.ok, done.result) == ("btc", "pause", True, "1 paused")
    assert done.args == '{"strategy":"btc","cancel":true}'
    failed = record_of({"name": "resume"}, {"ok": False, "error": "no"})
    assert (failed.strategy, failed.ok, failed.result, failed.args) == ("", False, "no", "{}")


async def test_a_paused_strategy_is_refused_at_the_gate() -> None:
    bench = Bench()
    bench.say("pause")
    bench.account.runner.on_ticker(ticker())
    assert bench.account.orders == []
    assert bench.account.runner.placement.refusals[Refusal.PAUSED] > 0
    assert bench.account.runner.risk_state.legs[Direction.LONG].size == 0


def test_correct_hands_the_figures_on_and_refuses_what_is_none() -> None:
    bench = Bench()
    assert bench.say("correct", as_of="7", figures='[{"exec_id": "e"}]') == {"ok": True, "result": "done"}
    assert bench.money.repaired == [(7, [{"exec_id": "e"}])]
    for figures in ("{}", "[1]", "nothing"):
        assert not bench.say("correct", as_of="7", figures=figures)["ok"]
    assert not bench.say("correct", as_of="new", figures="[]")["ok"]


def test_correct_has_orders_that_do_not_rest_asked_for() -> None:
    bench = Bench()
    held = OpenOrders()
    for link_id in ("known", "stale"):
        held.take(order_record(link_id, "partially_filled"))
    bench.recorded.take(order_record("known"))
    answer = bench.say("correct", as_of="0", orders=json.dumps(held.to_rows()))
    assert answer == {"ok": True, "result": "2 orders that do not rest are asked for"}
    states = {key: record.state for key, record in bench.recorded.by_key.items()}
    assert states == {"known": "open", "stale": "partially_filled"}
    assert take_reconcile(bench.account.requests) == "orders that are recorded as open do not rest"
    for odd in ('[{"symbol": "X"}]', "{}", "[1]", "nothing"):
        assert not bench.say("correct", as_of="0", orders=odd)["ok"]
    assert len(bench.recorded) == 2
    assert bench.say("correct", as_of="0") == {"ok": True, "result": "nothing to correct"}


@pytest.mark.parametrize("by_name", [True, False])
def test_a_strategy_that_could_not_start_is_paused_for_its_next_start_and_says_what_it_waits_for(by_name: bool) -> None:
    """The account was paused, and this strategy placed orders as soon as its symbol could be traded again."""
    bench = AccountBench()
    refused = RefusedStrategies([RefusedStrategy("eth", "ETHUSDT", "ETHUSDT is Closed")])
    data_dir = Path("/the data")
    parts: Any = (bench.requests, Losses(), None, None, FakeFlattening(), refused, data_dir)
    commands = Commands("alice", [bench.runner], *parts)
    args = {"strategy": "eth"} if by_name else {}
    assert commands.run("pause", args) == ("1 paused" if by_name else "2 paused")
    assert refused.held("eth") == "paused: paused by the operator"
    assert bench.runner.risk_state.paused is not by_name
    look = "`gridbot-supervisor restart alice --data-dir '/the data'` does so now"
    waits = f"eth is halted: ETHUSDT is Closed; it is looked at again each minute, {look}"
    assert commands.run("resume", args) == f"{0 if by_name else 1} active; {waits}"
    assert refused.held("eth") == ""
    with pytest.raises(LookupError, match=r"expected a strategy of alice \(btc, eth\), got 'et'"):
        commands.run("pause", {"strategy": "et"})
