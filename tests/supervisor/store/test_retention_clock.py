from __future__ import annotations

from supervisor.store.retention_clock import AGREED_S, STEP_US, RetentionClock

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOW = 20_000 * DAY
HOUR_S = 3600.0


def looks(*seen: tuple[int, float]) -> list[int]:
    """As of when rows are old, at each (time of the wall after `NOW`, monotonic); the process begins at 100 s."""
    clock = RetentionClock()
    clock.begin(NOW, 100.0)
    clock.begin(NOW + 900 * DAY, 100.0)
    return [clock.now_us(NOW + wall_us, at_s) - NOW for wall_us, at_s in seen]


def test_a_start_goes_by_what_was_known_and_an_hour_later_by_the_clock() -> None:
    off = 40 * DAY  # for so long no bot ran, or the clock is wrong: nobody knows yet
    assert looks((off, 160.0), (off + 3600 * SECOND, 160.0 + HOUR_S)) == [60 * SECOND, off + 3600 * SECOND]
    assert looks((off, 160.0), (off + 1800 * SECOND, 160.0 + HOUR_S / 2)) == [60 * SECOND, 1860 * SECOND]
    assert looks((5 * SECOND, 160.0)) == [5 * SECOND], "never later than the clock"


def test_a_clock_that_is_far_ahead_for_minutes_deletes_nothing_more() -> None:
    hours = [(60 * SECOND + hour * 3600 * SECOND, 160.0 + hour * HOUR_S) for hour in range(5)]
    ahead = [*hours[:2], (hours[2][0] + 40 * DAY, hours[2][1]), *hours[3:]]
    assert looks(*ahead) == [wall_us for wall_us, _ in hours], "the step, and the step back"
    stays = [*hours[:2], *((wall_us + 40 * DAY, at_s) for wall_us, at_s in hours[2:4])]
    assert looks(*stays) == [hours[0][0], hours[1][0], hours[2][0], hours[3][0] + 40 * DAY]


def test_drift_is_no_step_and_an_empty_store_has_nothing_to_lose() -> None:
    drifts = [(60 * SECOND + n * (3600 * SECOND + STEP_US), 160.0 + n * HOUR_S) for n in range(4)]
    assert looks(*drifts)[1:] == [wall_us for wall_us, _ in drifts[1:]]
    clock = RetentionClock()
    clock.begin(None, 100.0)
    assert clock.now_us(NOW + DAY, 160.0) == NOW + DAY
    assert AGREED_S < HOUR_S
