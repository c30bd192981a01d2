"""The rules of what an executor sends: each finds its offender, and leaves alone what is allowed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridbot.execution import queue_invariants as invariants
from gridbot.execution.queue_invariants import Wire
from gridbot.execution.send_lane import RequestKind
from tests.case_table import case_table


def wire(**more: Any) -> Wire:
    values: dict[str, Any] = {
        "at_s": 1.0,
        "kind": RequestKind.PLACE,
        "endpoint": "order/create",
        "links": ("a",),
        "urgencies": ((1, Decimal(2)),),
        "behind": (),
        "quota": 10,
    }
    return Wire(**{**values, **more})


@case_table(
    ("wires", "word"),
    [
        ([wire(cancels_could_go=True)], "before a cancel"),
        ([wire(behind=((0, Decimal(9)),))], "left before"),
        ([wire(behind=((1, Decimal(1)),))], "left before"),
        ([wire(quota=1), wire(quota=1, at_s=1.9)], "2 orders to order/create"),
        ([wire(banned_until_s=2.0)], "during a ban"),
        ([wire(banned_until_s=2.0, by_http=False, sees_all=False)], "news may be missing"),
        ([wire(links=("a", "b"))], "in one request"),
        ([wire(endpoint="order/create-batch", links=("a", "a"))], "in one request"),
        ([wire(endpoint="order/create-batch", links=tuple("abcdefghijk"), quota=99)], "in one request"),
    ],
)
def test_each_rule_finds_its_offender(wires: list[Wire], word: str) -> None:
    [text] = invariants.broken_rules(wires)
    assert word in text


def test_what_is_allowed_is_no_offence() -> None:
    cancel = wire(kind=RequestKind.CANCEL, endpoint="order/cancel", cancels_could_go=True, banned_until_s=1.0)
    assert invariants.broken_rules([wire(at_s=-0.05, quota=1), cancel, wire(quota=1)]) == []
    banned = {"banned_until_s": 2.0, "by_http": False}
    close, blind = ((0, Decimal(1)),), {**banned, "sees_all": False}
    assert not invariants.silent_while_banned(wire(**banned))
    assert not invariants.silent_while_banned(wire(**blind, urgencies=close))
    assert not invariants.silent_while_banned(wire(**blind, kind=RequestKind.CANCEL))
    assert not invariants.one_request_per_wish(cancel, {"a"})
    assert not invariants.slots_add_up(1, 2, 3)
    assert not invariants.nothing_forgotten(0, 0, 0)
    assert not invariants.nothing_forgotten(3, 0, 1)
    assert not invariants.nothing_forgotten(3, 1, 0)


def test_the_rules_of_the_whole_find_their_offenders() -> None:
    assert "without a wish" in invariants.one_request_per_wish(wire(), ())
    assert invariants.slots_add_up(0, 2, 3)
    assert invariants.slots_add_up(-1, 4, 3)
    assert "nothing asks again" in invariants.nothing_forgotten(1, 0, 0)
    assert invariants.nothing_forgotten(1, 0, 2)
    assert "twice" in invariants.lanes_bounded({RequestKind.PLACE: ["a", "a"]})
