"""A worker that is silent near a cap of its account, and those that are left alone."""

from __future__ import annotations

from typing import Any

from supervisor.caps.own_caps import AGAIN_S, SILENT_S, Member, OwnCaps
from tests.case_table import case_table


class Watch:
    """Looks five times a second, as the supervisor does."""

    def __init__(self) -> None:
        self.caps, self.now_s = OwnCaps(), 100.0
        self.member: dict[str, Any] = {"account": "ann", "process": 1, "heard_s": 100.0, "caps": [row("max_drawdown")]}

    def until(self, now_s: float, step_s: float = 0.2) -> list[tuple[float, str]]:
        found = []
        while self.now_s < now_s:
            self.now_s = round(self.now_s + step_s, 3)
            found += [(self.now_s, why) for why in self.caps.look([Member(**self.member)], self.now_s).values()]
        return found


def row(cap: str, share: float | None = 0.8) -> dict[str, Any]:
    return {"cap": cap, "used": "8", "limit": "10", "share": share}


def test_one_that_is_silent_near_its_cap_is_found_once_for_a_process_and_not_often() -> None:
    watch = Watch()
    assert watch.until(100 + SILENT_S - 0.2) == []
    [(at_s, why)] = watch.until(110)
    assert (at_s, why) == (
        100 + SILENT_S,
        "it is silent while max_drawdown of its account is used up or nearly, so nobody watches it",
    )
    watch.member |= {"process": 2, "heard_s": 111.0}
    assert watch.until(at_s + AGAIN_S - 0.2) == [], "its restarts must not be used up"
    assert len(watch.until(at_s + AGAIN_S + 10)) == 1


@case_table(
    ("caps", "is_found"),
    [
        ([], False),
        ([row("max_drawdown", 0.79), row("session_loss_limit", 0.0)], False),
        ([row("max_notional", 1.0), row("share of fleet", 1.0)], False),
        ([row("max_drawdown", 0.1), row("session_loss_limit", 0.8)], True),
        ([row("max_margin_ratio", 3.0)], True),
        ([row("max_drawdown", None)], True),
    ],
)
def test_only_caps_that_prices_can_cross_and_nearly_have(caps: list[dict[str, Any]], is_found: bool) -> None:
    watch = Watch()
    watch.member["caps"] = caps
    assert bool(watch.until(110)) == is_found


def test_a_supervisor_that_was_late_itself_looks_again_first() -> None:
    watch = Watch()
    watch.until(101)
    assert watch.until(106, step_s=5.0) == []
    watch.member["heard_s"] = 105.9  # its reports are read meanwhile
    assert watch.until(107.8) == []
    assert watch.until(109) != []
