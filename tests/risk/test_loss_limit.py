"""The session loss limit (docs/risk.md 6.4, docs/incidents-operations.md 5.2 no. 14)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.limits import Limit
from gridbot.risk.loss_limit import (
    Begun,
    Checked,
    Cleared,
    Event,
    Latched,
    LossLimit,
    LossState,
    Regrouped,
    Restored,
    Unknown,
    lost,
    step,
    unpriced,
)
from tests.case_table import case_table
from tests.core.helpers import EXAMPLES

D = Decimal
ZERO = D(0)
NOW_MS = 1_700_000_000_000


def rule(amount: str | None, *, includes_unrealised: bool = False) -> LossLimit:
    return LossLimit(None if amount is None else Limit.parse(amount), includes_unrealised)


def checked(net: str, wallet: str = "1000", unrealised: str = "0") -> Checked:
    return Checked(D(net), D(wallet), D(unrealised), NOW_MS)


@case_table(
    ("amount", "net", "wallet", "latches"),
    [
        ("50", "-50", "1000", False),  # exactly the limit is not above it
        ("50", "-50.01", "1000", True),
        ("50", "60", "1000", False),
        ("x0.25", "-200", "800", False),  # the wallet before the loss was 1000: 200 of 250
        ("x0.25", "-250", "750", False),
        ("x0.25", "-250.01", "750", True),
        ("x0.25", "100", "1000", False),
        (None, "-999", "1000", False),  # off
        ("50", "-60", "0", False),  # no wallet is known yet
        ("50", "-60", "-1", False),
        ("50", "-60", "0.5", True),
    ],
)
def test_a_loss_above_the_limit_latches(amount: str | None, net: str, wallet: str, *, latches: bool) -> None:
    state, latched = step(LossState(), checked(net, wallet), rule(amount))
    assert (latched is not None) is latches
    assert state == (LossState(ZERO, latched.reason, NOW_MS) if latched else LossState())


def test_the_loss_counts_from_the_last_time_the_latch_was_clear() -> None:
    limit = rule("50")
    state, _ = step(LossState(D(1), "an old latch"), Begun(D(-500)), limit)
    assert state == LossState(D(-500))
    assert step(state, checked("-550"), limit) == (state, None)
    latched, effect = step(state, checked("-551"), limit)
    assert effect == Latched(
        "lost 51.00 USDT since the latch was clear, the session loss limit is 50.00; nothing is opened until "
        "an operator resumes the account"
    )
    assert latched == LossState(D(-500), effect.reason, NOW_MS)
    assert step(latched, checked("-600"), limit) == (latched, None), "it latches once"
    state, effect = step(latched, Cleared(D(-600)), limit)
    assert (state, effect) == (LossState(D(-600)), None)
    assert [step(state, checked(net), limit)[1] is not None for net in ("-650", "-651")] == [False, True]


@pytest.mark.parametrize(
    ("included", "unrealised", "latches"), [(True, "-31", True), (True, "-30", False), (False, "-999", False)]
)
def test_open_losses_count_where_that_is_wanted(unrealised: str, *, included: bool, latches: bool) -> None:
    limit = rule("50", includes_unrealised=included)
    assert bool(step(LossState(), checked("-20", unrealised=unrealised), limit)[0].latched) is latches


def test_baseline_and_latch_outlive_a_restart() -> None:
    for state in (LossState(D("-500.5")), LossState(D(3), "lost too much", NOW_MS)):
        restored = LossState.from_document(state.to_document())
        assert step(LossState(), Restored(restored), rule("50")) == (state, None)
    assert LossState(D("-1.5"), "x", 7).to_document() == {
        "baseline": "-1.5",
        "latched": "x",
        "since_ms": 7,
        "fees": {},
    }


def test_a_document_of_a1c99c4_says_no_time() -> None:
    assert LossState.from_document({"baseline": "-1.5", "latched": "x"}) == LossState(D("-1.5"), "x", 0, None)


def test_an_account_of_which_nobody_knows_whether_it_is_latched_is_latched_until_it_is_cleared() -> None:
    limit = rule("50")
    latched, effect = step(LossState(), Unknown("latch.json is torn", NOW_MS), limit)
    assert (latched, effect) == (LossState(ZERO, "latch.json is torn", NOW_MS), Latched("latch.json is torn"))
    assert step(latched, checked("-999"), limit) == (latched, None), "the first reason stays"
    assert step(latched, Cleared(D(-7)), limit) == (LossState(D(-7)), None)


@case_table(
    "document",
    [
        {},
        {"baseline": "1"},
        {"latched": ""},
        {"baseline": "x", "latched": ""},
        {"baseline": None, "latched": ""},
        {"baseline": "NaN", "latched": ""},
        {"baseline": "1", "latched": None},
        {"baseline": "1", "latched": "", "since_ms": "soon"},
        {"baseline": "1", "latched": "", "fees": {"MNT": "?"}},
        {"baseline": "1", "latched": "", "fees": 7},
    ],
)
def test_another_document_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ArithmeticError, TypeError, ValueError)):
        LossState.from_document(document)


NETS = st.integers(-200, 200).map(D)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    NETS.map(Cleared), st.builds(Checked, NETS, st.integers(-5, 1000).map(D), NETS, st.just(NOW_MS))
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(EVENTS, max_size=30), st.sampled_from(["50", "x0.1", None]), st.booleans())
def test_it_is_latched_from_the_first_loss_above_the_limit_until_it_is_cleared(
    events: list[Event], amount: str | None, included: bool
) -> None:
    limit = rule(amount, includes_unrealised=included)
    state, since, is_latched = LossState(), ZERO, False
    for event in events:
        state, effect = step(state, event, limit)
        if isinstance(event, Cleared):
            since, is_latched = event.net, False
            assert effect is None
        elif isinstance(event, Checked):
            lost = since - event.net - (event.unrealised if included else 0)
            most = {"50": D(50), "x0.1": D("0.1") * (event.wallet_balance + max(lost, ZERO)), None: None}[amount]
            too_much = event.wallet_balance > 0 and most is not None and lost > most
            assert (effect is not None) is (too_much and not is_latched)
            is_latched = is_latched or too_much
        assert (bool(state.latched), state.baseline) == (is_latched, since)
        assert LossState.from_document(state.to_document()) == state


def test_fees_in_other_coins_count_at_the_price_that_the_coin_has_since_the_latch_was_clear() -> None:
    limit, begun = rule("50"), step(LossState(), Begun(D(-10), {"MNT": D(100)}), rule("50"))[0]
    assert begun == LossState(D(-10), fees={"MNT": D(100)})

    def at(net: str, mnt: str, price: str | None) -> Checked:
        prices = {} if price is None else {"MNT": D(price)}
        return Checked(D(net), D(1000), ZERO, NOW_MS, {"MNT": D(mnt)}, prices)

    assert step(begun, at("-50", "120", "0.5"), limit)[1] is None  # 40 and 20 MNT of 0.5: exactly 50
    assert step(begun, at("-50", "120.1", "0.5"), limit)[1] is not None
    assert step(begun, at("-50", "999", None), limit)[1] is None
    cleared, _ = step(begun, Cleared(D(-50), {"MNT": D(120)}), limit)
    assert step(cleared, at("-50", "120", "9"), limit)[1] is None
    assert unpriced({"MNT": D(120)}, {}, begun) == ["MNT"]
    assert unpriced({"MNT": D(120)}, {}, cleared) == unpriced({"MNT": D(120)}, {"MNT": D(1)}, begun) == []


def test_a_document_without_fees_in_other_coins_counts_them_from_now_on() -> None:
    """That of an earlier version: its totals have the fees of a whole life, and its baseline says nothing of them."""
    document = {"baseline": "-10", "latched": "", "since_ms": 0}
    earlier = LossState.from_document(document)
    assert (earlier.fees, earlier.to_document()) == (None, document)
    assert unpriced({"MNT": D(5)}, {}, earlier) == ["MNT"]
    now = Checked(D(-10), D(1000), ZERO, NOW_MS, {"MNT": D(9999)}, {"MNT": D(1)})
    state, latched = step(earlier, now, rule("50"))
    assert (state.fees, latched) == ({"MNT": D(9999)}, None)
    assert LossState.from_document(state.to_document()) == state


def test_what_is_lost_stays_when_other_strategies_count() -> None:
    """One that had made money is removed: without this the account would seem to have lost it."""
    limit, state = rule("50"), LossState(D(-10), fees={"MNT": D(100)})

    def at(net: str, mnt: str) -> Checked:
        return Checked(D(net), D(1000), ZERO, NOW_MS, {"MNT": D(mnt)}, {"MNT": D(1)})

    before, moved = (
        at("30", "105"),
        Regrouped(D(30), D(-370), {"MNT": D(105), "BNB": D(2)}, {"MNT": D(80), "BNB": D(2)}),
    )
    after, latched = step(state, moved, limit)
    assert latched is None
    assert lost(after, at("-370", "80"), limit) == lost(state, before, limit)
    assert after.fees == {"MNT": D(75)}
    unknown, _ = step(replace(state, fees=None), moved, limit)
    assert (unknown.baseline, unknown.fees) == (D(-410), None)
