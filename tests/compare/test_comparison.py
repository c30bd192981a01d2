"""The working database: everything is in exactly one class, whatever order rows came in and whichever side is first."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.compare.comparison import Outcome, Source, compare, working
from gridbot.compare.tolerances import Reach, Tolerance
from tests.examples import examples

NAMES = ("what", "symbol", "direction", "side", "price", "at_ms", "qty", "reason", "id", "fee", "realised_pnl")
MIRRORED = {"only_here": "only_there", "only_there": "only_here"}
Row = tuple[Any, ...]


def source(rows: list[Row]) -> Source:
    kinds = ("VARCHAR",) * 4 + ("DECIMAL(38, 12)", "BIGINT", "DECIMAL(38, 12)", "VARCHAR", "VARCHAR")
    columns = ", ".join(
        f"CAST(column{place} AS {kind}) AS {name}"
        for place, (name, kind) in enumerate(zip(NAMES, (*kinds, "DECIMAL(38, 12)", "DECIMAL(38, 12)"), strict=True))
    )
    listed = ", ".join("(" + ", ".join("NULL" if v is None else repr(v) for v in row) + ")" for row in rows)
    return Source(f"SELECT {columns} FROM (VALUES {listed}) AS t({', '.join(f'column{n}' for n in range(11))})")


def drawn(draw: random.Random, count: int) -> list[Row]:
    return [
        (
            draw.choice(("place", "cancel", "fill")), "BTCUSDT", draw.choice(("long", "short")),
            draw.choice(("Buy", "Sell")), f"{60_000 + draw.randrange(6) * 12}.{draw.choice('0001')}",
            1_700_000_000_000 + draw.randrange(600) * 1000, str(draw.choice((1, 2))), "", f"x{number}", "0", "0",
        )
        for number in range(count)
    ]  # fmt: skip


def run(directory: Path, here: list[Row], there: list[Row]) -> tuple[Outcome, Counter[Row], int]:
    """What was found; how often each row of `compared` is there, ids left out; how many rows went in both."""
    with working(directory, "200MB") as con:
        outcome = compare(con, directory, (source(here), source(there)), {}, Tolerance(), Reach())
        rows = con.execute("""
            SELECT outcome, what, direction, side, here_price, there_price, here_at, there_at, here_qty, there_qty
            FROM compared""").fetchall()
        [(sides,)] = con.execute("SELECT count(here_at) + count(there_at) FROM compared").fetchall()
    return outcome, Counter(rows), sides


@pytest.mark.parametrize("seed", range(examples(1)))
def test_every_row_is_in_one_class_and_neither_order_nor_side_matters(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    here, there = drawn(draw, 150), drawn(draw, 130)
    there[0] = here[0]  # one pair is the same in each seed
    outcome, rows, sides = run(tmp_path, here, there)
    assert sides == 280
    assert outcome.rows == sum(rows.values())
    assert {row[0] for row in rows} == {"same", "only_here", "only_there", "price", "size", "time"}
    _, shuffled, _ = run(tmp_path, draw.sample(here, len(here)), draw.sample(there, len(there)))
    assert shuffled == rows
    _, mirrored, _ = run(tmp_path, there, here)
    exchanged = Counter()
    for (kind, what, leg, side, *pairs), number in mirrored.items():
        others = [pairs[place ^ 1] for place in range(len(pairs))]
        exchanged[MIRRORED.get(kind, kind), what, leg, side, *others] += number
    assert exchanged == rows


def test_a_tick_size_that_nobody_knows_is_what_all_prices_have_in_common(tmp_path: Path) -> None:
    def at(price: str, at_ms: int) -> Row:
        return ("place", "LTCUSDT", "long", "Buy", price, at_ms, "1", "", "", None, None)

    with working(tmp_path, "200MB") as con:
        sides = (source([at("84.25", 0), at("90", 5)]), source([at("84.50", 0)]))
        outcome = compare(con, tmp_path, sides, {}, Tolerance(price=Decimal(1)), Reach(near=5000))
        assert con.execute("SELECT tick FROM symbol_ticks").fetchall() == [(Decimal("0.25"),)]
    assert outcome.counts == {"place": {"same": 1, "only_here": 1, "only_there": 0, "price": 0, "size": 0, "time": 0}}


def test_where_one_side_does_not_know_the_leg_levels_have_none(tmp_path: Path) -> None:
    def at(leg: str | None, side: str) -> Row:
        return ("fill", "LTCUSDT", leg, side, "84.5", 0, "1", "", "", None, None)

    with working(tmp_path, "200MB") as con:
        sides = (source([at("long", "Buy"), at("short", "Buy")]), source([at(None, "Buy"), at(None, "Sell")]))
        outcome = compare(con, tmp_path, sides, {"LTCUSDT": Decimal("0.01")}, Tolerance(), Reach())
    assert outcome.counts["fill"] == {"same": 1, "only_here": 1, "only_there": 1, "price": 0, "size": 0, "time": 0}
