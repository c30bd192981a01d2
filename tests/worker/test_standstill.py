"""Nothing leaves though orders are wanted: from when on that is told, and how often."""

from __future__ import annotations

import pytest

from gridbot.core import Direction
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.incidents import Name
from gridbot.orders.outcomes import OrderOutcome, OrderResult
from gridbot.risk.refusals import Refusal
from gridbot.worker.account_records import AccountRecords
from gridbot.worker.standstill import EXPECTED, STANDS_S, TOLD_BY, WAITING, Standstill, Wishes, hinders, step, untold
from tests.execution.support import failure, settle
from tests.worker.account_bench import AccountBench, ticker

WANTED: Wishes = {("a", "insufficient_balance"): 2, ("b", "insufficient_balance"): 1, ("", WAITING): 1}


def after(*seconds: tuple[float, int, bool]) -> list[Standstill]:
    """The states after these (time, creates that have left, whether orders are wanted)."""
    states = [Standstill()]
    for now_s, sent, wanted in seconds:
        states.append(step(states[-1], WANTED if wanted else {}, sent, now_s))
    return states[1:]


def test_it_stands_once_the_time_is_over() -> None:
    states = after((0, 1, True), (STANDS_S - 1, 1, True), (STANDS_S, 1, True), (60, 1, True))
    assert [bool(state.why) for state in states] == [False, False, True, True]
    assert states[2].why == (
        "nothing was sent for 45 s though orders are wanted: 3 insufficient_balance, 1 waiting to be sent"
    )


def test_an_order_that_leaves_or_no_wish_ends_it() -> None:
    assert after((0, 1, True), (40, 2, True), (60, 2, True))[-1].why == ""
    assert after((0, 1, True), (40, 1, False), (50, 1, True), (80, 1, True))[-1].why == ""
    assert after((0, 1, False), (100, 1, True))[-1].why == ""


def test_a_wish_whose_obstacle_an_incident_names_is_told_already() -> None:
    wanted: Wishes = {("a", "breaker_open"): 1, ("b", "breaker_open"): 2, ("a", "not_ready"): 3, ("", WAITING): 4}
    assert untold(wanted, ()) == wanted
    assert untold(wanted, [Name("refused.BTCUSDT", "a")]) == {
        ("b", "breaker_open"): 2,
        ("a", "not_ready"): 3,
        ("", WAITING): 4,
    }
    assert ("", WAITING) not in untold(wanted, [Name("ip_ban")])
    cooling: Wishes = {("a", "auth_cooldown"): 1}
    assert untold(cooling, [Name("auth")]) == {}
    assert untold(cooling, [Name("refused.BTCUSDT", "a"), Name("cap.a.max_margin")]) == cooling


def test_what_is_told_by_another_incident_is_not_expected() -> None:
    """Health has a reason all the same."""
    assert not EXPECTED & TOLD_BY.keys()


@pytest.mark.parametrize("rests", [False, True])
def test_a_cap_hinders_when_it_leaves_no_room_for_any_order(*, rests: bool) -> None:
    assert hinders(Refusal.MAX_NOTIONAL, rests=rests) is not rests
    assert hinders(Refusal.FUNDS, rests=rests)
    assert not hinders(Refusal.PAUSED, rests=rests)


class Bench:
    """An account whose state is looked at once a second."""

    def __init__(self) -> None:
        self.account = AccountBench()
        self.account.start()
        runners = {"BTCUSDT": self.account.runner}
        self.records = AccountRecords(self.account.notes, self.account.context, runners)  # type: ignore[arg-type]

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.account.runner.set_price(ticker())
            self.records.record_state()
            self.account.clock.now_s += 1

    def hold(self, refusal: Refusal, levels: int) -> None:
        """The last decision left these levels without an order."""
        self.account.runner.placement._refused = {(Direction.LONG, ticks): refusal for ticks in range(levels)}

    @property
    def open(self) -> set[str]:
        return {row["key"] for row in self.account.alarm.rows()}


def test_a_ban_is_one_incident_and_a_reason_against_health() -> None:
    """It was two: the ban, and 45 s later that nothing is sent."""
    bench = Bench()
    account = bench.account
    account.context.executor.queue.budget.failed("order/create", failure(ErrorKind.IP_BAN), account.clock.now_s)
    account.runner.on_ticker(ticker())
    bench.pass_time(60)
    assert WAITING in bench.records.standstill.why
    assert bench.open == {"ip_ban"}
    account.runner.pause()
    bench.pass_time(1)
    assert bench.records.standstill.why == "", "an operator wants it so"


async def test_orders_that_are_refused_in_a_row_are_one_incident_while_breakers_hold_their_levels() -> None:
    bench = Bench()
    account, passage = bench.account, bench.account.context.passage
    account.runner.on_ticker(ticker())
    await settle()
    creates = list(account.orders)
    error = make_error("not on the tick", ErrorKind.PARAM, ret_code=10001)
    for order in creates:
        for _ in range(3):
            passage.answered(order, OrderResult(OrderOutcome.REJECTED, error=error))
    bench.hold(Refusal.BREAKER_OPEN, len(creates))
    bench.pass_time(60)
    assert f"{len(creates)} breaker_open" in bench.records.standstill.why
    assert bench.open == {"refused.BTCUSDT"}


async def test_what_no_other_incident_tells_is_a_standstill() -> None:
    bench = Bench()
    bench.account.runner.on_ticker(ticker())
    await settle()
    bench.hold(Refusal.POSITION_UNSURE, 2)
    bench.pass_time(60)
    assert bench.open == {"standstill"}
