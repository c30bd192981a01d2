"""What a worker says of a strategy: asked once in two seconds for all pages, and kept when no answer comes."""

from __future__ import annotations

import asyncio
import threading

from supervisor.control.control_client import Refused, Unanswered
from supervisor.web.strategy_asker import AGAIN_S, AT_A_TIME, MOST_KNOWN, StrategyAsker
from tests.supervisor.web.page_kit import PageKit


class Workers:
    """Answers for every strategy but `nobody`; while `hold` is set it waits."""

    def __init__(self):
        self.asked = []
        self.now = 100.0
        self.silent = False
        self.inside = self.most_inside = 0
        self.free = threading.Event()
        self.free.set()
        self._lock = threading.Lock()

    def __call__(self, account, strategy):
        with self._lock:
            self.asked.append((account, strategy))
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        assert self.free.wait(60)
        with self._lock:
            self.inside -= 1
        if strategy == "nobody":
            raise Refused("expected a strategy of alice (btc), got 'nobody'")
        if self.silent:
            raise Unanswered("the worker did not answer")
        return {"account": account, "strategies": [{"strategy": strategy, "number": len(self.asked)}]}

    def clock(self):
        return self.now


async def test_many_pages_are_one_question_and_an_answer_that_does_not_come_leaves_the_one_before():
    workers = Workers()
    asker = StrategyAsker(workers, workers.clock)
    answers = await asyncio.gather(*(asker.about("alice", "btc") for _ in range(20)))
    assert workers.asked == [("alice", "btc")]
    assert answers == [{"why": {"strategy": "btc", "number": 1}, "age_s": 0.0, "problem": ""}] * 20
    workers.now += AGAIN_S - 0.1
    assert (await asker.about("alice", "btc"))["why"]["number"] == 1
    workers.now += 0.1
    assert (await asker.about("alice", "btc"))["why"]["number"] == 2
    workers.silent = True
    workers.now += 5
    late = await asker.about("alice", "btc")
    assert late == {"why": {"strategy": "btc", "number": 2}, "age_s": 5.0, "problem": "the worker did not answer"}
    unknown = await asker.about("alice", "nobody")
    assert (unknown["why"], unknown["age_s"]) == (None, None)
    assert "expected a strategy of alice" in unknown["problem"]


async def test_few_are_asked_at_a_time_and_few_are_remembered():
    workers = Workers()
    asker = StrategyAsker(workers, workers.clock)
    workers.free.clear()
    waiting = [asyncio.ensure_future(asker.about("alice", f"s{n}")) for n in range(MOST_KNOWN + 5)]
    while len(workers.asked) < AT_A_TIME:
        await asyncio.sleep(0.005)
    workers.free.set()
    await asyncio.gather(*waiting)
    assert workers.most_inside <= AT_A_TIME
    assert len(asker._known) == MOST_KNOWN


async def test_the_server_asks_the_supervisor_and_needs_a_login(tmp_path):
    async with PageKit(tmp_path) as kit:
        assert await kit.status("GET", "/api/strategy/alice/alice-btc") == 401
        login = await kit.login()
        async with kit.request("GET", "/api/strategy/alice/alice-btc", login) as answer:
            told = await answer.json()
        assert (told["why"]["account"], told["why"]["strategy"], told["problem"]) == ("alice", "alice-btc", "")
        async with kit.request("GET", "/api/strategy/alice/..%2Fnobody", login) as answer:
            told = await answer.json()
        assert told["why"] is None
        assert "nobody" in told["problem"]
