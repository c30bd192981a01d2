"""Reasons why an order is not sent."""

from __future__ import annotations

import re
from pathlib import Path

from gridbot.risk.refusals import PRICE_BLIND, Refusal


def test_each_reason_is_documented_and_no_other(root: Path) -> None:
    text = (root / "docs" / "risk.md").read_text(encoding="utf-8")
    section = text[text.index("### 6.1 ") : text.index("A retry skips")]
    entries = re.findall(r"^\d+\. (.+(?:\n   .+)*)", section, re.MULTILINE)
    assert len(entries) == 16
    assert set(re.findall(r"`(\w+)`", "".join(entries))) == set(Refusal)


def test_what_neither_time_nor_price_can_lift_is_not_looked_at_again() -> None:
    """docs/strategy.md 2.6; a cap in USDT is not among them, since the value of a leg follows the price."""
    names = {"level_taken", "too_small", "not_covered", "max_open_orders", "max_margin"}
    assert {Refusal(name) for name in names} == PRICE_BLIND
