"""How long requests took and what was answered, as the executor counts them."""

from __future__ import annotations

from gridbot.exchange.answer_counts import KNOWN_MOST
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.execution.request_counts import ANSWER_S, REQUEST_S, RequestCounts, TimeBuckets
from tests.execution.support import START_S, Bench, failure


def test_a_bound_belongs_to_its_bucket() -> None:
    times = TimeBuckets((0.1, 0.2))
    for seconds in (0.0, 0.1, 0.15, 0.2, 0.21, 9.0):
        times.took(seconds)
    assert times.counts == [2, 2, 2]
    assert times.document() == {"counts": [2, 2, 2], "total_s": 9.66}


def test_codes_have_an_end() -> None:
    counts = RequestCounts()
    errors = [make_error("m", ErrorKind.RETRY, ret_code=code) for code in range(KNOWN_MOST + 40)]
    strange = make_error("m", ErrorKind.AMBIGUOUS, ret_code=987654, is_unknown=True)
    counts.answered(
        "create", (0, 0), 5, [None, *errors, strange, make_error("m", ErrorKind.AMBIGUOUS, http_status=502)]
    )
    assert sum(counts.answers.values()) == KNOWN_MOST + 43
    assert len(counts.answers) <= KNOWN_MOST + 1
    counts = RequestCounts()
    counts.answered("cancel", (0, 10), 5, [strange, failure(ErrorKind.AMBIGUOUS), None, None])
    assert counts.document()["ret_codes"] == {"other": 1, "none": 1, "0": 2}
    assert counts.to_answer["cancel"].total_s == 0.0, "a clock that went back took no time"
    assert sum(counts.through.counts) == 0, "no frame caused it"
    counts.answered("create", (1_000_000, 2_000_000), 9_000_000, [None])
    assert (counts.through.counts[ANSWER_S.index(0.01)], counts.through.total_s) == (1, 0.008)
    for kind, moments in (("cancel", (1, 2)), ("create", (0, 2)), ("create", (3, 2)), ("create", (1, 99))):
        counts.answered(kind, moments, 50, [None])
    assert sum(counts.through.counts) == 1, "cancels, no frame, and clocks that went back are not counted"


async def test_only_what_leaves_with_its_decision_is_timed_from_the_frame() -> None:
    bench = Bench()
    executor = bench.executor
    now_ns = int(START_S * 1e9)
    executor.trace.begin(now_ns - 150_000)
    with executor.batch:
        bench.place("a", "b")
    await bench.clock.advance(0)
    bench.place("later")
    await bench.pump()
    counts = executor.counts
    assert counts.to_request.counts[REQUEST_S.index(0.0002)] == sum(counts.to_request.counts) == 1
    assert sum(counts.to_answer["create"].counts) == 2
    assert sum(counts.through.counts) == 1
    assert counts.answers == {"0": 3}


async def test_an_answer_is_timed_and_counted_by_its_code() -> None:
    bench = Bench()
    bench.gateway.answers = {"a": make_error("no money", ErrorKind.BALANCE, ret_code=110007)}
    bench.place("a")
    await bench.pump()
    bench.cancel("c")
    await bench.pump()
    counts = bench.executor.counts
    assert counts.answers == {"110007": 1, "0": 1}
    assert [sum(times.counts) for times in counts.to_answer.values()] == [1, 1]
    assert len(counts.to_answer["create"].counts) == len(ANSWER_S) + 1
