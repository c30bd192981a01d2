"""Where a reading begins while the exchange's clock is behind what was read."""

from __future__ import annotations

from gridbot.orders.set_back import NOISE_MS, UNKNOWN_MS, SetBack

READ_MS = 10_000_000
"""The watermark."""


def test_while_the_clock_goes_on_the_watermark_tells() -> None:
    calm = SetBack().asked(READ_MS, READ_MS + 1, 5.0).answered(READ_MS)
    assert calm.begin_ms(READ_MS) == READ_MS
    noise = calm.asked(READ_MS, READ_MS - NOISE_MS, 6.0)
    assert noise.since_ms is None, "so little is how well it is measured"


def test_a_clock_that_nobody_has_measured_says_nothing() -> None:
    assert SetBack().asked(READ_MS, None, 5.0) == SetBack() == SetBack().answered(READ_MS)


def test_what_was_made_since_the_last_reading_is_read_by_the_clock_as_it_is_now() -> None:
    read = SetBack().asked(READ_MS, READ_MS + 1, 100.0).answered(READ_MS)
    back_ms = READ_MS - 300_000
    first = read.asked(READ_MS, back_ms + 20_000, 120.0)
    assert back_ms - 1 <= first.begin_ms(READ_MS) <= back_ms, "at the earliest it was set back right after that"
    failed = first.asked(READ_MS, back_ms + 30_000, 130.0)
    assert failed.begin_ms(READ_MS) == first.begin_ms(READ_MS), "the first question had no answer"
    second = failed.answered(READ_MS).asked(READ_MS, back_ms + 90_000, 190.0)
    assert second.begin_ms(READ_MS) == back_ms + 29_999, "since the reading before"
    over = second.answered(READ_MS).asked(READ_MS, READ_MS + 1, 500.0)
    assert over.begin_ms(READ_MS) == back_ms + 90_000, (
        "the clock has caught up, and what was made meanwhile is not read"
    )
    assert over.answered(READ_MS).begin_ms(READ_MS) == READ_MS


def test_the_first_reading_of_a_start_begins_well_before_now() -> None:
    assert SetBack().asked(READ_MS, READ_MS - 60_000, 5.0).begin_ms(READ_MS) == READ_MS - 60_000 - UNKNOWN_MS
    assert SetBack().asked(READ_MS, 1, 5.0).begin_ms(READ_MS) == 0


def test_an_answer_counts_for_nothing_when_the_clock_turns_out_to_have_been_set_back_before_the_question() -> None:
    """The question was refused for its time, which had the clock measured; it was asked again as it was."""
    read = SetBack().asked(READ_MS, READ_MS + 1, 100.0).answered(READ_MS)
    asked = read.asked(READ_MS, READ_MS + 60_000, 160.0)
    back_ms = READ_MS - 300_000
    again = asked.answered(READ_MS, back_ms + 1_000, 161.0).asked(READ_MS, back_ms + 60_000, 220.0)
    assert again.begin_ms(READ_MS) == back_ms + 60_000 - 120_001, "since the reading before it"
    assert asked.answered(READ_MS, READ_MS + 61_000 - NOISE_MS, 161.0) == asked.answered(READ_MS), (
        "by little it may err"
    )
