"""The id of an order on the wire (docs/strategy.md 3.2)."""

from __future__ import annotations

import string

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


def test_a_block_of_generations_is_reserved_before_its_first_number_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Generations, "BLOCK", 3)
    reserved: list[int] = []
    generations = Generations(7, reserved.append)
    seen = [(generations.next(), reserved[-1]) for _ in range(4)]
    assert seen == [(7, 10), (8, 10), (9, 10), (10, 13)]
    assert reserved == [10, 13]


def test_a_block_can_be_reserved_ahead_once() -> None:
    reserved: list[int] = []
    generations = Generations(7, reserved.append)
    generations.reserve()
    generations.reserve()
    assert (generations.next(), reserved) == (7, [7 + Generations.BLOCK])


def test_generations_never_repeat_across_crashes() -> None:
    durable = [100]

    def reserve(upto: int) -> None:
        durable[0] = upto

    given_out: set[int] = set()
    for _ in range(5):  # five lives, each ended without a word
        generations = Generations(durable[0], reserve)
        numbers = [generations.next() for _ in range(7)]
        assert not given_out & set(numbers)
        given_out.update(numbers)
