"""One address: what waits, what is on its way, limits, retries. Nothing is lost, told twice or told too often."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisor.notify import delivery_line
from supervisor.notify.alert_notices import Kind, Notice
from supervisor.notify.delivery_line import Limits, Line, delivered, failed, put, take
from tests.supervisor.notify.notice_kit import NOON_US, US, notice

LIMITS = Limits()


def test_an_alert_waits_for_others_and_they_are_one_message() -> None:
    line = put(Line(), [notice("a", Kind.BEGUN)])
    line, none = take(line, LIMITS, NOON_US + 4 * US)
    line = put(line, [notice("b", Kind.BEGUN, put_us=NOON_US + 4 * US)])
    line, both = take(line, LIMITS, NOON_US + 5 * US)
    assert (none, [each.name for each in both]) == ((), ["a", "b"])
    line = put(line, [notice("a", Kind.ENDED, put_us=NOON_US + 5 * US)])
    assert take(line, LIMITS, NOON_US + 60 * US)[1] == (), "one at a time to an address"
    line = delivered(line)
    assert (line.messages, line.sent, line.flying) == (1, 2, ())
    assert [each.kind for each in take(line, LIMITS, NOON_US + 60 * US)[1]] == [Kind.ENDED]


def test_a_letter_does_not_wait_and_goes_alone() -> None:
    letter = notice("summary", Kind.LETTER)
    line, first = take(put(Line(), [letter, notice("a", Kind.BEGUN)]), LIMITS, NOON_US)
    line, then = take(delivered(line), LIMITS, NOON_US + 10 * US)
    assert [each.name for each in (*first, *then)] == ["summary", "a"]


def test_an_end_is_told_to_whom_the_beginning_was_and_what_got_worse_may_begin() -> None:
    """A route for errors hears nothing of a warning, until that has become an error."""
    assert put(Line(), [notice("a", Kind.ENDED)]) == Line()
    line = put(Line(), [notice("a", Kind.WORSE)])
    assert [each.kind for each in line.waiting] == [Kind.BEGUN]
    line = put(line, [notice("a", Kind.ENDED), notice("a", Kind.ENDED)])
    assert [(each.kind, each.news) for each in line.waiting] == [(Kind.PASSED, 2)]
    assert line.told == frozenset()


def test_what_fails_is_tried_again_later_each_time_joined_with_what_came_meanwhile() -> None:
    line = put(Line(), [notice("a", Kind.BEGUN)])
    now_us, waits = NOON_US + 5 * US, []
    for _ in range(9):
        line, sent = take(line, LIMITS, now_us)
        assert [each.name for each in sent] == ["a"]
        line = failed(line, "HTTP 500", LIMITS, now_us)
        assert take(line, LIMITS, line.next_us - 1)[1] == ()
        waits.append((line.next_us - now_us) // US)
        now_us = line.next_us
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert (line.problem, line.tries, line.failing_us) == ("HTTP 500", 9, NOON_US + 5 * US)
    line = put(line, [notice("a", Kind.ENDED), notice("b", Kind.BEGUN)])
    line, sent = take(line, LIMITS, now_us)
    assert [(each.name, each.kind) for each in sent] == [("a", Kind.PASSED), ("b", Kind.BEGUN)]
    line = delivered(line)
    assert (line.problem, line.tries, line.failing_us, line.sent, line.put) == ("", 0, 0, 3, 3)


def test_what_cannot_be_delivered_for_a_day_is_given_up_and_counted() -> None:
    line, now_us = put(Line(), [notice("a", Kind.BEGUN), notice("b", Kind.BEGUN)]), NOON_US + 9 * US
    while line.waiting:
        assert (len(line.waiting), line.given_up) == (2, 0)
        line, sent = take(line, LIMITS, now_us)
        assert len(sent) == 2
        now_us += 30 * US  # the service does not answer
        line = failed(line, "away", LIMITS, now_us)
        line, now_us = Line.from_document(line.to_document()), line.next_us
    assert 0 <= now_us - NOON_US - LIMITS.give_up_us < 2 * LIMITS.retry_most_us + 30 * US
    assert (line.waiting, line.given_up, line.lost) == ((), 2, 2)
    assert put(line, [notice("a", Kind.ENDED)]).waiting == (), "it never heard of the beginning"
    assert [each.kind for each in put(line, [notice("a", Kind.WORSE)]).waiting] == [Kind.BEGUN]
    assert delivered(line).lost == 0, "the message that arrives says it"


def test_what_is_old_but_was_hardly_tried_is_not_given_up() -> None:
    """The machine was off for a week, or its clock began in 1970; at its start the network is not there yet."""
    old = put(Line(), [notice("a", Kind.BEGUN, put_us=NOON_US - 7 * LIMITS.give_up_us)])
    for again in range(20):
        line, _ = take(old, LIMITS, NOON_US + again * LIMITS.retry_most_us)
        old = failed(line, "away", LIMITS, NOON_US + again * LIMITS.retry_most_us)
    assert (len(old.waiting), old.given_up) == (1, 0)
    before = {name: value for name, value in old.to_document().items() if name != delivery_line.NEW}
    assert Line.from_document(before) == replace(old, waited_us=0), "a file of an earlier version"


def test_without_room_the_least_important_goes_first() -> None:
    many = [notice(f"w{n}", Kind.BEGUN, level="WARNING", put_us=n) for n in range(delivery_line.MOST_WAITING)]
    line = put(put(Line(), [notice("c", Kind.BEGUN, level="CRITICAL", put_us=0)]), many)
    assert (len(line.waiting), line.given_up) == (delivery_line.MOST_WAITING, 1)
    assert "c" in {each.name for each in line.waiting}
    assert "w0" not in {each.name for each in line.waiting}


def test_what_is_critical_goes_before_what_waits_and_all_else_in_its_order() -> None:
    levels = {"c": "CRITICAL", "e": "CRITICAL"}
    those = [notice(name, Kind.BEGUN, level=levels.get(name, "ERROR"), text="x" * 900, key=name) for name in "abcdef"]
    many = [notice(f"w{n}", Kind.BEGUN, level="WARNING", key=f"key{n}", text="y" * 900) for n in range(99)]
    line, sent = take(put(Line(), [*many, *those]), LIMITS, NOON_US + 9 * US)
    assert [each.name for each in sent][:4] == ["c", "e", "w0", "w1"]
    line, sent = take(delivered(line), LIMITS, NOON_US + 19 * US)
    order = [each.name for each in (*sent, *line.waiting)]
    assert order == [name for name in (*(each.name for each in many), *"abdf") if name in order]


def test_in_quiet_hours_only_what_is_bad_enough_and_letters_go() -> None:
    those = [notice("a", Kind.BEGUN), notice("b", Kind.BEGUN, level="CRITICAL"), notice("c", Kind.BEGUN)]
    line, sent = take(put(Line(), those), LIMITS, NOON_US + 9 * US, "CRITICAL")
    assert [each.name for each in sent] == ["b"]
    line, none = take(delivered(line), LIMITS, NOON_US + 99 * US, "CRITICAL")
    line, rest = take(line, LIMITS, NOON_US + 999 * US)
    assert ([each.name for each in none], [each.name for each in rest]) == ([], ["a", "c"])


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    line, _ = take(put(Line(), [notice("a", Kind.BEGUN)]), LIMITS, NOON_US + 9 * US)
    line = failed(line, "away", LIMITS, NOON_US + 9 * US)
    yesterday_us = NOON_US - 86_400 * US
    assert [each.name for each in take(line, LIMITS, yesterday_us)[1]] == ["a"]


def test_what_was_on_its_way_is_sent_again_after_a_restart() -> None:
    line, _ = take(put(Line(), [notice("a", Kind.BEGUN), notice("b", Kind.BEGUN)]), LIMITS, NOON_US + 9 * US)
    again = Line.from_document(line.to_document())
    assert again == replace(line, waiting=line.flying, flying=())


class LineMachine(RuleBasedStateMachine):
    """Alerts come, time passes, messages arrive or fail, the process dies: against a plain count of the news."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line()
        self.now_us = NOON_US
        self.open: set[str] = set()
        self.put = 0
        self.came: list[str] = []
        self.sent: list[tuple[Notice, ...]] = []
        self.starts: list[int] = []

    @rule(name=st.sampled_from("abcdef"), level=st.sampled_from(["WARNING", "ERROR", "CRITICAL"]))
    def alert(self, name: str, level: str) -> None:
        kind = Kind.ENDED if name in self.open else Kind.BEGUN
        self.open ^= {name}
        self.put += 1
        self.line = put(self.line, [notice(name, kind, level=level, put_us=self.now_us)])

    @rule(seconds=st.integers(0, 90), quiet=st.sampled_from(["", "CRITICAL"]))
    def time(self, seconds: int, quiet: str) -> None:
        self.now_us += seconds * US
        self.line, sent = take(self.line, LIMITS, self.now_us, quiet)
        if sent:
            self.starts.append(self.now_us)

    @precondition(lambda self: self.line.flying)
    @rule(arrives=st.booleans())
    def end(self, arrives: bool) -> None:
        if arrives:
            self.sent.append(self.line.flying)
        self.line = delivered(self.line) if arrives else failed(self.line, "away", LIMITS, self.now_us)

    @rule()
    def restart(self) -> None:
        self.line = Line.from_document(self.line.to_document())

    @invariant()
    def nothing_is_lost(self) -> None:
        here = sum(each.news for each in (*self.line.waiting, *self.line.flying))
        arrived = sum(each.news for message in self.sent for each in message)
        assert here + arrived + self.line.given_up == self.put == self.line.put
        assert self.line.sent == arrived

    @invariant()
    def not_too_often(self) -> None:
        assert all(then - start >= LIMITS.gather_us for start, then in pairwise(self.starts))
        per_minute = LIMITS.per_minute
        assert all(then - start >= 60 * US for start, then in zip(self.starts, self.starts[per_minute:], strict=False))

    @invariant()
    def each_address_hears_a_beginning_before_an_end(self) -> None:
        """Of each alert: begun, worse, ended, in turns."""
        open_there: set[str] = set()
        for each in (each for message in self.sent for each in message):
            if each.kind is Kind.BEGUN:
                assert each.name not in open_there
                open_there.add(each.name)
            elif each.kind is Kind.PASSED:
                assert each.name not in open_there
            else:
                assert each.name in open_there
                open_there -= {each.name} if each.kind is Kind.ENDED else set()


TestLine = LineMachine.TestCase
TestLine.settings = settings(max_examples=25, stateful_step_count=30, suppress_health_check=list(HealthCheck))
