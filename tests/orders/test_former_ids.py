"""Ids in the layout of before: still recognised, by the terms of their orders."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from gridbot.core import Direction, Side
from gridbot.orders.former_ids import has_layout, hash_of, made
from tests.case_table import case_table
from tests.orders.helpers import INSTRUMENT

D = Decimal
LEVEL: dict[str, Any] = {
    "strat_id": "s1", "symbol": "BTCUSDT", "side": Side.BUY, "ticks": 1000, "direction": Direction.LONG
}  # fmt: skip
LINK = f"{hash_of(**LEVEL)}-midc1z40"


def is_made(link_id: str, price: str = "100", **changes: Any) -> bool:
    terms: dict[str, Any] = {"strat_id": "s1", "instrument": INSTRUMENT, "side": Side.BUY, "direction": Direction.LONG}
    return made(link_id=link_id, price=D(price), **(terms | changes))


def test_the_layout_is_told_from_others() -> None:
    assert has_layout(LINK)
    assert not any(map(has_layout, ("", "by hand", LINK[:-9], LINK.upper(), f"{LINK}-1")))


def test_the_documented_identity() -> None:
    """The recipe never changes while orders rest under it (incident L4)."""
    assert hash_of("s1", "XUSDT", Side.BUY, 198, Direction.LONG) == "d8325c17c4b4173a"
    assert hash_of("grid-1", "XUSDT", Side.BUY, 990, Direction.LONG) == "22899e2f95a02429"


def test_every_part_of_an_identity_counts() -> None:
    others: list[dict[str, Any]] = [
        {}, {"strat_id": "s2"}, {"symbol": "ETHUSDT"}, {"side": Side.SELL}, {"ticks": 999},
        {"direction": Direction.SHORT},
    ]  # fmt: skip
    ids = {hash_of(**(LEVEL | change)) for change in others}
    assert len(ids) == 6
    assert all(len(text) == 16 and set(text) <= set("0123456789abcdef") for text in ids)


def test_an_order_of_before_is_ours_by_its_own_terms() -> None:
    assert is_made(LINK)
    for change in (
        {"strat_id": "renamed"},
        {"price": "100.1"},
        {"side": Side.SELL},
        {"direction": Direction.SHORT},
        {"instrument": replace(INSTRUMENT, symbol="ETHUSDT")},
    ):
        assert not is_made(LINK, **change)


@case_table("tick", ["0.0001", "0.0005", "0.001", "0.02", "0.05", "0.2", "0.25", "0.5", "1", "100", "7"])
def test_an_order_of_before_is_ours_under_another_tick_size_as_well(tick: str) -> None:
    """An upgrade and a change of tick size at once: the old ladder is taken over, no second one rests beside it."""
    assert is_made(LINK, instrument=replace(INSTRUMENT, tick_size=D(tick)))


@case_table(
    "foreign",
    [
        "",
        "manual",
        "0123456789abcdef",
        "0123456789abcdef-",
        "0123456789abcdef-1",
        LINK.upper(),
        f"{LINK}-0",
        "-1",
        "b7dn8qlhcv3h-aapwb-midc1z40-0",
    ],
)
def test_foreign_ids_are_not_taken_for_ours(foreign: str) -> None:
    assert not is_made(foreign)
