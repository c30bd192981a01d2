"""Closes take the newest openings that are left: as a stack does in Python, whatever the sizes."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.store.grid_sql import MATCHING
from tests.examples import examples

Sizes = list[Decimal]
"""Of a leg, in its order; a negative size closes."""

SIZES = st.one_of(
    st.sampled_from(["1", "-1", "2", "-2", "0.5", "-0.5", "-3", "100"]).map(Decimal),
    st.integers(-(10**7), 10**7).filter(bool).map(lambda millionths: Decimal(millionths) / 10**6),
)


def matched(legs: list[Sizes], asked: str = "leg, open_place, close_place, qty FROM matched ORDER BY ALL") -> list[Any]:
    rows = [(leg, place, size < 0, size) for leg, sizes in enumerate(legs) for place, size in enumerate(sizes)]
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("CREATE TABLE given (leg INTEGER, place BIGINT, closes BOOLEAN, change DECIMAL(38, 12))")
        if rows:
            con.execute(f"INSERT INTO given VALUES {', '.join(f'({a}, {b}, {c}, {d:f})' for a, b, c, d in rows)}")
        return con.execute(f"WITH RECURSIVE items AS (FROM given), {MATCHING} SELECT {asked}").fetchall()


def by_a_stack(leg: int, sizes: Sizes) -> list[Any]:
    left: list[tuple[int, Decimal]] = []
    found = []
    for place, size in enumerate(sizes):
        if size > 0:
            left.append((place, size))
            continue
        wanted = -size
        while wanted and left:
            opened, there = left.pop()
            taken = min(there, wanted)
            found.append((leg, opened, place, taken))
            wanted -= taken
            if taken < there:
                left.append((opened, there - taken))
    return found


@settings(max_examples=examples(20), deadline=None)
@given(legs=st.lists(st.lists(SIZES, max_size=40), max_size=3))
def test_pairs_are_those_of_a_stack(legs: list[Sizes]) -> None:
    assert matched(legs) == sorted(pair for leg, sizes in enumerate(legs) for pair in by_a_stack(leg, sizes))


def test_sizes_that_all_differ_take_rounds_of_rows_and_no_squares() -> None:
    """A close of about 1,000 against a thousand openings of about 1, again and again, and sizes by chance: cut at each
    size that occurs in between, these were two million parts."""
    chance = random.Random(5)
    sizes = [Decimal(chance.randrange(900_000, 1_100_000)) / 1_000_000 for _ in range(4_000)]
    for n in range(1000, 4000, 1001):
        sizes[n] *= -1000
    by_chance = [size * chance.choice([1, -1]) * chance.randrange(1, 1000) for size in sizes]
    for each in (sizes, by_chance):
        assert matched([each]) == sorted(by_a_stack(0, each))
        assert matched([each], "count(*) FROM rounds")[0][0] < len(each) * math.log2(len(each))
