from __future__ import annotations

from decimal import Decimal

from gridbot.compare.seen_prices import NEAR_MS, Placed, saw_another_price
from tests.case_table import case_table

AT = 1_000_000
ORDER = Placed(AT, Decimal("61818.5"), Decimal("61801.70"))


def placed(after_ms: int, price: str, seen: str | None) -> Placed:
    return Placed(AT + after_ms, Decimal(price), None if seen is None else Decimal(seen))


ELSEWHERE = placed(-62, "61874.2", "61817.2")


@case_table(
    ("others", "words"),
    [
        ([ELSEWHERE], "it saw 61817.2 and ordered at 61874.2, where the other side saw 61801.7"),
        ([placed(-900, "61700", "61700"), ELSEWHERE, placed(70, "61900", "61850")],
         "it saw 61817.2 and ordered at 61874.2, where the other side saw 61801.7"),
        ([placed(-900, "61700", "61700"), placed(70, "61900", "61850")],
         "it saw 61850 and ordered at 61900, where the other side saw 61801.7"),
        ([placed(NEAR_MS, "61900", "61850")], "it saw 61850 and ordered at 61900, where the other side saw 61801.7"),
        ([placed(NEAR_MS + 1, "61900", "61850")], None),
        ([placed(-NEAR_MS - 1, "61900", "61850")], None),
        ([placed(-62, "61874.2", "61801.7")], None),
        ([placed(-62, "61874.2", None)], None),
        ([ELSEWHERE, placed(500, "61818.50", "61802")], None),
        ([], None),
    ],
)  # fmt: skip
def test_who_ordered_elsewhere_in_that_moment_by_another_price_is_told(others: list[Placed], words: str | None) -> None:
    assert saw_another_price(ORDER, others) == words


def test_an_order_whose_price_nobody_recorded_says_nothing() -> None:
    assert saw_another_price(ORDER._replace(seen=None), [ELSEWHERE]) is None
