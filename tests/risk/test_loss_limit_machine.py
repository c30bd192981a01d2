"""The session loss limit over gains, losses, operators, restarts and torn documents, against a plain sum.

After every step `hold_invariants.latch_is_kept` holds. GRIDBOT_EXAMPLES scales the number of runs.
"""

from __future__ import annotations

from decimal import Decimal

import orjson
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gridbot.core.limits import Limit
from gridbot.risk.hold_invariants import latch_is_kept
from gridbot.risk.loss_limit import (
    Begun,
    Checked,
    Cleared,
    Event,
    Latched,
    LossLimit,
    LossState,
    Restored,
    Unknown,
    step,
)
from tests.examples import examples

D = Decimal
ZERO = D(0)
MONEY = st.integers(-80, 60).map(D)


class Losses(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state = LossState()
        self.rule = LossLimit(None, includes_unrealised=False)
        self.amount: str | None = None
        self.net = self.since = ZERO
        self.wallet = D(1000)
        self.is_latched = False
        self.latched_ms = 0
        self.now_ms = 1_700_000_000_000

    @initialize(
        amount=st.sampled_from(["50", "x0.1", None]),
        included=st.booleans(),
        net=MONEY,
        results=st.lists(MONEY, max_size=5),
    )
    def begin(self, amount: str | None, included: bool, net: Decimal, results: list[Decimal]) -> None:
        """With a few results already: hypothesis leaves out rules at random, and hardly ever was enough lost."""
        event(f"limit {amount}, unrealised {included}")
        self.amount = amount
        self.rule = LossLimit(None if amount is None else Limit.parse(amount), included)
        self.net = self.since = net
        assert self.take(Begun(net)) is None
        for result in results:
            self.it_makes_or_loses(result)
            self.it_is_checked(ZERO)

    def take(self, act: Event) -> Latched | None:
        event(f"event {type(act).__name__}")
        before = self.state
        self.state, effect = step(before, act, self.rule)
        assert latch_is_kept(before, act, self.state, effect) == []
        return effect

    @rule(result=MONEY)
    def it_makes_or_loses(self, result: Decimal) -> None:
        self.net += result
        self.wallet += result

    @rule(moved=st.sampled_from([-400, -50, 300]).map(D))
    def the_wallet_is_moved(self, moved: Decimal) -> None:
        self.wallet += moved

    @rule(unrealised=MONEY)
    def it_is_checked(self, unrealised: Decimal) -> None:
        self.now_ms += 1000
        lost = self.since - self.net - (unrealised if self.rule.includes_unrealised else ZERO)
        before_it = self.wallet + max(lost, ZERO)
        most = {"50": D(50), "x0.1": before_it / 10, None: lost}[self.amount]
        is_new = self.wallet > 0 and lost > most and not self.is_latched
        effect = self.take(Checked(self.net, self.wallet, unrealised, self.now_ms))
        assert (effect is not None) is is_new
        if is_new:
            event("latched by a loss")
            self.is_latched, self.latched_ms = True, self.now_ms

    @rule()
    def an_operator_resumes(self) -> None:
        event(f"resumed, latched: {self.is_latched}")
        assert self.take(Cleared(self.net)) is None
        self.since, self.is_latched, self.latched_ms = self.net, False, 0

    @rule(cut=st.sampled_from([0, 0, 1, 5, 30]))
    def restart(self, cut: int) -> None:
        """A document that cannot be read: nobody knows, so nothing is opened."""
        document = orjson.dumps(self.state.to_document())
        self.state = LossState()
        self.now_ms += 1000
        try:
            left = LossState.from_document(orjson.loads(document[: len(document) - cut]))
        except (KeyError, TypeError, ValueError, ArithmeticError):
            assert cut
            assert self.take(Unknown("latch.json is torn", self.now_ms)) == Latched("latch.json is torn")
            self.since, self.is_latched, self.latched_ms = ZERO, True, self.now_ms
        else:
            assert not cut
            assert self.take(Restored(left)) is None

    @rule(net=MONEY)
    def the_data_is_new(self, net: Decimal) -> None:
        """Somebody has removed the directory: counting begins anew."""
        self.net = self.since = net
        assert self.take(Begun(net)) is None
        self.is_latched, self.latched_ms = False, 0

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        state = self.state
        assert (bool(state.latched), state.baseline, state.since_ms) == (self.is_latched, self.since, self.latched_ms)


Losses.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30, deadline=None)
TestLosses = Losses.TestCase
