from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from gridbot.compare.difference_words import difference, number

AT = datetime(2026, 11, 2, 10, 7, 31)  # noqa: DTZ001 - as DuckDB gives times


def row(**changes: Any) -> dict[str, Any]:
    names = ("here_at", "there_at", "here_qty", "there_qty", "here_price", "there_price", "here_reason", "there_reason")
    base: dict[str, Any] = dict.fromkeys((*names, "ticks_higher", "late_s", "size_percent"))
    same = {
        "what": "place",
        "symbol": "BTCUSDT",
        "direction": "long",
        "side": "Buy",
        "price": Decimal("60000.10"),
        "why": "",
    }
    return {**base, **same, **changes}


def test_what_is_alone_has_its_size_its_reason_and_what_the_other_side_knows() -> None:
    alone = row(outcome="only_here", here_at=AT, here_qty=Decimal("0.0020"), why="refused there: max_notional")
    assert difference(alone) == (
        "2026-11-02 10:07:31 only here: order long Buy 0.002 BTCUSDT at 60000.1; refused there: max_notional"
    )
    cancel = row(outcome="only_there", what="cancel", direction="", there_at=AT, there_reason="outside\ngrid")
    assert difference(cancel) == "2026-11-02 10:07:31 only there: cancel Buy BTCUSDT at 60000.1; outside\\ngrid"


def test_a_pair_says_all_in_which_it_differs() -> None:
    pair = row(
        outcome="price", what="fill", here_at=AT, there_at=AT.replace(second=30), here_qty=Decimal(3),
        there_qty=Decimal(2), size_percent=33.3333, there_price=Decimal("60000.2"), ticks_higher=1.0, late_s=-1.0,
    )  # fmt: skip
    assert difference(pair) == (
        "2026-11-02 10:07:30 other price: fill long Buy BTCUSDT at 60000.1; there at 60000.2, 1 tick higher; "
        "3 here, 2 there (33.33 % apart); there 1 s earlier"
    )


def test_numbers_end_without_zeros() -> None:
    assert [number(each) for each in (Decimal("1.500"), Decimal(100), 0.1, 12.0, Decimal("1E-7"))] == [
        "1.5", "100", "0.1", "12", "0.0000001",
    ]  # fmt: skip
