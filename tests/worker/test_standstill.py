"""Nothing leaves though orders are wanted: from when on that is told, and how often."""

from __future__ import annotations

from gridbot.exchange.failures import ErrorKind
from gridbot.worker.account_records import AccountRecords
from gridbot.worker.standstill import STANDS_S, Standstill, step
from tests.execution.support import failure
from tests.worker.account_bench import AccountBench, ticker

WANTED = {"insufficient_balance": 3, "waiting to be sent": 1}


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


def test_a_ban_is_a_standstill_until_an_operator_wants_it_so() -> None:
    """What the orders wait for is told, whatever it is."""
    account = AccountBench()
    account.start()
    context = account.context
    records = AccountRecords(account.notes, context, {"BTCUSDT": account.runner})  # type: ignore[arg-type]
    context.executor.queue.budget.failed("order/create", failure(ErrorKind.IP_BAN), account.clock.now_s)
    account.runner.on_ticker(ticker())
    for _ in range(60):
        records.record_state()
        account.clock.now_s += 1
    assert "waiting to be sent" in records.standstill.why
    assert {"ip_ban", "standstill"} <= {row["key"] for row in account.alarm.rows()}
    account.runner.pause()
    records.record_state()
    assert records.standstill.why == ""
