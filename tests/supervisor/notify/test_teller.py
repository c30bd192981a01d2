"""Who is told what: storms, a service that is away for an hour, deaths in between; in time that the test moves."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable

import orjson
import pytest
import pytz

from supervisor.notify.alert_notices import Kind
from supervisor.notify.alert_routes import Route, fits
from supervisor.notify.message_text import Message
from supervisor.notify.quiet_hours import QuietHours
from supervisor.notify.teller import Event, Heard, Listed, Orphaned, Passed, Plan, Teller, Went, due, step
from tests.supervisor.metrics.metric_models import recorded
from tests.supervisor.notify.notice_kit import NOON_US, US, notice, plan, seen


class Night:
    """A teller with services that answer as the test says; `sent` has (second, address, message)."""

    def __init__(self, made: Plan, service: Callable[[str, int], str] = lambda line, second: "") -> None:
        self.plan, self.service = made, service
        self.state = Teller()
        self.second = 0
        self.last = 0
        self.sent: list[tuple[int, str, Message]] = []
        self.tries = 0

    @property
    def now_us(self) -> int:
        return NOON_US + self.second * US

    def hears(self, *rows: tuple[str, str], run: str = "r1", **more: object) -> None:
        """(id, phase) of alerts, each of an account of its own unless it has a dot."""
        self.last += len(rows)
        read = tuple(seen(name, phase, account=name.partition(".")[0], about=name) for name, phase in rows)
        self._step(Heard(run, self.last, read, **more))  # type: ignore[arg-type]

    def passes(self, seconds: int) -> None:
        for _ in range(seconds):
            self.second += 1
            self._step(Passed())
            self.sends()

    def sends(self) -> None:
        self.state, messages = due(self.state, self.plan, self.now_us)
        for line, message in messages:
            self.tries += 1
            problem = self.service(line, self.second)
            if not problem:
                self.sent.append((self.second, line, message))
            self._step(Went(line, problem))

    def dies(self) -> None:
        document = orjson.loads(orjson.dumps(self.state.to_document()))
        self.state = Teller.from_document(document, self.plan.line_names)

    def named(self, line: str = "phone") -> Counter[str]:
        """How often each alert is named in what arrived there."""
        text = "\n".join(f"{m.title}\n{m.body}" for _, name, m in self.sent if name == line)
        return Counter(re.findall(r"\b[a-z]+[0-9]*\.[a-z0-9]+\b", text))

    def _step(self, event: Event) -> None:
        self.state = step(self.state, event, self.plan, self.now_us)


def test_a_storm_of_500_alerts_a_minute_from_50_accounts_is_a_few_messages_in_order_and_names_each_once() -> None:
    night, draw = Night(plan()), random.Random(7)
    names = [f"a{n % 50}.s{n}" for n in range(500)]
    at = 0
    for _ in range(60):
        upto = min(len(names), at + draw.randint(0, 17))
        night.hears(*((name, "begun") for name in names[at:upto]))
        night.passes(1)
        at = upto
        if draw.random() < 0.1:
            night.dies()
    night.hears(*((name, "begun") for name in names[at:]))
    night.passes(120)
    assert len(night.sent) <= 20
    assert night.named() == Counter(dict.fromkeys(names, 1))
    line = night.state.lines["phone"]
    assert (line.put, line.sent, line.waiting, line.given_up) == (500, 500, (), 0)
    starts = [second for second, _, _ in night.sent]
    assert all(sum(0 <= start - first < 60 for start in starts) <= 10 for first in starts)


def test_what_comes_first_is_told_first() -> None:
    night = Night(plan())
    for number in range(300):
        night.hears((f"a{number % 50}.s{number}", "begun"))
        if number % 8 == 0:
            night.passes(1)
    night.passes(300)
    told = re.findall(r"a[0-9]+\.s([0-9]+)", "\n".join(message.body for _, _, message in night.sent))
    assert list(map(int, told)) == sorted(map(int, told))
    assert len(told) == 300


def test_a_service_that_is_away_for_an_hour_costs_no_alert_and_then_has_few_messages() -> None:
    night = Night(plan(), lambda line, second: "HTTP 503" if 60 <= second < 3660 else "")
    night.hears(("a.open", "begun"), ("b.over", "begun"))
    night.passes(60)
    for minute in range(60):
        night.hears(("c.flaps", "begun" if minute % 2 == 0 else "ended"), (f"d.x{minute}", "begun"))
        night.passes(60)
        if minute == 30:
            night.dies()
    night.hears(("b.over", "ended"), *((f"d.x{minute}", "ended") for minute in range(30)))
    assert night.state.lines["phone"].problem == "HTTP 503"
    tries = night.tries
    assert tries < 25, "later each time"
    night.passes(600)
    after = [message for second, _, message in night.sent if second > 3600]
    assert len(after) <= 3
    assert night.named() == Counter({"a.open": 1, "b.over": 2, "c.flaps": 1, **{f"d.x{n}": 1 for n in range(60)}})
    assert "over already" in after[0].body
    line = night.state.lines["phone"]
    assert (line.sent, line.waiting, line.problem) == (line.put, (), "")


ROUTES = (
    Route("all", ("all",), level="WARNING", keeps_quiet=False),
    Route("bad", ("bad",), level="CRITICAL", fleet=False),
    Route("north", ("north.1", "north.2"), accounts=("al*",), groups=("night",), fleet=False),
)
GROUPS = {"alice": (), "bob": ("night",), "carol": ("day",)}


@pytest.mark.parametrize(
    ("level", "account", "lines"),
    [
        ("WARNING", "alice", "all north"),
        ("CRITICAL", "bob", "all bad north"),
        ("ERROR", "carol", "all"),
        ("ERROR", "nobody", "all"),
        ("CRITICAL", "", "all"),
        ("INFO", "carol", ""),
    ],
)
def test_routes_by_level_account_and_group(level: str, account: str, lines: str) -> None:
    alert = notice("a", Kind.BEGUN, level=level, account=account)
    assert [route.name for route in ROUTES if fits(route, alert, GROUPS)] == lines.split()


def test_each_address_of_a_route_has_its_own_retries_and_quiet_hours_hold_where_they_are_wanted() -> None:
    quiet = QuietHours(12 * 60, 12 * 60 + 2, pytz.utc)
    made = plan(*ROUTES, quiet=quiet, groups=GROUPS)
    night = Night(made, lambda line, second: "away" if line == "north.2" else "")
    night.hears(("bob.x", "begun"))
    night.passes(119)
    assert [line for _, line, _ in night.sent] == ["all"]
    night.passes(30)
    assert [line for _, line, _ in night.sent] == ["all", "north.1"]
    assert night.state.lines["north.2"].tries > 1


def test_a_supervisor_that_starts_again_unasked_says_so_and_one_that_was_stopped_does_not() -> None:
    night = Night(plan())
    night.hears(run="r1")
    night.hears(run="r2")
    night.passes(10)
    [(_, _, message)] = night.sent
    assert "nobody had stopped it" in message.body
    assert message.title == "gridbot: the supervisor has started again"
    night.hears(run="r2", stopping=True)
    night.hears(run="r3")
    night.passes(10)
    assert len(night.sent) == 1


def test_who_is_killed_in_its_stop_was_asked_to_stop_and_a_clock_set_back_makes_no_start_a_new_one() -> None:
    night = Night(plan())
    night.hears(run="r1", stopping=True)
    night._step(Orphaned())
    night.passes(10)
    assert [message.body.partition(".")[0] for _, _, message in night.sent] == [
        "It was killed before its stop was done"
    ]
    night = Night(plan(calm_us=60 * US))
    night.hears(("a.x", "begun"), asked={"": night.now_us + 3600 * US})
    night.passes(10)
    assert [message.title for _, _, message in night.sent] == ["gridbot: ERROR a.x: halt"]


def test_the_end_of_the_supervisor_and_news_that_were_missed_are_letters() -> None:
    night = Night(plan(quiet=QuietHours(0, 24 * 60 - 1, pytz.utc)))
    night.hears(missed=7)
    night._step(Orphaned())
    night.passes(10)
    assert [message.title for _, _, message in night.sent] == [
        "gridbot: the supervisor is gone",
        "gridbot: news were missed",
    ]
    assert night.sent[1][2].body.startswith("7 changes")


def test_the_summary_comes_once_a_day_and_compares_with_the_one_before() -> None:
    night = Night(plan(summary_at=12 * 60))
    model = recorded()
    night._step(Listed(model, ()))
    night.passes(1)
    [(_, _, first)] = night.sent
    assert first.title == "gridbot: daily summary"
    night.dies()
    night._step(Listed(model, ()))
    night.passes(60)
    assert len(night.sent) == 1
    night.second += 86_400
    night._step(Listed(model, ()))
    night.passes(1)
    assert ", earned +0.00" in night.sent[1][2].body
    night.second += 86_400
    rows = [{**row, "equity": None} for row in model["accounts"]]
    young = {**model, "accounts": rows, "supervisor": {**model["supervisor"], "uptime_s": 5.0}}
    night._step(Listed(young, ()))
    night.passes(1)
    assert len(night.sent) == 2, "it has just started, and nobody has reported yet"
    night._step(Listed({**young, "supervisor": {**model["supervisor"], "uptime_s": 121.0}}, ()))
    night.passes(1)
    assert "(without 2 accounts that do not report)" in night.sent[2][2].body


def test_a_document_of_another_version_is_refused_and_lines_of_routes_that_are_gone_are_left_out() -> None:
    night = Night(plan())
    night.hears(("a.x", "begun"))
    document = orjson.loads(orjson.dumps(night.state.to_document()))
    assert Teller.from_document(document, ["other"]).lines == {}
    several = Teller.from_document(document, ["phone.1", "phone.2"])
    assert several.lines == {"phone.1": night.state.lines["phone"]}, "a second address has come"
    again = orjson.loads(orjson.dumps(several.to_document()))
    assert Teller.from_document(again, ["phone"]).lines == night.state.lines
    with pytest.raises(ValueError):
        Teller.from_document({**document, "format": 0}, [])
