"""Whether orders get through: rows of refusals, what shuts a lane, and what is said of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.bybit.error_mapping import from_ret_code
from gridbot.core import Direction
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.remedies import remedy_for
from gridbot.risk.passage import (
    CODES_KEPT,
    FORGOTTEN_S,
    PATIENCE_S,
    SHUT_AFTER,
    UNCOUNTED,
    Accepted,
    Event,
    Lane,
    Passage,
    ReadTerms,
    Refused,
    Repaired,
    Row,
    blocked,
    covering,
    passes,
    step,
)

OPENS, CLOSES = Lane("btc", Direction.LONG, False), Lane("btc", Direction.LONG, True)
TICK = make_error("buy price is not on the tick", ErrorKind.PARAM, ret_code=10001)
NOTHING_LEFT = make_error("current position is zero", ErrorKind.RESYNC, ret_code=110017)
UNKNOWN = from_ret_code(181001, "whatever")
USED = from_ret_code(110072, "OrderLinkedID is duplicate")
ALREADY_SO = from_ret_code(110043, "not modified")
LOST = make_error("no answer in time", ErrorKind.AMBIGUOUS)


def test_where_the_newest_request_was_accepted_another_acceptance_changes_nothing() -> None:
    state = Passage()
    assert not passes(state, "btc", Direction.LONG, closes=False), "nobody knows yet"
    state, _ = step(state, Accepted(OPENS), 0.0)
    assert passes(state, "btc", Direction.LONG, closes=False)
    assert not passes(state, "btc", Direction.LONG, closes=True)
    for rests in (False, True):
        assert step(state, Accepted(OPENS, rests), 1.0) == (state, [])
    state, _ = step(state, Refused(OPENS, TICK), 2.0)
    assert not passes(state, "btc", Direction.LONG, closes=False)


class Told:
    """A passage and what it asked for."""

    def __init__(self) -> None:
        self.state = Passage()
        self.effects: list[ReadTerms] = []

    def refused(self, error: ExchangeError, *times: float, lane: Lane = OPENS, after_lost: bool = False) -> None:
        for now_s in times:
            self.state, effects = step(self.state, Refused(lane, error, after_lost), now_s)
            self.effects += effects

    def accepted(self, now_s: float, lane: Lane = OPENS) -> None:
        self.state, effects = step(self.state, Accepted(lane), now_s)
        assert effects == []

    def says(self, now_s: float, **more: object) -> str:
        return blocked(self.state, "btc", now_s, **more)  # type: ignore[arg-type]


def test_three_refusals_in_a_row_shut_a_lane_and_it_says_why_and_what_to_do() -> None:
    told = Told()
    told.refused(TICK, 0.0, 0.1)
    assert told.says(0.2) == ""
    told.refused(TICK, 0.2)
    assert told.says(0.2) == (
        "btc: no order gets through, 3 refused in a row: buy price is not on the tick (retCode 10001, param); "
        "its instrument is read again; if it goes on, restart the account, and look at amount and grid_step"
    )
    assert told.effects == [ReadTerms("btc")] * 3
    assert blocked(told.state, "eth", 0.2) == "", "another strategy"


def test_an_acceptance_ends_the_row() -> None:
    told = Told()
    told.refused(TICK, 0.0, 0.1, 0.2)
    told.accepted(0.3)
    before = told.state
    told.accepted(0.4)
    assert told.state is before, "most answers change nothing"
    told.refused(TICK, 0.5, 0.6)
    assert told.says(0.6) == ""


def test_an_acknowledgement_proves_nothing_while_the_exchange_ends_what_it_accepts() -> None:
    ended = make_error("the exchange accepted the order and ended it at once: EC_Others", ErrorKind.PARAM)
    told = Told()
    for now_s in (0.0, 1.0, 2.0):
        told.state, _ = step(told.state, Accepted(OPENS, rests=False), now_s)
        told.state, effects = step(told.state, Refused(OPENS, ended, was_accepted=True), now_s)
        assert effects == [ReadTerms("btc")]
    told.state, _ = step(told.state, Accepted(OPENS, rests=False), 3.0)
    assert "3 refused in a row: the exchange accepted the order and ended it at once: EC_Others" in told.says(3.0)
    told.accepted(4.0)
    assert told.says(4.0) == ""
    told.refused(TICK, 5.0, 5.1, 5.2)
    told.state, _ = step(told.state, Accepted(OPENS, rests=False), 6.0)
    assert told.says(6.0) == "", "what was refused outright before is accepted now"


def test_closes_that_are_refused_are_told_although_opens_pass_and_what_covers_the_leg_is_named() -> None:
    told = Told()
    told.accepted(0.0)
    told.refused(NOTHING_LEFT, 1.0, 2.0, 3.0, lane=CLOSES)
    text = told.says(3.0, covers={Direction.LONG: "an order that is not ours covers the long"})
    assert text.startswith("btc: no close of its long gets through, 3 refused in a row: current position is zero")
    assert "; an order that is not ours covers the long; nothing is left of the position to close" in text
    assert told.says(3.0, covers={Direction.SHORT: "an order that is not ours covers the short"}) == ""


def test_an_order_that_covers_a_leg_is_a_cause_only_of_closes_that_found_nothing_left() -> None:
    """Seed 66: with each foreign order the incident about a wrong tick was told again."""
    covers, told = {Direction.LONG: "an order that is not ours covers the long"}, Told()
    told.refused(TICK, 1.0, 2.0, 3.0, lane=CLOSES)
    assert covering(told.state, "btc", 3.0, covers) == []
    told.refused(NOTHING_LEFT, 4.0, lane=CLOSES)
    assert covering(told.state, "btc", 4.0, covers) == [covers[Direction.LONG]]
    assert covering(told.state, "eth", 4.0, covers) == []


def test_closes_that_find_nothing_left_are_told_when_that_lasts() -> None:
    """News of orders and of positions are not in step: now and then a close is one too many."""
    told = Told()
    told.refused(NOTHING_LEFT, 1.0, 2.0, 3.0, lane=CLOSES)
    assert told.says(3.0) == ""
    assert told.effects == []
    told.refused(NOTHING_LEFT, 1.0 + PATIENCE_S, lane=CLOSES)
    assert "cancel the order that closes it" in told.says(1.0 + PATIENCE_S)
    assert told.effects == [ReadTerms("btc")]


def test_several_lanes_are_named_and_all_of_them_are_the_strategy() -> None:
    told = Told()
    shorts = Lane("btc", Direction.SHORT, False)
    told.accepted(0.0, lane=shorts)
    told.refused(TICK, 0.0, 0.1, 0.2)
    told.refused(TICK, 0.0, 0.1, 0.2, lane=CLOSES)
    assert "no open of its long and no close of its long gets through, 6 refused" in told.says(1.0)
    told.refused(TICK, 1.0, 1.1, 1.2, lane=shorts)
    assert "btc: no order gets through, 9 refused" in told.says(2.0)
    assert "; the tick has changed; " in told.says(2.0, hints=["the tick has changed"])


def test_what_may_pass_by_itself_shuts_a_lane_only_when_it_lasts() -> None:
    told = Told()
    told.refused(LOST, 0.0, 1.0, 2.0, PATIENCE_S - 1)
    assert told.says(PATIENCE_S) == ""
    told.refused(LOST, PATIENCE_S)
    assert "look at the connection" in told.says(PATIENCE_S)
    assert told.effects == [ReadTerms("btc")], "once it has lasted: it may be about the symbol"


@pytest.mark.parametrize("error", [UNKNOWN, ALREADY_SO, USED], ids=lambda error: str(error.ret_code))
def test_what_says_nothing_of_a_wait_is_told_at_once_and_has_the_terms_read(error: ExchangeError) -> None:
    """A code that nobody knows was silent for 32 s, and so was one that makes no sense for an order that is new."""
    told = Told()
    told.refused(error, 0.0, 0.1)
    assert told.effects == [ReadTerms("btc")] * 2
    assert told.says(0.1) == ""
    told.refused(error, 0.2)
    assert told.says(0.2).startswith(f"btc: no order gets through, 3 refused in a row: {error}; ")
    assert told.says(0.2).endswith(remedy_for(error))


def test_a_used_id_is_our_own_order_when_an_earlier_request_for_it_had_no_answer() -> None:
    told = Told()
    told.refused(LOST, 0.0, 0.1, 0.2)
    told.refused(USED, 2.0, 2.1, 2.2, after_lost=True)
    assert told.says(2.2) == ""
    assert told.effects == []
    told.refused(USED, 3.0, 3.1, 3.2)
    assert "OrderLinkedID is duplicate" in told.says(3.2)


def test_a_lost_answer_does_not_hide_what_was_refused_before_it() -> None:
    """The newest answer alone decided: one without a reply ended the incident that nothing gets through."""
    told = Told()
    told.refused(TICK, 0.0, 0.1, 0.2)
    told.refused(LOST, 5.0)
    assert told.says(5.0) == (
        f"btc: no order gets through, 4 refused in a row: {LOST}; {remedy_for(LOST)}; "
        f"open of its long also: {TICK}; {remedy_for(TICK)}"
    )


def test_lanes_that_are_shut_for_different_codes_are_named_each_with_its_code_and_remedy() -> None:
    """Only the newest was named."""
    told, high = Told(), from_ret_code(170193, "too high")
    told.refused(TICK, 0.0, 0.1, 0.2)
    told.refused(high, 1.0, 1.1, 1.2, lane=CLOSES)
    told.refused(TICK, 1.3, lane=CLOSES)
    assert told.says(2.0) == (
        f"btc: no order gets through, 7 refused in a row: {TICK}; {remedy_for(TICK)}; "
        f"close of its long also: {high}; {remedy_for(high)}"
    )
    assert "too high" not in told.says(FORGOTTEN_S + 1.25), "it has not come for long"


def test_few_codes_are_remembered_and_few_are_named() -> None:
    told = Told()
    lanes = [Lane("btc", direction, closes) for direction in Direction for closes in (False, True)]
    for at_s, lane in enumerate(lanes):
        told.refused(TICK, at_s, at_s, at_s, lane=lane)
        for code in range(10):
            told.refused(from_ret_code(190_000 + 10 * at_s + code, "x"), at_s + 0.1 + code / 100, lane=lane)
    assert {len(row.errors) for row in told.state.lanes.values() if row is not None} == {CODES_KEPT}
    text = told.says(4.0)
    assert [code for code in range(190_000, 190_040) if str(code) in text] == [190_037, 190_038, 190_039]
    assert text.endswith("and 9 more codes")


def test_refusals_that_have_an_alert_of_their_own_are_not_counted() -> None:
    told = Told()
    for kind in UNCOUNTED:
        told.refused(make_error("x", kind), 0.0, 10.0, 20.0, 60.0)
    assert told.state == Passage()


def test_a_repair_ends_the_rows_of_its_strategy_and_of_no_other() -> None:
    told = Told()
    told.refused(TICK, 0.0, 0.1, 0.2)
    after, effects = step(told.state, Repaired("eth"), 1.0)
    assert (after, effects) == (told.state, [])
    after, effects = step(told.state, Repaired("btc"), 1.0)
    assert (after, effects) == (Passage(), [])


def test_an_order_that_covers_no_longer_ends_only_what_found_nothing_left_to_close() -> None:
    told, uncovered = Told(), Repaired("btc", frozenset({Direction.LONG}))
    told.refused(TICK, 0.0, lane=OPENS)
    told.refused(NOTHING_LEFT, 0.0, lane=CLOSES)
    assert step(told.state, Repaired("btc", frozenset({Direction.SHORT})), 1.0)[0] == told.state
    after, _ = step(told.state, uncovered, 1.0)
    assert after.lanes.keys() == {OPENS}
    told.refused(TICK, 1.0, lane=CLOSES)
    assert step(told.state, uncovered, 1.0)[0] == told.state, "another reason"


def test_what_covers_a_leg_is_named_although_the_newest_answer_was_lost() -> None:
    """Four answers were lost after 15 refusals, and the incident named the order no more (seed 5209)."""
    covers, told = {Direction.LONG: "an order that is not ours covers the long"}, Told()
    told.refused(NOTHING_LEFT, 1.0, 2.0, lane=CLOSES)
    told.refused(LOST, 3.0, lane=CLOSES)
    assert covering(told.state, "btc", 3.0, covers) == [covers[Direction.LONG]]
    assert covers[Direction.LONG] in told.says(3.0, covers=covers)
    assert step(told.state, Repaired("btc", frozenset({Direction.LONG})), 4.0)[0] == Passage()
    told.refused(UNKNOWN, 4.0, lane=CLOSES)
    assert covering(told.state, "btc", 4.0, covers) == [], "a code that nobody knows may be another reason"


def test_a_lane_of_which_nothing_was_refused_for_long_is_forgotten() -> None:
    told = Told()
    told.refused(TICK, 0.0, 0.1, 0.2)
    assert told.says(FORGOTTEN_S)
    assert told.says(FORGOTTEN_S + 0.2) == ""
    told.refused(TICK, FORGOTTEN_S + 1)
    row = told.state.lanes[OPENS]
    assert isinstance(row, Row)
    assert (row.count, row.since_s) == (1, FORGOTTEN_S + 1)


ERRORS = st.sampled_from((TICK, NOTHING_LEFT, UNKNOWN, LOST, make_error("x", ErrorKind.AUTH)))
MAY_PASS = {OPENS: (LOST,), CLOSES: (NOTHING_LEFT, LOST)}
EVENTS = st.one_of(
    st.builds(Refused, st.sampled_from((OPENS, CLOSES)), ERRORS),
    st.builds(Accepted, st.sampled_from((OPENS, CLOSES))),
    st.just(Repaired("btc")),
)


@given(st.lists(st.tuples(st.sampled_from((0.0, 1.0, 20.0, 400.0)), EVENTS), max_size=60))
def test_a_lane_is_shut_exactly_when_nothing_of_it_has_passed_for_long_enough(
    run: list[tuple[float, Event]],
) -> None:
    """Against a plain model: the refusals since the newest acceptance or the newest long silence."""
    state, now_s = Passage(), 0.0
    rows: dict[Lane, list[tuple[float, ExchangeError]]] = {OPENS: [], CLOSES: []}
    for wait_s, event in run:
        now_s += wait_s
        state, _ = step(state, event, now_s)
        if isinstance(event, Repaired):
            rows = {lane: [] for lane in rows}
        elif isinstance(event, Accepted):
            rows[event.lane].clear()
        elif event.error.kind not in UNCOUNTED:
            row = rows[event.lane]
            if row and now_s - row[-1][0] >= FORGOTTEN_S:
                row.clear()
            row.append((now_s, event.error))
        shut = {
            lane
            for lane, row in rows.items()
            if len(row) >= SHUT_AFTER
            and now_s - row[-1][0] < FORGOTTEN_S
            and (
                len([error for _, error in row if error not in MAY_PASS[lane]]) >= SHUT_AFTER
                or row[-1][0] - row[0][0] >= PATIENCE_S
            )
        }
        assert bool(blocked(state, "btc", now_s)) == bool(shut)
        assert {lane for lane, known in state.lanes.items() if known is not None and known.is_shut(now_s)} == shut
    assert len(state.lanes) <= 2
