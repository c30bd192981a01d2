"""The exchange's time carried on by the boot clock: how right it is, and what a jump of any clock does to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gridbot.lease.anchored_clock import MAX_UNCERTAIN_NS, AnchoredClock

MS = 1_000_000
EXCHANGE_MS = 1_800_000_000_000


@dataclass
class Machine:
    """`real_ns` is what passes; `boot_ns` what our boot clock has counted of it; `wall_ms` is set by hand."""

    real_ns: int = 0
    boot_ns: int = 50 * MS
    wall_ms: int = 1_800_000_000_000
    jumps: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = AnchoredClock(lambda: self.boot_ns, lambda: self.wall_ms, jumped=self.jumps.append)

    def passes(self, ms: float, *, rate: float = 1.0) -> None:
        self.real_ns += round(ms * MS)
        self.boot_ns += round(ms * MS * rate)

    def exchange_ms(self) -> float:
        return EXCHANGE_MS + self.real_ns / MS

    def measure(self, there_ms: float, back_ms: float) -> None:
        sent = self.clock.own_ms()
        self.passes(there_ms)
        server = int(self.exchange_ms())
        self.passes(back_ms)
        self.clock.learn(server, sent, self.clock.own_ms())


def test_before_the_first_measurement_it_is_our_wall_clock_and_nothing_may_be_sent():
    it = Machine()
    assert it.clock.now_ms() == it.wall_ms
    assert (it.clock.measured_ms, it.clock.uncertain_ns(0), it.clock.good_until_ns()) == (None, None, 0)
    it.clock.adopt(-60_000)
    assert it.clock.measured_ms is None


def test_a_step_of_the_wall_clock_changes_nothing():
    it = Machine()
    it.measure(10, 10)
    it.wall_ms += 3_600_000
    it.passes(1000)
    assert abs(it.clock.now_ms() - it.exchange_ms()) <= 2
    assert it.clock.offset_ms == it.clock.measured_ms == it.clock.now_ms() - it.wall_ms
    it.measure(10, 10)
    assert it.jumps == []


@given(
    st.lists(st.tuples(st.floats(0, 900), st.floats(0, 900), st.floats(0, 120_000)), min_size=1, max_size=6),
    st.floats(1 - 400e-6, 1 + 400e-6),
)
def test_it_is_as_right_as_it_says_whatever_the_network_and_the_drift(measurements, rate):
    it = Machine()
    for there, back, then in measurements:
        it.measure(there, back)
        it.passes(then, rate=rate)
        uncertain = it.clock.uncertain_ns(it.boot_ns)
        assert uncertain is not None
        assert abs(it.clock.now_ms() - it.exchange_ms()) * MS <= uncertain + 2 * MS
        assert (it.boot_ns <= it.clock.good_until_ns()) == (uncertain <= MAX_UNCERTAIN_NS)
    assert it.jumps == []


def test_a_pause_that_the_boot_clock_did_not_count_is_noticed_at_the_next_measurement():
    it = Machine()
    it.measure(10, 10)
    it.passes(1000)
    it.real_ns += 5_000 * MS  # the virtual machine stood still, and its clock with it
    assert it.clock.now_ms() < it.exchange_ms() - 4_900
    it.measure(10, 10)
    assert it.jumps == [it.boot_ns // MS * MS]
    assert abs(it.clock.now_ms() - it.exchange_ms()) <= 2


def test_a_bad_measurement_does_not_take_the_place_of_a_good_one_until_that_is_worse():
    it = Machine()
    it.measure(10, 10)
    good = it.clock.good_until_ns()
    it.passes(1000)
    it.measure(400, 400)
    assert it.clock.good_until_ns() == good
    it.measure(1500, 1500)  # too slow to say anything
    assert it.clock.good_until_ns() == good
    it.passes(900_000)
    it.measure(200, 200)
    assert it.clock.good_until_ns() > good
