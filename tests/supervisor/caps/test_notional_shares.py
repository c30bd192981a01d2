"""How accounts share a cap on notional: never more than there is, whatever the workers do between two messages."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gridbot.risk.fleet_share import FleetShare
from supervisor.caps.notional_shares import Gone, Limit, Said, Shares, Tell, step
from tests.examples import examples

D = Decimal
SCOPE = "fleet/paper"


def shares(limit: int, *names: str, **bounds: int) -> Shares:
    state = Shares(names, {name: D(bound) for name, bound in bounds.items()})
    step(state, Limit(D(limit)))
    return state


def said(state: Shares, name: str, used: int, short: int = 0, *, acks: bool = True) -> list[str]:
    """A worker that has done what it was told, unless it has not read it yet."""
    member = state.members[name]
    kept, number = (member.share, member.number) if acks else (member.bound or D(0), 0)
    return [each.name for each in step(state, Said(name, D(used), D(short), max(kept, D(used)), number))]


def test_who_wants_more_gets_it_while_there_is_some() -> None:
    state = shares(1000, "a", "b")
    assert said(state, "a", 0, 300) == ["a"]
    assert state.members["a"].share == 315, "a little ahead"
    assert said(state, "b", 0, 900) == ["b"]
    assert state.members["b"].share == 685, "what is left"
    assert state.free == 0


def test_one_that_is_not_known_counts_with_its_even_part_or_with_what_it_was_lent_before() -> None:
    state = shares(900, "a", "b", "c", c=700)
    assert [state.lent(name) for name in "abc"] == [300, 300, 700]
    assert said(state, "a", 0, 100) == [], "300 and 700 count"
    assert said(state, "c", 650, acks=False) == []
    assert step(state, Said("c", D(500), D(0), D(0), 0)) == [Tell("a")], "the next life says what is there"
    assert state.members["a"].share == 100


def test_what_is_not_used_is_asked_back_for_who_is_below_its_even_part_and_counts_until_it_is_given() -> None:
    state = shares(1000, "a", "b")
    said(state, "b", 0)
    said(state, "a", 0, 1000)
    assert state.members["a"].share == 1000
    assert said(state, "a", 200) == [], "nobody wants it"
    assert said(state, "b", 0, 400, acks=False) == ["a"]
    assert (state.members["a"].share, state.lent("a"), state.members["b"].share) == (600, 1000, 0)
    assert said(state, "b", 0, 400, acks=False) == [], "it is asked once"
    assert said(state, "a", 200) == ["b"]
    assert state.members["b"].share == 400


def test_nobody_is_asked_for_what_is_used_nor_above_the_even_part() -> None:
    state = shares(1000, "a", "b")
    said(state, "b", 0)
    said(state, "a", 900, 100)
    said(state, "a", 900)
    assert said(state, "b", 0, 500) == ["a"], "for the 100 that it does not use"
    assert said(state, "a", 900) == ["b"]
    assert state.members["b"].share == 100
    assert said(state, "b", 100, 400) == []
    assert said(state, "a", 600) == ["a"], "what it does not use any more"
    assert said(state, "a", 600) == ["b"]
    assert said(state, "b", 400, 500, acks=True) == [], "nobody has any left to give"


def test_the_share_of_a_dead_worker_counts_until_the_next_one_says_what_is_used() -> None:
    state = shares(1000, "a", "b")
    said(state, "b", 0)
    said(state, "a", 0, 800)
    step(state, Gone("a"))
    assert (state.lent("a"), state.members["a"].share) == (840, 0)
    assert said(state, "b", 0, 600) == ["b"]
    assert state.members["b"].share == 160
    assert step(state, Said("a", D(300), D(0), D(0), 0)) == [Tell("a"), Tell("b")]
    assert (state.members["a"].share, state.members["b"].share) == (315, 630)


def test_what_a_worker_keeps_beyond_what_it_was_told_counts_until_it_gives_it_back() -> None:
    state = shares(1000, "a", "b")
    said(state, "b", 0)
    said(state, "a", 0, 300)
    number = state.members["a"].number
    step(state, Said("a", D(50), D(0), D(400), number))
    assert state.lent("a") == 400


def test_positions_above_the_cap_leave_nothing_to_lend() -> None:
    state = shares(100, "a", "b")
    said(state, "a", 150, 50)
    assert (state.members["a"].share, state.free) == (0, -100)
    assert said(state, "b", 0, 10) == []
    assert step(state, Limit(D(400))) == [Tell("a"), Tell("b")]
    assert step(state, Limit(D(400))) == []


class Burst(RuleBasedStateMachine):
    """Workers place as much as they may, messages are late, processes die: the sum is never above the cap.

    A worker is a `FleetShare`, which the gate asks; its orders outlive it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names = ["a", "b", "c"]
        self.limit = D(1000)
        self.used = dict.fromkeys(self.names, D(0))
        self.workers: dict[str, FleetShare | None] = dict.fromkeys(self.names, None)
        self.state = Shares(self.names)
        self.to_worker: dict[str, deque[dict[str, Any]]] = {name: deque() for name in self.names}
        self.to_supervisor: dict[str, deque[dict[str, Any]]] = {name: deque() for name in self.names}

    @initialize(used=st.lists(st.integers(0, 300), min_size=3, max_size=3))
    def begin(self, used: list[int]) -> None:
        """Positions of earlier days, which the first reports tell."""
        step(self.state, Limit(self.limit))
        self.used = dict(zip(self.names, map(D, used), strict=True))
        for name in self.names:
            self.launch(name)
            self.worker_says(name, 0)
        for name in self.names:
            self.supervisor_reads(name)

    def launch(self, name: str) -> None:
        self.workers[name] = FleetShare({SCOPE: True})
        self.to_worker[name].clear()
        self.to_supervisor[name].clear()

    def tell(self, names: list[str]) -> None:
        for name in names:
            member = self.state.members[name]
            word = {"shares": {SCOPE: [str(member.share), member.number]}, "held": {}, "resumes": 0}
            if self.workers[name] is not None:
                self.to_worker[name].append(word)

    @rule(name=st.sampled_from("abc"), wanted=st.integers(1, 900))
    def it_places(self, name: str, wanted: int) -> None:
        worker = self.workers[name]
        if worker is not None and self.used[name] + wanted <= (worker.share(0.0) or D(0)):
            event("placed")
            self.used[name] += wanted

    @rule(name=st.sampled_from("abc"))
    def it_places_all_it_may(self, name: str) -> None:
        worker = self.workers[name]
        if worker is not None:
            self.used[name] = max(self.used[name], worker.share(0.0) or D(0))

    @rule(name=st.sampled_from("abc"), part=st.integers(0, 10))
    def it_reduces(self, name: str, part: int) -> None:
        self.used[name] = self.used[name] * part / 10

    @rule(name=st.sampled_from("abc"), short=st.integers(0, 1500))
    def worker_says(self, name: str, short: int) -> None:
        worker = self.workers[name]
        if worker is not None:
            self.to_supervisor[name].append({**worker.said(), "used": self.used[name], "short": D(short)})

    @rule(name=st.sampled_from("abc"))
    def supervisor_reads(self, name: str) -> None:
        if self.to_supervisor[name]:
            message = self.to_supervisor[name].popleft()
            kept, number = message["shares"][SCOPE]
            done = step(self.state, Said(name, message["used"], message["short"], D(kept), number))
            self.tell([each.name for each in done])

    @rule(name=st.sampled_from("abc"))
    def worker_reads(self, name: str) -> None:
        worker = self.workers[name]
        if worker is not None and self.to_worker[name]:
            worker.hear(self.to_worker[name].popleft(), self.used[name], 0.0)

    @rule(name=st.sampled_from("abc"))
    def it_is_told_again(self, name: str) -> None:
        self.tell([name])

    @rule(first=st.sampled_from("abc"), second=st.sampled_from("abc"), reads=st.booleans())
    def one_is_asked_for_what_it_uses_meanwhile(self, first: str, second: str, reads: bool) -> None:
        """Who has the most is asked to keep less, and places all it may before it has read that, or just after."""
        if first == second or self.workers[first] is None or self.workers[second] is None:
            return
        self.it_places_all_it_may(first)
        for name in (first, second, second):
            self.worker_says(name, 900)
            while self.to_supervisor[name]:
                self.supervisor_reads(name)
            while self.to_worker[name]:
                self.worker_reads(name)
        if reads:
            while self.to_worker[first]:
                self.worker_reads(first)
            self.worker_says(first, 0)
            self.it_reduces(first, 2)
            for name in (first, second):
                while self.to_supervisor[name]:
                    self.supervisor_reads(name)
                self.worker_says(second, 900)
            while self.to_worker[second]:
                self.worker_reads(second)
        self.it_places_all_it_may(first)
        self.it_places_all_it_may(second)

    @precondition(lambda self: any(self.workers.values()))
    @rule(name=st.sampled_from("abc"))
    def it_dies(self, name: str) -> None:
        """What it has said is read first, as the supervisor does."""
        if self.workers[name] is not None:
            event("died")
            while self.to_supervisor[name]:
                self.supervisor_reads(name)
            self.workers[name] = None
            step(self.state, Gone(name))

    @rule(name=st.sampled_from("abc"))
    def it_lives_again(self, name: str) -> None:
        if self.workers[name] is None:
            self.launch(name)

    @rule()
    def all_is_said_and_read(self) -> None:
        """Time passes: everything arrives, and what somebody lacks is there unless others use it."""
        for _ in range(6):
            for name in self.names:
                if self.workers[name] is None:
                    self.launch(name)
                self.worker_says(name, 400)
            for name in self.names:
                while self.to_supervisor[name]:
                    self.supervisor_reads(name)
            for name in self.names:
                while self.to_worker[name]:
                    self.worker_reads(name)
        even = self.limit / 3
        if sum(self.used.values()) + D(400) <= self.limit:
            for name in self.names:
                worker = self.workers[name]
                assert worker is not None
                share = worker.share(0.0) or D(0)
                assert share >= min(self.used[name] + 400, even) or sum(self.used.values()) > self.limit - 400 * 3

    @invariant()
    def the_sum_is_never_above_the_cap(self) -> None:
        assert sum(self.used.values()) <= self.limit

    @invariant()
    def what_counts_as_lent_is_what_workers_may_use_at_least(self) -> None:
        for name, worker in self.workers.items():
            may_use = worker.share(0.0) if worker is not None else None
            assert self.state.lent(name) >= max(may_use or D(0), min(self.used[name], self.state.lent(name)))
        known = [name for name in self.names if self.state.members[name].bound is not None]
        assert sum(self.state.lent(name) for name in known) <= self.limit


Burst.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=25, deadline=None)
TestBurst = Burst.TestCase
