"""Numbers as text."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.paper.rows.row_numbers import plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"),
        ("0.000", "0"),
        ("250.00", "250"),
        ("25.1357500", "25.13575"),
        ("1E+3", "1000"),
        ("100", "100"),
        ("1E-8", "0.00000001"),
        ("-0.050", "-0.05"),
        ("0.123456789123", "0.12345679"),
        ("2E-12", "0"),
    ],
)
def test_plain(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text
