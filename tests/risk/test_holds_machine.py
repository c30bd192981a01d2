"""An account and its strategies, held and let go by everybody who may, over restarts and torn documents.

The model is a plain set of reasons. After every step the invariants of `gridbot/risk/hold_invariants.py` hold, and the
gate's answer is the first of the reasons. GRIDBOT_EXAMPLES scales the number of runs.
"""

from __future__ import annotations

import orjson
import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gridbot.risk.hold_invariants import of_restart, of_step
from gridbot.risk.holds import (
    DURABLE,
    NOT_READY,
    PAUSED_ALREADY,
    REFUSALS,
    SET_BY,
    Event,
    Halt,
    Hold,
    Holds,
    Latch,
    NotReady,
    Pause,
    Ready,
    Resume,
    Stop,
    Who,
    refusal_of,
    step,
)
from tests.examples import examples

ACCOUNT, STRATEGIES = "account", ("s1", "s2", "s3")
STRATEGY = st.sampled_from(STRATEGIES)
REASON = st.sampled_from(["first", "second", ""])
Setting = Stop | NotReady | Latch | Halt | Pause
KINDS: dict[Hold, type[Setting]] = {
    Hold.STOPPING: Stop,
    Hold.NOT_READY: NotReady,
    Hold.SESSION_LOSS: Latch,
    Hold.HALTED: Halt,
    Hold.PAUSED: Pause,
}
Reasons = dict[Hold, tuple[str, Who, int]]


class Held(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 1_700_000_000_000
        self.holds = {ACCOUNT: Holds(), **dict.fromkeys(STRATEGIES, NOT_READY)}
        self.model: dict[str, Reasons] = {ACCOUNT: {}, **{name: self.unknown() for name in STRATEGIES}}
        self.disk = b"{}"

    @staticmethod
    def unknown() -> Reasons:
        return {Hold.NOT_READY: ("the start is not complete", Who.WORKER, 0)}

    def take(self, name: str, act: Event) -> None:
        self.now_ms += 1
        event(f"event {type(act).__name__}")
        before = self.holds[name]
        after, changed = step(before, act, self.now_ms)
        assert of_step(before, act, after, changed, self.now_ms) == []
        self.holds[name] = after
        self.disk = orjson.dumps({name: self.holds[name].durable().to_document() for name in STRATEGIES})

    def set(self, name: str, hold: Hold, act: Setting) -> None:
        self.take(name, act)
        self.model[name].setdefault(hold, (act.reason, act.who, self.now_ms))

    def lift(self, name: str, act: Ready | Resume) -> None:
        self.take(name, act)
        for hold in (Hold.NOT_READY,) if isinstance(act, Ready) else (Hold.SESSION_LOSS, Hold.HALTED, Hold.PAUSED):
            self.model[name].pop(hold, None)

    # ------------------------------------------------------------------ the account

    @rule()
    def the_worker_stops(self) -> None:
        self.set(ACCOUNT, Hold.STOPPING, Stop())

    @rule(reason=REASON)
    def the_loss_limit_latches(self, reason: str) -> None:
        self.set(ACCOUNT, Hold.SESSION_LOSS, Latch(reason))

    @rule()
    def the_operator_resumes_the_account(self) -> None:
        self.lift(ACCOUNT, Resume())

    # ------------------------------------------------------------------ one strategy

    @rule(name=STRATEGY)
    def it_is_ready(self, name: str) -> None:
        self.lift(name, Ready())

    @rule(name=STRATEGY)
    def it_is_not_ready(self, name: str) -> None:
        self.set(name, Hold.NOT_READY, NotReady())

    @rule(name=STRATEGY, reason=REASON, who=st.sampled_from([Who.EXCHANGE, Who.FAULT]))
    def it_is_halted(self, name: str, reason: str, who: Who) -> None:
        self.set(name, Hold.HALTED, Halt(reason, who))

    @rule(name=STRATEGY, reason=REASON, who=st.sampled_from([Who.OPERATOR, Who.LIQUIDATION, Who.EXCHANGE]))
    def it_is_paused(self, name: str, reason: str, who: Who) -> None:
        known = self.model[name].get(Hold.PAUSED)
        self.set(name, Hold.PAUSED, Pause(reason, who))
        if known is not None and who is not Who.OPERATOR and known[0].split(PAUSED_ALREADY)[0] != reason:
            first = known[0].rpartition(PAUSED_ALREADY)[2]
            self.model[name][Hold.PAUSED] = f"{reason}{PAUSED_ALREADY}{first}", who, known[2]

    @rule(name=STRATEGY)
    def the_operator_resumes_it(self, name: str) -> None:
        self.lift(name, Resume())

    @rule(name=STRATEGY, who=st.sampled_from(Who), hold=st.sampled_from(sorted(KINDS)))
    def somebody_tries_who_may_not(self, name: str, who: Who, hold: Hold) -> None:
        if who in SET_BY[hold]:
            return
        event("refused")
        with pytest.raises(ValueError, match="expected"):
            step(self.holds[name], KINDS[hold]("no", who), self.now_ms)

    # ------------------------------------------------------------------ death

    @rule(cut=st.sampled_from([0, 0, 1, 20]))
    def restart(self, cut: int) -> None:
        """The strategies' document is one (the loss latch has its own); when it is torn, each of them is halted."""
        event(f"restart, torn: {cut > 0}")
        self.holds[ACCOUNT], self.model[ACCOUNT] = Holds(), {}
        before = {name: self.holds[name] for name in STRATEGIES}
        left = self.read(self.disk[: len(self.disk) - cut])
        assert (left is None) is (cut > 0)
        for name in STRATEGIES:
            kept = {hold: held for hold, held in self.model[name].items() if hold in DURABLE}
            self.holds[name], self.model[name] = NOT_READY, self.unknown()
            if left is None:
                self.set(name, Hold.HALTED, Halt("the document is torn", Who.FAULT))
            else:
                restored = left.get(name, Holds())
                assert of_restart(before[name], restored) == []
                self.holds[name] = Holds({**NOT_READY.held, **restored.held})
                self.model[name].update(kept)

    @staticmethod
    def read(document: bytes) -> dict[str, Holds] | None:
        try:
            return {name: Holds.from_document(row) for name, row in orjson.loads(document).items()}
        except (KeyError, TypeError, ValueError):
            return None

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        for name, holds in self.holds.items():
            assert {hold: (held.reason, held.who, held.since_ms) for hold, held in holds.held.items()} == self.model[
                name
            ]

    @invariant()
    def the_gate_names_the_first_hold(self) -> None:
        for name in STRATEGIES:
            both = {**self.model[ACCOUNT], **self.model[name]}
            first = next((REFUSALS[hold] for hold in Hold if hold in both), None)
            assert refusal_of(self.holds[ACCOUNT], self.holds[name]) is first


Held.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30, deadline=None)
TestHeld = Held.TestCase
