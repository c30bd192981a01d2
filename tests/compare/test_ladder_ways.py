"""A difference without a cause of its own follows from the one that parted the ladders, as long as they are apart."""

from __future__ import annotations

from decimal import Decimal

from gridbot.compare.ladder_ways import LATE_MS, Difference, Snapshot, apart, causes_with_roots, other_anchor
from tests.case_table import case_table

ONE, TWO, THREE = "one", "two", "three"


@case_table(
    ("here", "there", "expected"),
    [
        ([(0, ONE), (50, TWO)], [(0, ONE), (60, TWO)], [(50, 60)]),
        ([(0, ONE), (50, TWO)], [(0, ONE)], [(50, None)]),
        ([(0, ONE), (50, TWO), (70, THREE), (90, ONE)], [(0, ONE)], [(50, 90)]),
        ([(0, ONE), (50, TWO)], [(0, ONE), (50, TWO)], []),
        ([(0, ONE)], [(30, ONE)], []),
        ([(0, ONE)], [], []),
    ],
)
def test_ladders_are_apart_while_both_are_known_and_differ(here, there, expected):
    one, other = [Snapshot(*each) for each in here], [Snapshot(*each) for each in there]
    assert apart(one, other) == expected == apart(other, one)


def test_ladders_that_were_built_around_other_prices_say_so():
    here = [Snapshot(0, ONE, Decimal(60_000)), Snapshot(50, TWO, Decimal("61000.500000000000"))]
    there = [Snapshot(0, ONE, Decimal(60_000)), Snapshot(90, TWO, Decimal(61_002))]
    assert [other_anchor(here, there, at_ms) is not None for at_ms in (-1, 10, 60, 95)] == [False, False, True, True]
    assert other_anchor(here, there, 95) == "the ladder was built around 61000.5 here and 61002 there"
    assert other_anchor(here, [Snapshot(0, ONE)], 95) is None


def difference(at_ms: int, cause: str = "unexplained", strategy: str = "btc") -> Difference:
    return Difference(at_ms, strategy, cause, f"words of {at_ms}", f"{cause} {at_ms}")


def test_what_is_unexplained_follows_from_the_one_before_the_ladders_parted_and_from_what_that_follows():
    rows = [difference(1_000, "queue"), difference(9_000), difference(20_000), difference(20_500)]
    found = causes_with_roots(rows, {"btc": [(1_500, 12_000), (20_200, None)]})
    assert found[0][:2] == ("queue", "words of 1000")
    assert found[1][:2] == ("follows from queue", "queue 1000 (words of 9000)")
    assert found[2][:2] == ("unexplained", "words of 20000"), "the ladders were alike again"
    assert found[3][:2] == ("follows from unexplained", "unexplained 20000 (words of 20500)")
    longer = causes_with_roots([difference(1_000, "cap"), difference(2_000), difference(3_000)],
                               {"btc": [(1_100, 2_500), (2_600, None)]})  # fmt: skip
    assert [cause.name for cause in longer] == ["cap", "follows from cap", "follows from cap"]


def test_ladders_that_parted_by_another_anchor_have_it_as_the_cause_of_the_first_difference_and_the_rest_is_behind_it():
    """The ladders are recorded up to a second after they parted."""
    rows = [difference(20_600), difference(20_000), difference(29_000), difference(26_000, "queue")]
    asked = []

    def around(strategy: str, at_ms: int) -> str:
        asked.append((strategy, at_ms))
        return "around others"

    found = causes_with_roots(rows, {"btc": [(20_900, None)]}, around)
    assert [cause[:2] for cause in found] == [
        ("follows from anchor", "unexplained 20000 (words of 20600)"),
        ("anchor", "around others"),
        ("follows from anchor", "unexplained 20000 (words of 29000)"),
        ("queue", "words of 26000"),
    ]
    assert [cause.root for cause in found] == [1, None, 1, None]
    assert asked == [("btc", 20_900)], "where they are known to be apart"


def test_another_price_that_one_side_saw_counts_where_nothing_came_before_and_others_follow_from_it():
    rows = [difference(20_600), difference(20_000), difference(40_000), difference(1_000, "queue"), difference(2_000)]
    found = causes_with_roots(rows, {"btc": [(1_500, 3_000), (20_100, 30_000)]}, seen=dict.fromkeys(range(5), "saw"))
    assert [cause[:2] for cause in found] == [
        ("follows from latency", "unexplained 20000 (words of 20600)"),
        ("latency", "saw"),
        ("latency", "saw"),
        ("queue", "words of 1000"),
        ("follows from queue", "queue 1000 (words of 2000)"),
    ]


def test_the_difference_that_parted_the_ladders_was_at_most_so_long_before():
    rows, since = [difference(100_000, "queue"), difference(109_000)], 100_000 + LATE_MS
    for parted, cause in ((since, "follows from queue"), (since + 1, "unexplained")):
        assert causes_with_roots(rows, {"btc": [(parted, None)]})[1].name == cause


def test_a_close_of_what_one_side_alone_has_opened_follows_from_that():
    def fill(
        at_ms: int, *, opens: bool, alone: str = "here", leg: str = "long", cause: str = "unexplained"
    ) -> Difference:
        return Difference(at_ms, "btc", cause, "words", f"{cause} {at_ms}", alone=alone, leg=leg, opens=opens)

    opening = fill(1_000, opens=True, cause="cap")
    for close, cause in (
        (fill(90_000, opens=False), "follows from cap"),
        (fill(90_000, opens=False, cause="queue"), "queue"),
        (fill(90_000, opens=True), "unexplained"),
        (fill(90_000, opens=False, leg="short"), "unexplained"),
        (fill(90_000, opens=False, alone="there"), "unexplained"),
        (fill(500, opens=False), "unexplained"),
    ):
        assert [each.name for each in causes_with_roots([close, opening], {})] == [cause, "cap"]


def test_another_size_follows_from_the_difference_before_it():
    resized = Difference(9_000, "btc", "unexplained", "another size", "size", resized=True)
    for before, cause in ((difference(1_000, "latency"), "follows from latency"),
                          (difference(1_000, "latency", "eth"), "unexplained")):  # fmt: skip
        assert causes_with_roots([resized, before], {})[0][0] == cause


def test_their_order_does_not_matter_and_a_cause_of_its_own_stays():
    rows = [difference(9_000), difference(9_100, "halt"), difference(1_000, "queue")]
    found = causes_with_roots(rows, {"btc": [(1_500, None)]})
    assert [cause.name for cause in found] == ["follows from queue", "halt", "queue"]


@case_table(
    "ladders",
    [
        {},
        {"eth": [(1_500, None)]},
        {"btc": [(1_000 + LATE_MS + 1, None)]},
        {"btc": [(900, 950)]},
        {"btc": [(900, None)]},
    ],
)
def test_nothing_follows_where_the_ladders_were_alike_or_parted_by_something_else(ladders):
    rows = [difference(1_000, "queue"), difference(9_000), difference(9_000, strategy="eth")]
    assert [cause.name for cause in causes_with_roots(rows, ladders)] == ["queue", "unexplained", "unexplained"]
