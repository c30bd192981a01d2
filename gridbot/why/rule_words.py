"""The risk rules in force, in words (docs/risk.md 5.3). Pure."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["RULES", "rule_texts"]

RULES: Mapping[str, str] = {
    "long_1": "the long is near its liquidation: its closes are 1.5 times as large",
    "long_2": "the long comes near its liquidation: closes of the short are half as large",
    "long_3": "both legs are equal and small: opens of the long are twice as large, or its closes half",
    "long_4": "the long is less than half of the short, and loses: its opens are twice as large",
    "long_5": "the long is less than a fifth of the short: its opens are twice as large",
    "short_1": "the short is near its liquidation: its closes are 1.5 times as large",
    "short_2": "the short comes near its liquidation: closes of the long are half as large",
    "short_3": "both legs are equal and small: opens of the short are twice as large, or its closes half",
    "short_4": "the short is less than half of the long, and loses: its opens are twice as large",
    "short_5": "the short is less than a fifth of the long: its opens are twice as large",
}


def rule_texts(rules: str) -> list[str]:
    """A sentence for each rule of a text such as `long_2,short_5`."""
    return [f"{name}: {RULES.get(name, 'see docs/risk.md')}" for name in filter(None, rules.split(","))]
