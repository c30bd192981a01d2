"""Numbers as text."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gridbot.paper.rows.row_numbers import exact, exact_text, multiples, plain, plain_text
from tests.case_table import case_table


@case_table(
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


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_a_number_that_is_text_already_is_shown_as_the_number(value: Decimal) -> None:
    assert exact_text(str(value)) == exact(value)
    assert plain_text(str(value)) == format(value, "f")
    assert Decimal(exact(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_plain_is_the_number_to_eight_decimals(value: Decimal) -> None:
    text = plain(value)
    assert "E" not in text
    assert abs(Decimal(text) - value) <= Decimal("0.000000005")
    assert text == "0" or "." not in text or text[-1] not in "0."


@case_table("unit", ["0.10", "0.001", "1", "10", "1E+1", "0.25", "1E-7"])
def test_multiples_have_the_decimals_of_their_unit(unit: str) -> None:
    counts = [1, 9, 10, 600_001]
    assert list(multiples(Decimal(unit), counts)) == [format(Decimal(unit) * count, "f") for count in counts]
