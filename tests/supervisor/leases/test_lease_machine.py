"""Supervisor and workers, with everything that can go wrong between them: whatever hypothesis does, the exchange never
has more requests in its window than the address may send, and whoever wants one gets its turn in the end.

What is assumed (`gridbot/budget/request_permits.py`): a request has arrived when its answer comes; one that was lost
arrives within `LATE_S`, and what a dead process has sent within as much. Messages come in their order, or never.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gridbot.budget.request_permits import REST_S, UNSURE_REST_S, WINDOW_S, Purpose, RequestPermits
from supervisor.leases.request_leases import DEAD_REST_S, Came, Event, Gone, Leases, Said, Tick, step
from tests.examples import examples

ACCOUNTS = ("ada", "bob", "cyd")
GUESTS = ("a guest", "another")
NAMES = (*ACCOUNTS, *GUESTS)
LATE_S = min(UNSURE_REST_S, DEAD_REST_S) - WINDOW_S - 0.1
ORPHANS_S = 3.0
PURPOSES = st.sampled_from([purpose for purpose in Purpose if purpose is not Purpose.AHEAD])


@dataclass
class Worker:
    """`inbox` are messages on their way to it, `under_way` when its requests have left."""

    permits: RequestPermits = field(default_factory=RequestPermits)
    inbox: list[tuple[int, int | None]] = field(default_factory=list)
    under_way: list[float] = field(default_factory=list)


class Lending(RuleBasedStateMachine):
    """The machine is time, the pipes, the exchange and death."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.workers: dict[str, Worker] = {}
        self.outbox: list[Event] = []
        """On their way to the supervisor."""
        self.arrived: list[float] = []

    @initialize(limit=st.integers(2, 30), spare=st.integers(1, 8))
    def begin(self, limit: int, spare: int) -> None:
        self.leases = Leases(limit, ACCOUNTS, self.now_s, spare)

    def teardown(self) -> None:
        """Let all workers want something: within a minute each has had it."""
        if not hasattr(self, "leases"):
            return
        while self.outbox:
            self.hear()
        for name in NAMES:
            self.start(name)
        waiting = set(NAMES)
        for worker in self.workers.values():
            for purpose in Purpose:
                worker.permits.waits(purpose, int(purpose is Purpose.QUERY), self.now_s)
        for _ in range(600):
            self.pass_time(0.1)
            for name, worker in self.workers.items():
                while worker.under_way:
                    self.answer(name, 1.0)
                self.look(name)
                if name in waiting and worker.permits.may(Purpose.QUERY, self.now_s):
                    self.send(name, Purpose.QUERY)
                    worker.permits.waits(Purpose.QUERY, 0, self.now_s)
                    waiting.discard(name)
            while self.outbox:
                self.hear()
            self.tick()
            for name, worker in self.workers.items():
                while worker.inbox:
                    self.deliver(name)
            if not waiting and self.lent == self.had:
                break
        assert waiting == set(), "they wait for ever"
        self.never_too_many()
        assert self.lent == self.had, "both know the same again"

    @property
    def lent(self) -> int:
        """Permits that the supervisor has lent, as it knows."""
        return sum(one.held for one in self.leases.members.values())

    @property
    def had(self) -> int:
        """Permits that the workers have, as they know."""
        return sum(worker.permits.held for worker in self.workers.values())

    # ------------------------------------------------------------------ time and messages

    @rule(seconds=st.floats(0.01, 4.0))
    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def tick(self) -> None:
        self._step(Tick())

    @rule()
    @precondition(lambda self: self.outbox)
    def hear(self) -> None:
        """The supervisor reads the next message, or sees the next death."""
        self._step(self.outbox.pop(0))

    @rule(data=st.data())
    @precondition(lambda self: any(isinstance(event, Said) for event in self.outbox))
    def lose_what_was_said(self, data: st.DataObject) -> None:
        said = [index for index, event in enumerate(self.outbox) if isinstance(event, Said)]
        del self.outbox[data.draw(st.sampled_from(said))]

    @rule(name=st.sampled_from(NAMES), lost=st.booleans())
    def deliver(self, name: str, lost: bool = False) -> None:
        worker = self.workers.get(name)
        if worker is not None and worker.inbox:
            lent, keep = worker.inbox.pop(0)
            if not lost:
                floor, ahead = (0, 0) if name in GUESTS else (self.leases.floor, self.leases.ahead)
                worker.permits.leased(lent, keep, floor, ahead, self.now_s)

    # ------------------------------------------------------------------ workers

    @rule(name=st.sampled_from(NAMES))
    def start(self, name: str) -> None:
        gone_is_heard = not any(isinstance(event, Gone) and event.name == name for event in self.outbox)
        if name not in self.workers and gone_is_heard:
            self.workers[name] = Worker()
            if name in GUESTS:
                self.outbox.append(Came(name))
            self.look(name)

    @rule(name=st.sampled_from(NAMES))
    def look(self, name: str) -> None:
        """It gives back what it does not need, and says what it wants."""
        worker = self.workers.get(name)
        if worker is not None:
            permits = worker.permits
            permits.give_back(self.now_s)
            self.outbox.append(Said(name, permits.lent, permits.returned, permits.wants(self.now_s)))

    @rule(name=st.sampled_from(NAMES), purpose=PURPOSES, count=st.integers(0, 40))
    def want(self, name: str, purpose: Purpose, count: int) -> None:
        worker = self.workers.get(name)
        if worker is not None:
            worker.permits.waits(purpose, count, self.now_s)
            self.look(name)

    @rule(name=st.sampled_from(NAMES), purpose=PURPOSES, count=st.integers(1, 12))
    def send_some(self, name: str, purpose: Purpose, count: int) -> None:
        for _ in range(count):
            self.send(name, purpose)

    def send(self, name: str, purpose: Purpose) -> None:
        worker = self.workers.get(name)
        if worker is not None and worker.permits.may(purpose, self.now_s):
            worker.permits.take(purpose, self.now_s)
            worker.under_way.append(self.now_s)

    @rule(name=st.sampled_from(NAMES), when=st.floats(0, 1))
    def answer(self, name: str, when: float) -> None:
        """The request had arrived at any time before its answer."""
        worker = self.workers.get(name)
        if worker is not None and worker.under_way:
            left_s = worker.under_way.pop(0)
            self.arrived.append(left_s + when * (self.now_s - left_s))
            worker.permits.done(self.now_s, answered=True)

    @rule(name=st.sampled_from(NAMES), late_s=st.floats(0, LATE_S))
    def lose(self, name: str, late_s: float) -> None:
        """No answer: it arrives late, or never did any harm."""
        worker = self.workers.get(name)
        if worker is not None and worker.under_way:
            worker.under_way.pop(0)
            self.arrived.append(self.now_s + late_s)
            worker.permits.done(self.now_s, answered=False)

    @rule(name=st.sampled_from(NAMES), late_s=st.floats(0, LATE_S))
    def die(self, name: str, late_s: float) -> None:
        """What it had said is still in the pipe; what it had sent still arrives."""
        worker = self.workers.pop(name, None)
        if worker is not None:
            self.arrived += [self.now_s + late_s for _ in worker.under_way]
            self.outbox.append(Gone(name))

    @rule(late_s=st.floats(0, ORPHANS_S))
    def another_supervisor(self, late_s: float) -> None:
        """It is killed; its workers go on for a moment, and another one begins on what it has left."""
        used, limit = self.leases.limit - self.leases.pool, self.leases.limit
        of_spare, spare = self.leases.spare - self.leases.spare_left, self.leases.spare
        for worker in self.workers.values():
            while worker.permits.may(Purpose.CANCEL, self.now_s):
                worker.permits.take(Purpose.CANCEL, self.now_s)
                self.arrived.append(self.now_s + late_s)
            self.arrived += [self.now_s + late_s for _ in worker.under_way]
        self.workers.clear()
        self.outbox.clear()
        self.leases = Leases(limit, ACCOUNTS, self.now_s, spare)
        self.leases.inherit(used, of_spare, self.now_s + ORPHANS_S + REST_S)

    # ------------------------------------------------------------------ what holds

    @invariant()
    def every_permit_is_somewhere(self) -> None:
        if not hasattr(self, "leases"):
            return
        state = self.leases
        held = {name: one.held for name, one in state.members.items()}
        resting = sum(count for _, _, count in state.resting)
        assert state.pool + state.spare_left + sum(held.values()) + resting == state.limit + state.spare
        assert state.pool >= 0
        assert 0 <= state.spare_left <= state.spare
        of_accounts = sum(held.get(name, 0) for name in ACCOUNTS)
        assert of_accounts + state.pool <= state.limit, "accounts never have what is spare"
        for name, worker in self.workers.items():
            assert 0 <= worker.permits.held <= held.get(name, 0), "nobody has what it was not lent"

    @invariant()
    def never_too_many(self) -> None:
        """In no window, whichever request is its last; those of the same moment are in it together."""
        arrived = sorted(self.arrived)
        for end_s in arrived:
            count = bisect_right(arrived, end_s) - bisect_right(arrived, end_s - WINDOW_S)
            assert count <= self.leases.limit + self.leases.spare, f"{count} requests in a window of {self.leases}"

    def _step(self, event: Event) -> None:
        for effect in step(self.leases, event, self.now_s):
            worker = self.workers.get(effect.name)
            if worker is not None:
                worker.inbox.append((effect.lent, effect.keep))


TestLending = Lending.TestCase
TestLending.settings = settings(max_examples=examples(60), stateful_step_count=60, deadline=None)
