"""The invariants of holds and loss limit find what they are for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.risk.hold_invariants import latch_is_kept, of_restart, of_step
from gridbot.risk.holds import Event, Halt, Held, Hold, Holds, Pause, Ready, Resume, Who, step
from gridbot.risk.loss_limit import Begun, Checked, Cleared, Latched, LossState, Unknown
from tests.case_table import case_table

PAUSED = Held("asked", Who.OPERATOR, 1)
HALTED = Held("KeyError", Who.FAULT, 1)
PAUSE = Pause("asked", Who.OPERATOR)
BOTH = Holds({Hold.PAUSED: PAUSED, Hold.HALTED: HALTED})
CHECKED = Checked(Decimal(-60), Decimal(1000), Decimal(0), 5)
LATCHED = LossState(Decimal(0), "lost 60", 5)


LIQUIDATED = Pause("liquidated", Who.LIQUIDATION)


@case_table("event", [PAUSE, LIQUIDATED, Halt("KeyError", Who.FAULT), Ready(), Resume()])
@case_table("before", [Holds(), Holds({Hold.PAUSED: PAUSED}), BOTH])
def test_a_step_keeps_them(before: Holds, event: Event) -> None:
    after, changed = step(before, event, 1)
    assert of_step(before, event, after, changed, 1) == []


@case_table(
    ("before", "event", "after", "changed", "said"),
    [
        (BOTH, PAUSE, Holds({Hold.PAUSED: PAUSED}), {Hold.HALTED}, "halted was lifted by Pause"),
        (BOTH, Ready(), Holds({Hold.PAUSED: PAUSED}), {Hold.HALTED}, "halted was lifted by Ready"),
        (BOTH, Resume(), Holds({Hold.HALTED: HALTED}), {Hold.PAUSED}, "halted still holds after Resume"),
        (
            BOTH,
            PAUSE,
            Holds({Hold.HALTED: HALTED, Hold.PAUSED: replace(PAUSED, reason="again")}),
            {Hold.PAUSED},
            "paused holds for another reason than at first",
        ),
        (
            Holds({Hold.PAUSED: PAUSED}),
            LIQUIDATED,
            Holds({Hold.PAUSED: replace(PAUSED, reason="liquidated", who=Who.LIQUIDATION)}),
            {Hold.PAUSED},
            "paused holds for another reason than at first",
        ),
        (
            Holds(),
            PAUSE,
            Holds({Hold.PAUSED: replace(PAUSED, who=Who.FAULT)}),
            {Hold.PAUSED},
            "was set by fault",
        ),
        (
            Holds(),
            PAUSE,
            Holds({Hold.PAUSED: replace(PAUSED, since_ms=0)}),
            {Hold.PAUSED},
            "at 0, now is 1",
        ),
        (Holds(), PAUSE, Holds({Hold.PAUSED: PAUSED}), set(), "is said to have changed []"),
    ],
)
def test_a_wrong_step_is_named(before: Holds, event: Event, after: Holds, changed: set[Hold], said: str) -> None:
    [found] = of_step(before, event, after, changed, 1)
    assert said in found


def test_only_what_is_durable_comes_back_and_all_of_it() -> None:
    stopping = Holds({**BOTH.held, Hold.STOPPING: Held("", Who.WORKER, 1)})
    assert of_restart(stopping, BOTH) == []
    assert len(of_restart(stopping, stopping)) == 1
    assert len(of_restart(BOTH, Holds())) == 1


def test_a_latch_is_told_and_kept() -> None:
    clear = LossState()
    assert latch_is_kept(clear, CHECKED, LATCHED, Latched("lost 60")) == []
    assert latch_is_kept(LATCHED, CHECKED, LATCHED, None) == []
    assert latch_is_kept(LATCHED, Cleared(Decimal(7)), LossState(Decimal(7)), None) == []
    assert latch_is_kept(clear, Begun(Decimal(7)), LossState(Decimal(7)), None) == []
    assert latch_is_kept(LATCHED, Unknown("torn", 6), replace(LATCHED, latched="torn"), Latched("torn")) == []


def test_a_latch_that_is_lost_not_told_or_told_otherwise_is_named() -> None:
    clear = LossState()
    assert "changed when it was checked" in latch_is_kept(LATCHED, CHECKED, clear, None)[0]
    assert "None was told" in latch_is_kept(clear, CHECKED, LATCHED, None)[0]
    assert "was told" in latch_is_kept(LATCHED, CHECKED, LATCHED, Latched("lost 60"))[0]
    assert "the baseline moved" in latch_is_kept(clear, CHECKED, LossState(Decimal(3)), None)[0]
    assert "told was 'other'" in latch_is_kept(clear, Unknown("torn", 5), LATCHED, Latched("other"))[0]
