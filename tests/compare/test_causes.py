from __future__ import annotations

from gridbot.compare.causes import CAUSES, Event, Hold, Missing, cause_of, missing_in
from tests.case_table import case_table

AT = 1_000_000
LATE = 5_000


@case_table(
    ("events", "holds", "cause", "words"),
    [
        ([Event(AT - 5000, "opened")], [], "queue", "its order rested 5 s and was not reached"),
        ([Event(AT - 6000, "place"), Event(AT - 5000, "opened")], [Hold(0, AT + 1, "paused")], "queue",
         "its order rested 5 s and was not reached"),
        ([Event(AT - 600_000, "opened")], [], "queue", "its order rested 10 min and was not reached"),
        ([Event(AT - 9000, "place"), Event(AT + 8000, "opened")], [], "latency",
         "its order was decided on 9 s before and came to the exchange 8 s after"),
        ([Event(AT - 390, "place"), Event(AT + 2400, "cancel")], [], "latency",
         "its order was decided on 0.39 s before and did not come to the exchange"),
        ([Event(AT - 390, "place")], [], "latency",
         "its order was decided on 0.39 s before and did not come to the exchange"),
        ([Event(AT - 390, "place"), Event(AT + 10, "rejected", "110007")], [], "refusal",
         "the exchange refused it: 110007"),
        ([Event(AT - 5, "refused", "max_notional")], [], "cap", "the gate refused it: max_notional"),
        ([Event(AT - 5, "refused", "paused")], [], "halt", "the gate refused it: paused"),
        ([Event(AT - 5, "refused", "outside_price_band")], [], "refusal", "the gate refused it: outside_price_band"),
        ([Event(AT - 5, "rejected", "max_notional")], [], "refusal", "the exchange refused it: max_notional"),
        ([Event(AT - 5, "cancel")], [Hold(AT, AT + 1, "no worker ran")], "halt", "no worker ran"),
        ([], [Hold(0, AT, "paused")], "unexplained", "it wanted no order there"),
        ([Event(AT + 2500, "place")], [], "latency", "its order came 2.5 s later"),
        ([Event(AT + LATE, "place")], [], "latency", "its order came 5 s later"),
        ([Event(AT + LATE + 1, "place")], [], "unexplained", "its order came 5.001 s later"),
        ([Event(AT - 700, "cancel")], [], "latency", "its order was withdrawn 0.7 s before"),
        ([Event(AT - LATE - 1, "cancel")], [], "unexplained", "it wanted no order there"),
        ([Event(AT - 9, "fill"), Event(AT + 9, "fill"), Event(AT + 10, "place")], [], "latency",
         "its order came 0.01 s later"),
        ([], [], "unexplained", "it wanted no order there"),
    ],
)  # fmt: skip
def test_the_evidence_decides(events: list[Event], holds: list[Hold], cause: str, words: str) -> None:
    assert cause_of(Missing("here", AT), events, holds) == (cause, words)
    assert cause in CAUSES


def test_which_side_lacks_what() -> None:
    assert missing_in("only_here", 5, None) == Missing("there", 5)
    assert missing_in("only_there", None, 7) == Missing("here", 7)
    assert missing_in("time", 5, 7) == Missing("there", 5)
    assert missing_in("time", 7, 5) == Missing("here", 5)
    assert missing_in("size", 5, 5) is None
    assert missing_in("price", 5, 7) is None
