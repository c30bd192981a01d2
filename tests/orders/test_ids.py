"""The id of an order on the wire (docs/strategy.md 3.2)."""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.orders.ids import MAX_LENGTH, Generations, client_id_of, wire_id

HEX16 = st.text("0123456789abcdef", min_size=16, max_size=16)


@given(HEX16, st.integers(0, 2**63))
def test_a_wire_id_is_legal_and_tells_its_level(client: str, generation: int) -> None:
    link = wire_id(client, generation)
    assert len(link) <= MAX_LENGTH
    assert set(link) <= set(string.ascii_letters + string.digits + "-_")
    assert client_id_of(link) == client


@given(st.lists(st.integers(0, 2**50), unique=True, min_size=2, max_size=50))
def test_generations_give_different_ids(generations: list[int]) -> None:
    assert len({wire_id("0" * 16, g) for g in generations}) == len(generations)


def test_the_documented_example() -> None:
    assert wire_id("d8325c17c4b4173a", 1764000000000) == "d8325c17c4b4173a-midc1z40"
    assert wire_id("d8325c17c4b4173a", 0) == "d8325c17c4b4173a-0"
    assert client_id_of("d8325c17c4b4173a-midc1z40") == "d8325c17c4b4173a"


def test_an_id_that_would_be_too_long_is_refused_when_built() -> None:
    with pytest.raises(ValueError, match="at most 36"):
        wire_id("a" * 16, 36**30)


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "manual",
        "g1-L-00042-a7",
        "0123456789abcdef",
        "0123456789abcdef-",
        "0123456789ABCDEF-1",
        "0123456789abcdef-A",
        "-1",
    ],
)
def test_foreign_ids_are_not_taken_for_ours(foreign: str) -> None:
    assert client_id_of(foreign) is None


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
