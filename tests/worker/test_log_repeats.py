"""The same line again is counted, and told with the next one that is written."""

from __future__ import annotations

from gridbot.worker.log_repeats import KEPT, QUIET_S, Repeats


class Clock:
    now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


def test_the_same_again_is_counted_until_a_minute_has_passed() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert repeats.tail("full") == ""
    assert [repeats.tail("full"), repeats.tail("full")] == [None, None]
    assert repeats.tail("other") == "", "each line has its own minute"
    clock.now_s += QUIET_S - 0.5
    assert repeats.tail("full") is None
    clock.now_s += 0.5
    assert repeats.tail("full") == " (and 3 more like it since the last line)"
    clock.now_s += QUIET_S
    assert repeats.tail("full") == ""


def test_it_remembers_the_newest_lines_only() -> None:
    repeats = Repeats(Clock())
    for number in range(KEPT + 1):
        repeats.tail(str(number))
    assert repeats.tail("1") is None
    assert repeats.tail("0") == ""
