"""Nothing leaves though orders are wanted: from when on that is told, and how often."""

from __future__ import annotations

from gridbot.worker.standstill import STANDS_S, TOLD_AGAIN_S, Standstill, step

WANTED = {"insufficient_balance": 3, "waiting to be sent": 1}


def after(*seconds: tuple[float, int, bool]) -> list[Standstill]:
    """The states after these (time, creates that have left, whether orders are wanted)."""
    states = [Standstill()]
    for now_s, sent, wanted in seconds:
        states.append(step(states[-1], WANTED if wanted else {}, sent, now_s))
    return states[1:]


def test_it_is_told_once_the_time_is_over_and_again_much_later() -> None:
    states = after(
        (0, 1, True), (STANDS_S - 1, 1, True), (STANDS_S, 1, True), (60, 1, True), (STANDS_S + TOLD_AGAIN_S, 1, True)
    )
    assert [bool(state.why) for state in states] == [False, False, True, True, True]
    assert [state.is_news for state in states] == [False, False, True, False, True]
    assert states[2].why == (
        "nothing was sent for 45 s though orders are wanted: 3 insufficient_balance, 1 waiting to be sent"
    )


def test_an_order_that_leaves_or_no_wish_ends_it() -> None:
    assert after((0, 1, True), (40, 2, True), (60, 2, True))[-1].why == ""
    assert after((0, 1, True), (40, 1, False), (50, 1, True), (80, 1, True))[-1].why == ""
    assert after((0, 1, False), (100, 1, True))[-1].why == ""


def test_a_second_standstill_soon_after_the_first_is_no_news_but_a_reason() -> None:
    last = after((0, 1, True), (50, 1, True), (60, 2, True), (110, 2, True))[-1]
    assert (bool(last.why), last.is_news) == (True, False)
