"""Wire ids and breakers."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.orders.breakers import Breaker, FailureRun
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


def test_an_id_that_would_be_too_long_is_refused_when_built() -> None:
    with pytest.raises(ValueError, match="at most 36"):
        wire_id("a" * 16, 36**30)


@pytest.mark.parametrize("foreign", ["", "manual", "g1-L-00042-a7", "0123456789abcdef", "0123456789ABCDEF-1", "-1"])
def test_foreign_ids_are_not_taken_for_ours(foreign: str) -> None:
    assert client_id_of(foreign) is None


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


def test_breaker_forgets_old_failures_and_success_resets() -> None:
    breaker = Breaker(threshold=3, window_s=60, cooldown_s=60)
    assert not any(breaker.fail("k", t) for t in (0.0, 50.0, 100.0)), "never three within 60 s"
    assert breaker.fail("k", 101.0)
    assert list(breaker.open_until(102.0)) == ["k"]
    breaker.succeed("k")
    assert not breaker.is_open("k", 102.0)


def test_five_auth_failures_in_a_row_cool_down_and_a_success_between_does_not() -> None:
    run = FailureRun(threshold=5, cooldown_s=1800)
    for _ in range(4):
        run.fail(1.0)
    run.succeed()
    assert not any(run.fail(1.0) for _ in range(4))
    assert run.fail(1.0)
    assert run.is_cooling(1800.0)
    assert not run.is_cooling(1801.0)
    assert run.cycles == 1
