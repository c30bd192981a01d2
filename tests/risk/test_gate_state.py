"""What each event changes in the memory of the gate, and what it leaves alone."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, Side
from gridbot.orders.breakers import Breaker, Circuit, FailureRun, RateCap
from gridbot.risk.brake import FREE, Brake, Stops
from gridbot.risk.caps import CapEased, CapWarned
from gridbot.risk.funds import Funds
from gridbot.risk.gate_state import (
    Accepted,
    AuthFailed,
    Braked,
    BreakerOpened,
    CooldownBegun,
    Effect,
    Enrolled,
    Event,
    GateState,
    HoldsChanged,
    Lent,
    LevelKey,
    Promise,
    Refused,
    StreamAlive,
    TermsRepaired,
    Verdict,
    WalletSeen,
    step,
)
from gridbot.risk.holds import Held, Hold, Holds, Latch, Resume, Stop, Who
from gridbot.risk.refusals import Refusal
from tests.risk.helpers import BAD_KEY, NOW, NOW_MS, wallet

D = Decimal
LEVEL: LevelKey = ("s1", Direction.LONG, Side.BUY, 1000)
KNOWN = GateState(
    funds=Funds(wallet(), NOW, D(5), NOW),
    rates={"s1": RateCap(2), "s2": RateCap(None)},
    warned=frozenset({"s1.max_notional"}),
)


def after(state: GateState, *events: Event, now_s: float = NOW) -> tuple[GateState, list[Effect]]:
    effects: list[Effect] = []
    for event in events:
        state, new = step(state, event, now_s, NOW_MS)
        effects += new
    return state, effects


def test_an_admitted_order_is_counted_and_an_opening_one_is_promised() -> None:
    closed, effects = after(KNOWN, Verdict(None, "s1"), now_s=NOW + 1)
    assert closed == KNOWN._replace(rates={"s1": RateCap(2).counted(NOW + 1), "s2": RateCap(None)})
    assert effects == []
    opened, _ = after(KNOWN, Verdict(None, "s2", (Promise(D(3), is_probe=False),)), now_s=NOW + 1)
    assert opened == KNOWN._replace(funds=Funds(wallet(), NOW, D(8), NOW))
    probed, _ = after(KNOWN, Verdict(None, "s2", (Promise(D(3), is_probe=True),)), now_s=NOW + 1)
    assert probed == KNOWN._replace(funds=Funds(wallet(), NOW, D(8), NOW + 1))


def test_warnings_that_begin_are_given_and_remembered_until_they_end() -> None:
    begins = (CapWarned("a", "much of a"), CapWarned("b", "much of b"))
    warned, effects = after(KNOWN, Verdict(Refusal.MAX_MARGIN, "", begins))
    assert warned == KNOWN._replace(warned=frozenset({"a", "b", "s1.max_notional"}))
    assert effects == list(begins)
    eased, effects = after(warned, Verdict(Refusal.MAX_MARGIN, "", (CapEased("s1.max_notional"), CapEased("a"))))
    assert eased == KNOWN._replace(warned=frozenset({"b"}))
    assert effects == []


def test_a_refusal_alone_changes_nothing() -> None:
    assert after(KNOWN, Verdict(Refusal.PAUSED)) == (KNOWN, [])


def test_a_strategy_is_enrolled_with_its_cap() -> None:
    state, effects = after(GateState(), Enrolled("s1", 5), Enrolled("s2", None))
    assert state == GateState(rates={"s1": RateCap(5), "s2": RateCap(None)})
    assert effects == []


def test_the_third_refusal_of_a_level_opens_its_breaker() -> None:
    state, effects = after(KNOWN, Refused(LEVEL), Refused(LEVEL))
    assert state == KNOWN._replace(breaker=Breaker(circuits={LEVEL: Circuit((NOW, NOW))}))
    assert effects == []
    state, effects = after(state, Refused(LEVEL))
    assert state == KNOWN._replace(breaker=Breaker(circuits={LEVEL: Circuit(open_until=NOW + 60)}))
    assert effects == [BreakerOpened(LEVEL)]
    assert after(state, Accepted()) == (state, []), "an acceptance says nothing about a level"


def test_a_repair_closes_the_breakers_of_its_strategy_and_of_no_other() -> None:
    other = ("another", *LEVEL[1:])
    state, _ = after(KNOWN, *[Refused(LEVEL)] * 3, *[Refused(other)] * 3)
    state, effects = after(state, TermsRepaired(LEVEL[0]))
    assert (set(state.breaker.open_until(NOW)), effects) == ({other}, [])


def test_a_leg_that_nothing_covers_any_more_has_its_closes_tried_again_alone() -> None:
    closing: LevelKey = ("s1", Direction.LONG, Side.SELL, 1010)
    state, _ = after(KNOWN, *[Refused(LEVEL)] * 3, *[Refused(closing)] * 3)
    state, _ = after(state, TermsRepaired("s1", frozenset({Direction.SHORT})))
    assert set(state.breaker.open_until(NOW)) == {LEVEL, closing}
    state, _ = after(state, TermsRepaired("s1", frozenset({Direction.LONG})))
    assert set(state.breaker.open_until(NOW)) == {LEVEL}


def test_the_fifth_key_failure_in_a_row_begins_a_cooldown_and_an_acceptance_ends_it() -> None:
    state, effects = after(KNOWN, *[AuthFailed(BAD_KEY)] * 4)
    assert state == KNOWN._replace(auth=FailureRun(run=4, error=BAD_KEY))
    assert effects == []
    cooling, effects = after(state, AuthFailed(BAD_KEY))
    assert cooling == KNOWN._replace(auth=FailureRun(until_s=NOW + 1800, cycles=1, error=BAD_KEY))
    assert effects == [CooldownBegun(NOW + 1800)]
    assert after(cooling, AuthFailed(BAD_KEY)) == (cooling, [])
    assert after(cooling, Accepted()) == (KNOWN._replace(auth=FailureRun(cycles=1)), [])
    assert step(KNOWN, Accepted(), NOW, NOW_MS)[0] is KNOWN, "nothing to end"


def test_wallets_and_the_private_stream_are_for_the_funds() -> None:
    newer = wallet(available="7", ts=2)
    state, effects = after(KNOWN, WalletSeen(newer), now_s=NOW + 1)
    assert state == KNOWN._replace(funds=Funds(newer, NOW + 1, D(0), NOW, NOW + 1))
    assert after(state, WalletSeen(wallet()), now_s=NOW + 2) == (state, [])
    alive, more = after(state, StreamAlive(), now_s=NOW + 3)
    assert alive == KNOWN._replace(funds=Funds(newer, NOW + 3, D(0), NOW, NOW + 1))
    assert effects == more == []


def test_another_balance_is_counted_and_another_free_one_is_not() -> None:
    """Sizes of all strategies may follow from the balance: they look at this count."""
    seen = [GateState()]
    for event in (wallet("9"), wallet("9", "1", ts=2), wallet("8", "1", ts=3), wallet("7", ts=2), wallet("9", ts=4)):
        seen.append(after(seen[-1], WalletSeen(event))[0])
    assert [state.balance_changes for state in seen] == [0, 1, 1, 2, 2, 3]


def test_stop_and_latch_hold_the_account_and_resume_lifts_the_latch() -> None:
    lost = Held("lost 51", Who.LOSS_LIMIT, NOW_MS)
    latched, effects = after(KNOWN, Latch("lost 51"))
    assert latched == KNOWN._replace(holds=Holds({Hold.SESSION_LOSS: lost}))
    assert effects == [HoldsChanged(frozenset({Hold.SESSION_LOSS}))]
    assert after(latched, Latch("lost 99")) == (latched, [])
    stopping, effects = after(latched, Stop())
    stop = Held("the worker is stopping", Who.WORKER, NOW_MS)
    assert stopping == KNOWN._replace(holds=Holds({Hold.SESSION_LOSS: lost, Hold.STOPPING: stop}))
    assert effects == [HoldsChanged(frozenset({Hold.STOPPING}))]
    assert after(stopping, Resume()) == (
        KNOWN._replace(holds=Holds({Hold.STOPPING: stop})),
        [HoldsChanged(frozenset({Hold.SESSION_LOSS}))],
    )


def test_caps_brake_the_account_and_lend_it_a_share() -> None:
    brake = Brake(Stops.OPENS, "fell too far")
    assert after(KNOWN, Braked(brake)) == (KNOWN._replace(brake=brake), [])
    assert after(KNOWN, Braked(brake), Braked(FREE), Lent(D(7))) == (KNOWN._replace(share=D(7)), [])
    kept, _ = after(KNOWN._replace(brake=brake, share=D(7)), Verdict(None, "s1"))
    assert (kept.brake, kept.share) == (brake, D(7))


def test_a_gate_that_has_just_begun_knows_nothing() -> None:
    assert GateState() == GateState(Holds(), Funds(), FailureRun(), Breaker(), {}, frozenset())
