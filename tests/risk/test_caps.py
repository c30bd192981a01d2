"""What using most of a cap means, before it is reached (docs/risk.md 6.2)."""

from __future__ import annotations

from decimal import Decimal

from gridbot.risk.caps import CapEased, Caps, CapWarned, warning
from tests.case_table import case_table

D = Decimal
KEY = "s1.max_notional"
NONE: frozenset[str] = frozenset()
WARNED = frozenset({KEY})


@case_table(
    ("value", "warned", "expected"),
    [
        ("79.99", NONE, None),
        ("80", NONE, CapWarned(KEY, "s1.max_notional: 80 of 100 used")),
        ("100.50", NONE, CapWarned(KEY, "s1.max_notional: 100.5 of 100 used")),
        ("80", WARNED, None),
        ("79.99", WARNED, CapEased(KEY)),
        ("79.99", frozenset({"s2.max_notional"}), None),
        ("80.06582844377342701532496533", NONE, CapWarned(KEY, "s1.max_notional: 80.06582844 of 100 used")),
        ("80", frozenset({"s2.max_notional"}), CapWarned(KEY, "s1.max_notional: 80 of 100 used")),
    ],
)
def test_a_warning_begins_at_80_percent_and_ends_below(
    value: str, warned: frozenset[str], expected: CapWarned | CapEased | None
) -> None:
    assert warning(KEY, D(value), D(100), warned) == expected


def test_counts_are_written_like_amounts() -> None:
    assert warning("k", 480, 600, NONE) == CapWarned("k", "k: 480 of 600 used")
    assert warning("k", 479, 600, NONE) is None


def test_by_default_nothing_is_limited() -> None:
    assert Caps() == Caps(max_notional=None, max_open_orders=None, max_margin=None, max_orders_per_minute=None)
