"""The restart policy under everything there is, in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisor.children.policy import step
from supervisor.children.policy_types import (
    TRANSITIONS,
    ChildState,
    Do,
    Exited,
    LaunchFailed,
    ProcessState,
    Ready,
    Report,
    Restart,
    RestartPolicy,
    Seen,
    Stalled,
    Start,
    Stop,
)
from tests.examples import examples

P = ProcessState
TINY = 1e-6  # sums of floats


class Machine(RuleBasedStateMachine):
    """A shell that does what it is told, and checks that what it is told makes sense."""

    def __init__(self):
        super().__init__()
        self.policy = RestartPolicy(stop_timeout=5, heartbeat_timeout=4, start_timeout=8)
        self.now = 1.0
        self.state = ChildState()
        self.living = False
        self.wanted = False

    def feed(self, *events, jitter=0.0):
        before = self.state
        self.state, actions = step(self.now, before, events, policy=self.policy, jitter=jitter)
        for action in actions:
            if action is Do.LAUNCH:
                assert not self.living, "two processes of one child"
                assert self.wanted, "started although it was told to stop"
                self.living = True
            elif isinstance(action, Do):
                if action in (Do.KILL, Do.ABORT):
                    assert self.state.killed_for, "killed, and nobody can say why"
                assert self.living, f"{action} to a process that is not there"
        if len(events) <= 1 and before.process is not self.state.process:
            path = {before.process} | TRANSITIONS[before.process]
            reachable = path | {after for via in path for after in TRANSITIONS[via]}
            assert self.state.process in reachable

    @rule()
    def start(self):
        self.wanted = True
        self.feed(Start())

    @rule(force=st.booleans())
    def stop(self, force):
        self.wanted = False
        self.feed(Stop(force=force))

    @precondition(lambda self: self.wanted)
    @rule()
    def restart(self):
        self.feed(Restart())

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0, 10.0, 70.0]))
    def wait(self, seconds):
        self.now += seconds
        self.feed()

    @precondition(lambda self: self.living)
    @rule(ready=st.booleans())
    def speak(self, ready):
        self.feed(Ready() if ready else Report())

    @precondition(lambda self: self.living)
    @rule(
        seconds=st.sampled_from([0.1, 1.0, 3.0]),
        ran=st.floats(0, 20),
        waited=st.floats(0, 20),
        on_disk=st.booleans(),
    )
    def look(self, seconds, ran, waited, on_disk):
        self.now += seconds
        self.feed(Seen(ran, waited, on_disk=on_disk))

    @rule()
    def stall(self):
        self.now += 30
        self.feed(Stalled())
        assert not (self.state.process is P.STOPPING and self.state.kill_at == self.now + self.policy.abort_grace)

    @precondition(lambda self: self.living)
    @rule(code=st.sampled_from([0, 1, 4, 7, 10, -6, -9, -15]), jitter=st.floats(0, 1))
    def end(self, code, jitter):
        self.living = False
        self.feed(Exited(code, "ended"), jitter=jitter)

    @precondition(lambda self: self.living and self.state.process is P.STARTING)
    @rule(short=st.booleans(), server_died=st.booleans())
    def never_was(self, short, server_died):
        self.living = False
        self.feed(LaunchFailed("no", short, server_died))
        assert not (short and self.state.process is P.FATAL)

    @invariant()
    def knows_whether_it_lives(self):
        assert self.state.alive == self.living
        assert self.state.alive == (self.state.process in (P.STARTING, P.RUNNING, P.STOPPING))

    @invariant()
    def waits_are_bounded(self):
        assert (self.state.due is not None) == (self.state.process is P.BACKOFF)
        if self.state.due is not None:
            assert self.state.due - self.state.since <= self.policy.backoff_max + TINY

    @invariant()
    def stopping_comes_to_an_end(self):
        if self.state.process is P.STOPPING and self.state.kill_at is not None:
            assert self.state.kill_at - self.state.since <= self.policy.stop_timeout + TINY

    @invariant()
    def no_silence_is_endless(self):
        state = self.state
        if state.process in (P.STARTING, P.RUNNING):
            limit = self.policy.start_timeout if state.process is P.STARTING else self.policy.heartbeat_timeout
            silence = self.now - max(state.last_report, state.listening_since)
            assert 0.0 <= state.excused <= silence + TINY
            assert silence <= limit * self.policy.patience + TINY
            assert silence - state.excused <= limit + TINY

    @invariant()
    def want_of_room_is_never_final(self):
        if self.state.short:
            assert self.state.process is not P.FATAL
        if self.state.short and self.state.due is not None:
            assert self.state.due - self.state.since <= self.policy.room_wait + TINY

    @invariant()
    def gives_up_only_with_a_reason(self):
        if self.state.process is P.FATAL:
            assert self.state.reason


Machine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase
