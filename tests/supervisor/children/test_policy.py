"""The restart policy: cases by hand; `test_policy_machine.py` tries everything in any order."""

from __future__ import annotations

import pytest

from supervisor.children.policy import UNBORN_MOST, step
from supervisor.children.policy_types import (
    Alert,
    ChildState,
    Do,
    Exited,
    Hung,
    LaunchFailed,
    ProcessState,
    Ready,
    Report,
    Restart,
    RestartPolicy,
    Seen,
    Stalled,
    Start,
    Stop,
    Wait,
)

POLICY = RestartPolicy()
P = ProcessState


class Driver:
    """A policy with a clock of its own."""

    def __init__(self, policy=POLICY, jitter=0.0):
        self.now = 1.0
        self.state = ChildState()
        self.policy = policy
        self.jitter = jitter

    def give(self, *events, after=0.0):
        self.now += after
        self.state, actions = step(self.now, self.state, events, policy=self.policy, jitter=self.jitter)
        return [action for action in actions if isinstance(action, Do)]

    def alerts(self, *events):
        self.state, actions = step(self.now, self.state, events, policy=self.policy, jitter=self.jitter)
        return [action for action in actions if isinstance(action, Alert)]

    def is_in(self, process):
        return self.state.process is process

    def wait(self):
        assert self.state.due is not None
        return self.state.due - self.now

    def run(self):
        self.give(Start())
        self.give(Ready())
        return self


def test_only_a_stopped_child_shows_why_it_waits():
    driver = Driver()
    assert driver.give(Wait("waits for the writer")) == []
    assert (driver.state.process, driver.state.reason) == (P.STOPPED, "waits for the writer")
    driver.run()
    driver.give(Wait("waits for the writer"))
    assert (driver.state.process, driver.state.reason) == (P.RUNNING, "")


def test_start_and_ready():
    driver = Driver()
    assert driver.give(Start()) == [Do.LAUNCH]
    assert driver.is_in(P.STARTING)
    assert driver.give(Start()) == []
    assert driver.give(Ready()) == []
    assert driver.is_in(P.RUNNING)


def test_waits_double_to_the_limit():
    driver = Driver(RestartPolicy(max_restarts=20))
    driver.give(Start())
    waits = []
    for _ in range(8):
        assert driver.give(Exited(1)) == []
        waits.append(driver.wait())
        assert driver.give(after=waits[-1] - 0.001) == []
        assert driver.give(after=0.002) == [Do.LAUNCH]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])
    assert driver.state.restarts == 8


def test_jitter_only_shortens_by_at_most_a_quarter():
    assert [POLICY.delay(3, jitter) for jitter in (0.0, 0.5, 1.0)] == [4.0, 3.5, 3.0]


def test_first_at_once():
    driver = Driver(RestartPolicy(first_at_once=True)).run()
    assert driver.give(Exited(-9)) == [Do.LAUNCH]
    assert driver.state.restarts == 1
    driver.give(Exited(-9))
    assert driver.wait() == 1.0


def test_waits_begin_anew_after_a_minute_of_health():
    driver = Driver().run()
    for expected in (1.0, 2.0):
        driver.give(Exited(1))
        assert driver.wait() == expected
        driver.give(after=expected)
        driver.give(Ready())
    driver.give(Report(), after=30)
    for _ in range(8):
        driver.give(Report(), after=5)
    driver.give(Exited(1))
    assert driver.wait() == 1.0


def test_sixth_failure_in_ten_minutes_is_fatal():
    driver = Driver(RestartPolicy(backoff_max=1.0)).run()
    for _ in range(5):
        driver.give(Exited(-11))
        assert driver.is_in(P.BACKOFF)
        driver.give(after=1.0)
    alerts = driver.alerts(Exited(-11, "crashed"))
    assert driver.is_in(P.FATAL)
    assert [alert.level for alert in alerts] == ["CRITICAL"]
    assert "6 times" in driver.state.reason
    assert driver.give(after=10_000) == []
    assert driver.give(Start()) == [Do.LAUNCH]
    driver.give(Exited(1))
    assert driver.is_in(P.BACKOFF)


def test_failures_spread_over_more_than_the_window_are_not_fatal():
    driver = Driver(RestartPolicy(heartbeat_timeout=1e9, start_timeout=1e9)).run()
    for _ in range(20):
        driver.give(Exited(1), after=130)
        assert driver.is_in(P.BACKOFF)
        driver.give(after=61)
        driver.give(Ready())


def test_a_refused_configuration_is_fatal_at_once():
    driver = Driver()
    driver.give(Start())
    assert [alert.level for alert in driver.alerts(Exited(4, "refused"))] == ["CRITICAL"]
    assert driver.is_in(P.FATAL)


def test_a_refused_start_is_tried_for_ever():
    driver = Driver()
    driver.give(Start())
    for _ in range(50):
        assert [alert.level for alert in driver.alerts(Exited(7))] == ["ERROR"]
        assert driver.is_in(P.BACKOFF)
        assert driver.give(after=POLICY.backoff_max) == [Do.LAUNCH]


def test_spawn_failure_counts():
    driver = Driver()
    driver.give(Start())
    driver.give(LaunchFailed("no memory"))
    assert driver.is_in(P.BACKOFF)
    assert "no memory" in driver.state.reason
    assert not driver.state.alive


def test_a_fork_server_that_died_with_a_launch_under_way_costs_the_child_nothing():
    driver = Driver()
    driver.give(Start())
    for _ in range(2):
        driver.give(Seen(0.0, 0.0, on_disk=True), after=0.1)
    assert driver.state.excused > 0
    died = LaunchFailed("the process that forks the others has ended", server_died=True)
    for _ in range(UNBORN_MOST):
        assert driver.give(died) == [Do.LAUNCH]
        assert driver.is_in(P.STARTING)
        assert driver.state.excused == 0.0, "what the one before waited for says nothing of the next"
        assert (driver.state.failures, driver.state.recent, driver.state.restarts) == (0, (), 0)
    driver.give(died)
    assert driver.is_in(P.BACKOFF), "it may be the child that ends it"
    assert driver.state.failures == 1
    driver.give(after=POLICY.backoff_max)
    driver.give(Ready())
    assert driver.state.unborn == 0


def test_a_stop_during_such_a_launch_is_the_end():
    driver = Driver()
    driver.give(Start())
    driver.give(Stop())
    assert driver.give(LaunchFailed("it has ended", server_died=True)) == []
    assert driver.is_in(P.STOPPED)


@pytest.mark.parametrize("event", [Exited(10, "the disk is full"), LaunchFailed("no space left", short=True)])
def test_want_of_room_is_a_wait_with_one_alert(event):
    """After six quick failures on a full disk an account was FATAL for ever, although there was room again."""
    driver = Driver()
    driver.give(Start())
    told, waits = [], []
    for _ in range(50):
        told += driver.alerts(event)
        assert driver.is_in(P.BACKOFF)
        waits.append(driver.wait())
        assert driver.give(after=waits[-1]) == [Do.LAUNCH]
    assert max(waits) == POLICY.room_wait == 5.0
    assert waits[:3] == [1.0, 2.0, 4.0]
    assert [alert.level for alert in told] == ["ERROR"]
    assert "waits until there is room" in told[0].text
    assert driver.alerts(Ready()) == []
    driver.give(Exited(1), after=100)
    assert driver.wait() == 1.0


def test_another_failure_than_want_of_room_counts_again():
    driver = Driver(RestartPolicy(backoff_max=1.0))
    driver.give(Start())
    for code in (10, 1, 10, 1, 10, 1, 1, 1):
        driver.give(Exited(code))
        driver.give(after=1.0)
    driver.give(Exited(1))
    assert driver.is_in(P.FATAL)


@pytest.mark.parametrize(("ready", "limit"), [(False, 60.0), (True, 10.0)])
def test_silence_is_death(ready, limit):
    driver = Driver()
    driver.give(Start())
    if ready:
        driver.give(Ready())
    assert driver.give(after=limit) == []
    assert driver.give(Report()) == []
    assert driver.give(after=limit) == []
    assert driver.give(after=0.1) == [Do.ABORT]
    assert driver.is_in(P.STOPPING)
    assert driver.give(after=1.0) == [Do.KILL]
    assert driver.give(Exited(-9)) == []
    assert driver.is_in(P.BACKOFF)
    assert "no report" in driver.state.reason


WRITER = RestartPolicy(works_in_silence=True, patience=60.0)


@pytest.mark.parametrize(
    ("policy", "ran", "waited", "on_disk", "killed_after"),
    [
        (POLICY, 0.0, 0.0, False, 10.0),  # stopped, or waiting for another of its threads for ever
        (WRITER, 0.0, 0.0, False, 10.0),
        (POLICY, 1.0, 0.0, False, 10.0),  # an endless loop: its orders are looked after by nobody
        (POLICY, 0.05, 0.95, False, 60.0),  # a core in twenty
        (POLICY, 0.25, 0.5, False, 18.0),  # two seconds before the first look, and half of what is behind it
        (POLICY, 0.0, 0.0, True, 60.0),  # a disk that does not answer
        (WRITER, 1.0, 0.0, False, 600.0),  # one call of DuckDB
        (WRITER, 0.05, 0.95, False, 600.0),
        (WRITER, 0.1, 0.9, True, 600.0),
        (WRITER, 2.0, 0.0, False, 600.0),  # by two threads at once
    ],
)
def test_slow_is_not_hung(policy, ran, waited, on_disk, killed_after):
    """At a load of 46 the writer was killed three times within a commit, and began it again each time."""
    driver = Driver(policy).run()
    began = driver.now
    told = []
    for second in range(2, 1000):
        now = float(second)
        seen = Seen(ran * now, waited * now, on_disk=on_disk)
        driver.state, actions = step(began + now, driver.state, [seen], policy=policy)
        told += [action.key for action in actions if isinstance(action, Alert)]
        if Do.ABORT in actions:
            break
    assert now == pytest.approx(killed_after, abs=1.01)
    assert told == ["down"] if killed_after == 10.0 else ["slow", "down"]
    assert driver.state.killed_for.startswith("no heartbeat")


def test_a_report_ends_what_was_excused():
    driver = Driver().run()
    for second in range(3, 30):
        assert driver.give(Seen(0.0, float(second), on_disk=False), after=1.0) == []
    assert driver.state.slow
    driver.give(Report())
    assert (driver.state.excused, driver.state.slow) == (0.0, False)
    assert driver.give(Seen(0.0, 30.0, on_disk=False), after=5.0) == []
    assert driver.give(Seen(0.0, 30.0, on_disk=False), after=5.1) == [Do.ABORT]


def test_why_it_was_killed_is_known_until_the_next_process():
    driver = Driver().run()
    driver.give(after=10.1)
    driver.give(Exited(-9, f"killed: {driver.state.killed_for}"), after=1.0)
    assert driver.state.reason == "killed: no heartbeat (no report for 10 s)"
    driver.give(after=1.0)
    assert driver.state.killed_for == ""
    driver.give(Ready())
    driver.give(Stop())
    driver.give(after=20)
    assert driver.state.killed_for == "it did not stop in time"
    driver.give(Exited(-9))
    driver.run()
    driver.give(Stop(force=True))
    assert driver.state.killed_for == "a stop by force"


def test_a_kill_for_silence_is_one_alert_and_the_last_of_too_many_another():
    """It was told, and counted, when it was decided and again when the process had ended."""
    driver = Driver(RestartPolicy(max_restarts=1)).run()
    driver.now += 10.1
    assert [alert.text for alert in driver.alerts()] == ["no heartbeat (no report for 10 s); it is killed"]
    assert driver.alerts(Exited(-9, "killed")) == []
    driver.give(after=1.0)
    driver.give(Ready())
    driver.now += 10.1
    driver.alerts()
    [given_up] = driver.alerts(Exited(-9, "killed"))
    assert (given_up.level, driver.state.process) == ("CRITICAL", P.FATAL)


def test_a_stall_of_the_supervisor_gives_time_and_is_no_report():
    driver = Driver().run()
    reported = driver.state.last_report
    assert driver.give(Stalled(), after=60.0) == []
    assert driver.give(after=10.0) == []
    assert driver.state.last_report == reported
    assert driver.give(after=0.1) == [Do.ABORT]


def test_silence_after_long_health_begins_at_the_first_wait():
    driver = Driver(RestartPolicy(heartbeat_timeout=100)).run()
    driver.give(Exited(1))
    driver.give(after=1)
    driver.give(Ready())
    assert driver.give(after=101) == [Do.ABORT]
    driver.give(Exited(-6))
    assert driver.wait() == 1.0


def test_stop_escalates():
    driver = Driver().run()
    assert driver.give(Stop()) == [Do.ASK_STOP]
    assert driver.give(Stop(), after=9.9) == []
    assert driver.give(after=0.2) == [Do.TERMINATE]
    assert driver.give(after=9.8) == []
    assert driver.give(after=0.2) == [Do.KILL]
    assert driver.give(after=100) == []
    assert driver.give(Exited(-9)) == []
    assert driver.is_in(P.STOPPED)


def test_stop_in_backoff_and_by_force():
    driver = Driver().run()
    driver.give(Exited(1))
    assert driver.give(Stop()) == []
    assert driver.is_in(P.STOPPED)
    driver.run()
    assert driver.give(Stop(force=True)) == [Do.ASK_STOP, Do.KILL]


def test_restart_in_order_is_not_counted():
    driver = Driver().run()
    for _ in range(20):
        assert driver.give(Restart()) == [Do.ASK_STOP]
        assert driver.give(Restart()) == []
        assert driver.give(Exited(0)) == [Do.LAUNCH]
        driver.give(Ready())
    assert driver.state.restarts == 0


def test_stop_overrides_a_restart_under_way():
    driver = Driver().run()
    driver.give(Restart())
    driver.give(Stop())
    assert driver.give(Exited(0)) == []
    assert driver.is_in(P.STOPPED)


def test_an_unasked_end_in_order_is_a_failure():
    driver = Driver().run()
    driver.give(Exited(0, "ended in order"))
    assert driver.is_in(P.BACKOFF)


def test_one_that_hangs_is_killed_at_once_and_started_again():
    driver = Driver().run()
    assert driver.give(Hung("it does not answer")) == [Do.KILL]
    assert (driver.state.killed_for, driver.state.process) == ("it does not answer", P.STOPPING)
    assert driver.give(Hung("again")) == []
    driver.give(Exited(-9, "killed by signal 9"))
    assert (driver.state.process, driver.state.reason) == (P.BACKOFF, "it does not answer; killed by signal 9")
    assert Driver().give(Hung("nobody is there")) == []
