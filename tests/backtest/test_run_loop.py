"""Simulated time: what is due runs by its time, then in the order in which it was asked for."""

from __future__ import annotations

import asyncio

import pytest

from gridbot.backtest.run_loop import RunClock, RunLoop
from gridbot.backtest.run_options import Latency, Options

MINUTE_US = 60_000_000


def made() -> RunLoop:
    return RunLoop(0)  # type: ignore[abstract]  # what it lacks would reach outside


def test_what_is_due_runs_by_time_then_in_the_order_it_was_asked_for():
    loop, seen = made(), []
    for when_us, name in ((30, "c"), (10, "a"), (30, "d"), (20, "b")):
        loop.at(when_us, seen.append, name)
    loop.at(25, seen.append, "never").cancel()
    loop.at(30, lambda: loop.at(5, seen.append, "what is late is due now"))
    while (due_us := loop.next_us()) is not None:
        loop.turn(due_us)
    assert seen == ["a", "b", "c", "d", "what is late is due now"]
    assert loop.now_us == 30


def test_the_exchange_is_made_ready_once_a_moment_and_the_worker_for_what_each_of_its_calls_is_about():
    loop, seen = made(), list[object]()
    loop.before_exchange, loop.before_worker = lambda: seen.append("exchange"), seen.append
    for number, about in enumerate((("A",), None)):
        loop.at(10, seen.append, number, about=about)
        loop.at(10, seen.append, number, of_exchange=True)
    assert loop.turn(10) == (True, True)
    assert seen == [("A",), 0, "exchange", 0, None, 1, 1]
    loop.at(20, seen.append, 2)
    assert loop.turn(20) == (False, True)


def test_what_a_call_asks_for_at_once_is_about_the_same_until_it_turns_out_to_be_about_all():
    loop, seen = made(), []
    loop.before_worker = seen.append
    loop.at(10, loop.call_soon, lambda: loop.call_soon(loop.widen), about=("A",))
    loop.at(10, loop.call_later, 1, seen.append, "a timer", about=("A",))
    loop.turn(10)
    assert seen == [("A",), ("A",), ("A",), ("A",), None]
    loop.turn(10 + 1_000_000)
    assert seen[5:] == [None, "a timer"]


def test_tasks_wait_in_simulated_time_also_within_another_loop():
    async def outer() -> list[float]:
        loop, seen = made(), []
        clock = RunClock(loop)

        async def wait() -> None:
            begin_s = clock.monotonic_s()
            await clock.sleep(60)
            seen.append(clock.monotonic_s() - begin_s)

        with loop.running():
            loop.create_task(wait())
            while (due_us := loop.next_us()) is not None:
                loop.turn(due_us)
        assert clock.wall_us() == MINUTE_US
        return seen

    assert asyncio.run(outer()) == [60.0]


def test_what_raises_is_kept_and_the_rest_goes_on():
    loop, seen = made(), []
    loop.at(1, lambda: 1 / 0)
    loop.at(1, seen.append, "after")
    loop.turn(1)
    assert seen == ["after"]
    assert "ZeroDivisionError" in loop.failures[0]


def test_a_latency_is_one_number_or_a_range_and_nothing_else():
    assert (str(Latency.parse("20")), str(Latency.parse("5-40"))) == ("20", "5-40")
    for wrong in ("soon", "40-5", "-3", "5-", "70000"):
        with pytest.raises(ValueError, match="expected"):
            Latency.parse(wrong)
    assert Options.with_latency(Latency(5, 15)).ticker_ms == 10
    assert Options(seed=3).as_json()["request_ms"] == "10"
    with pytest.raises(ValueError, match="sample_s"):
        Options(sample_s=0)
