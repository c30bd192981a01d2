"""The id of an order on the wire: layout, tags, generations (docs/strategy.md 3)."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core import Direction, Side
from gridbot.orders.ids import (
    MAX_LENGTH,
    Generations,
    LinkId,
    Owner,
    account_tag,
    has_layout,
    parse,
    strategy_tag,
    wire_id,
)
from tests.case_table import case_table

OWNER = Owner.of(account_tag("paper", "alice"), "btc")
MOST = {"ticks": 36**8 - 1, "generation": 36**9 - 1, "epoch": 36**3 - 1}
SIDES, LEGS = st.sampled_from(Side), st.sampled_from(Direction)


@given(SIDES, LEGS, st.integers(0, MOST["ticks"]), st.integers(0, MOST["generation"]), st.integers(0, MOST["epoch"]))
def test_an_id_is_legal_and_says_what_it_was_made_of(
    side: Side, direction: Direction, ticks: int, generation: int, epoch: int
) -> None:
    link = wire_id(replace(OWNER, epoch=epoch), side, direction, ticks, generation)
    assert len(link) <= MAX_LENGTH
    assert set(link) <= set(string.ascii_lowercase + string.digits + "-")
    assert has_layout(link)
    assert parse(link) == LinkId(OWNER.head[:6], OWNER.head[6:], side, direction, ticks, generation, epoch)
    assert OWNER.made(link)


@given(st.lists(st.integers(0, 2**40), unique=True, min_size=2, max_size=50))
def test_generations_give_different_ids(generations: list[int]) -> None:
    ids = {wire_id(OWNER, Side.BUY, Direction.LONG, 1000, generation) for generation in generations}
    assert len(ids) == len(generations)


def test_the_documented_example() -> None:
    """Written down once, so that a change of the recipe cannot pass: running orders are found by it (incident L4)."""
    assert wire_id(OWNER, Side.BUY, Direction.LONG, 500123, 1764000000000) == "b7dn8qlhcv3h-aapwb-midc1z40-0"
    heads = {
        leg: wire_id(replace(OWNER, epoch=36), *leg, 0, 35)[12:]
        for leg in ((side, leg) for side in Side for leg in Direction)
    }
    assert heads == {
        (Side.BUY, Direction.LONG): "-a0-z-10",
        (Side.SELL, Direction.LONG): "-b0-z-10",
        (Side.SELL, Direction.SHORT): "-c0-z-10",
        (Side.BUY, Direction.SHORT): "-d0-z-10",
    }


def test_the_largest_numbers_that_there_may_be_fit_and_larger_ones_are_refused_when_the_id_is_built() -> None:
    """The price of a coin at 1e-10 USDT a tick, fifty times what a clock of milliseconds shows today."""

    def made(ticks: int, generation: int, epoch: int) -> str:
        return wire_id(replace(OWNER, epoch=epoch), Side.BUY, Direction.LONG, ticks, generation)

    assert len(made(**MOST)) == MAX_LENGTH
    for name, most in MOST.items():
        with pytest.raises(ValueError, match="at most 36 characters, got 37"):
            made(**{**MOST, name: most + 1})
    with pytest.raises(ValueError, match="at least 0"):
        wire_id(OWNER, Side.BUY, Direction.LONG, -1, 1)


def test_another_account_environment_or_strategy_gives_another_owner_and_no_name_is_readable() -> None:
    """incidents L4, L6, L7."""
    link = wire_id(OWNER, Side.BUY, Direction.LONG, 1000, 7)
    others = [
        Owner.of(account_tag("paper", "bob"), "btc"),
        Owner.of(account_tag("mainnet", "alice"), "btc"),
        Owner.of(account_tag("paper", "alice"), "eth"),
    ]
    assert not any(other.made(link) for other in others)
    assert len({OWNER.head, *(other.head for other in others)}) == 4
    assert all(len(other.head) == 12 for other in others)
    assert "alice" not in link
    assert "btc" not in link


def test_a_small_hash_is_as_long_as_any_other() -> None:
    """Every tag has six characters, also one in a thousand whose number is small."""
    assert strategy_tag("grid-74138") == "07niiv"


@case_table(
    "foreign",
    [
        "",
        "manual",
        "g1-L-00042-a7",
        "d8325c17c4b4173a-midc1z40",  # the layout of before
        "b7dn8qlhcv3h",
        "b7dn8qlhcv3h-aapwb-midc1z40",
        "b7dn8qlhcv3h-aapwb-midc1z40-",
        "b7dn8qlhcv3h-a-midc1z40-0",
        "b7dn8qlhcv3h-eapwb-midc1z40-0",
        "b7dn8qlhcv3h-aapwb-midc1z40-0-1",
        "b7dn8qlhcv3h-AAPWB-midc1z40-0",
        "b7dn8qlhcv3h-aapwb-midc1z40-0\n",
        "b7dn8qlhcv3-aapwb-midc1z40-0",
        "b7dn8qlhcv3h-aapwb-midc1z40-000000000000",
    ],
)
def test_foreign_ids_are_not_taken_for_ours(foreign: str) -> None:
    assert parse(foreign) is None
    assert not has_layout(foreign)
    assert not OWNER.made(foreign)


class Disk:
    """Takes what is reserved at once, or when `is_full` ends and `write` is called."""

    def __init__(self, durable: int = 7) -> None:
        self.durable, self.is_full = durable, False
        self.asked: list[int] = []
        self._waiting: list[tuple[int, Callable[[], None]]] = []

    def reserve(self, upto: int, safe: Callable[[], None]) -> None:
        self.asked.append(upto)
        self._waiting.append((upto, safe))
        self.write()

    def write(self) -> None:
        while self._waiting and not self.is_full:
            upto, safe = self._waiting.pop(0)
            self.durable = upto
            safe()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Generations, "BLOCK", 5)
    monkeypatch.setattr(Generations, "AHEAD", 2)


@pytest.mark.usefixtures("small_blocks")
def test_a_block_of_generations_is_reserved_before_its_first_number_is_used() -> None:
    disk = Disk()
    generations = Generations(7, disk.reserve)
    seen = []
    for _ in range(6):
        assert generations.available(1)
        seen.append((generations.next(), disk.durable))
    assert seen == [(7, 12), (8, 12), (9, 12), (10, 12), (11, 17), (12, 17)], "asked for ahead of the need"
    assert disk.asked == [12, 17]


@pytest.mark.usefixtures("small_blocks")
def test_a_disk_that_takes_nothing_is_a_wait_that_ends_by_itself() -> None:
    disk = Disk()
    disk.is_full = True
    generations = Generations(7, disk.reserve)
    assert [generations.available(1), generations.available(1)] == [False, False]
    assert disk.asked == [12], "asked once: the files try again by themselves"
    with pytest.raises(LookupError, match="all below 7 are used"):
        generations.next()
    disk.is_full = False
    disk.write()
    assert [generations.available(5), generations.available(6)] == [True, False]
    disk.is_full = True
    assert [generations.next() for _ in range(5)] == [7, 8, 9, 10, 11]
    assert not generations.available(1)
    disk.is_full = False
    disk.write()
    assert generations.available(1)
    assert generations.next() == 12


@pytest.mark.usefixtures("small_blocks")
def test_generations_never_repeat_across_crashes() -> None:
    disk = Disk(100)
    given_out: set[int] = set()
    for _ in range(5):  # five lives, each ended without a word
        generations = Generations(disk.durable, disk.reserve)
        numbers = [generations.next() for _ in range(7) if generations.available(1)]
        assert len(numbers) == 7
        assert generations.unused == numbers[-1] + 1, "where a life goes on that ended in order"
        assert not given_out & set(numbers)
        given_out.update(numbers)
