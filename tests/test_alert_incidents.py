"""Alerts as incidents: a beginning, a count and an end."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gridbot.incidents import (
    ENDS_AFTER_S,
    OPEN_MAX,
    QUIET_S,
    Change,
    Event,
    Incidents,
    Looked,
    Name,
    Over,
    Phase,
    Standing,
    Told,
    ends_after_s,
    step,
)

HALT, CAP, FOREIGN = Name("halt.BTCUSDT", "btc"), Name("cap.btc.max_notional"), Name("foreign.BTCUSDT", "btc")
OFF = Looked({})
ROOT = Path(__file__).resolve().parent.parent


def looked(*names: Name, level: str = "error", text: str = "it stands") -> Looked:
    return Looked(dict.fromkeys(names, Standing(level, text)))


class Book:
    """Incidents over time; `told` are the phases and texts so far."""

    def __init__(self) -> None:
        self.state = Incidents()
        self.told: list[tuple[Phase, str]] = []
        self.newest: list[Change] = []

    def take(self, at_s: float, *events: Event) -> None:
        for event in events:
            self.state, self.newest = step(self.state, event, at_s, int(at_s * 1e6))
            self.told += [(phase, text) for phase, _, text in self.newest]

    def count(self, name: Name) -> int:
        return self.state.open[name].count


def test_what_happens_again_is_counted_and_is_over_after_a_quiet_time() -> None:
    book = Book()
    for at_s in (0.0, 1.0, 599.0):
        book.take(at_s, Told(FOREIGN, "warning", f"seen at {at_s:.0f}"), OFF)
    assert book.told == [(Phase.BEGUN, "seen at 0")]
    assert book.count(FOREIGN) == 3
    [row] = book.state.rows()
    assert (row["key"], row["where"], row["count"], row["text"]) == ("foreign.BTCUSDT", "btc", 3, "seen at 599")
    assert row["began_us"] == 0
    book.take(599.0 + QUIET_S - 1, OFF)
    assert len(book.told) == 1
    book.take(599.0 + QUIET_S, OFF)
    assert book.told[1:] == [(Phase.ENDED, "over, 3 times in 1199 s: seen at 599")]
    assert book.state.rows() == []


def test_without_a_look_the_next_time_after_a_quiet_one_is_a_new_incident() -> None:
    book = Book()
    book.take(0.0, Told(FOREIGN, "warning", "once"))
    book.take(QUIET_S, Told(FOREIGN, "warning", "again"))
    assert book.told == [(Phase.BEGUN, "once"), (Phase.ENDED, "over, in 600 s: once"), (Phase.BEGUN, "again")]


def test_what_stands_is_over_when_it_does_not_stand_any_more() -> None:
    book = Book()
    book.take(0.0, Told(HALT, "error", "btc is halted"), looked(HALT))
    book.take(1.0, looked(HALT))
    assert book.count(HALT) == 1, "it was told and then seen: once"
    book.take(2.0, OFF)
    assert [phase for phase, _ in book.told] == [Phase.BEGUN, Phase.ENDED]


def test_a_look_finds_what_nobody_has_told() -> None:
    book = Book()
    book.take(0.0, looked(HALT, text="halted since yesterday"))
    assert book.told == [(Phase.BEGUN, "halted since yesterday")]


def test_what_comes_and_goes_is_one_incident() -> None:
    """35 warnings of one cap within an episode."""
    book = Book()
    for at_s in range(0, 350, 10):
        book.take(float(at_s), Told(CAP, "warning", "81 % used"), looked(CAP, level="warning"))
        book.take(at_s + 5.0, OFF)
    assert book.told == [(Phase.BEGUN, "81 % used")]
    assert book.count(CAP) == 35
    book.take(400.0, OFF)
    assert [phase for phase, _ in book.told] == [Phase.BEGUN, Phase.ENDED]


def test_what_stands_again_without_being_told_counts_too() -> None:
    book = Book()
    for at_s in (0.0, 20.0, 40.0):
        book.take(at_s, looked(CAP), looked(CAP))
        book.take(at_s + 10, OFF, OFF)
    assert book.count(CAP) == 3


def test_a_higher_level_is_told_once_more_and_a_lower_one_is_not() -> None:
    down, book = Name("down", "worker-a"), Book()
    for at_s, level in enumerate(("error", "error", "critical", "error", "critical")):
        book.take(float(at_s), Told(down, level, f"death {at_s}"))
    assert book.told == [(Phase.BEGUN, "death 0"), (Phase.WORSE, "death 2")]
    assert (book.state.open[down].level, book.count(down)) == ("critical", 5)


def test_a_cause_that_becomes_known_is_told_once_more_and_one_that_is_not_known_any_more_is_not() -> None:
    book, name = Book(), Name("refused.X", "s")
    for at_s, cause in enumerate(("", "an order", "an order", "", "another")):
        book.take(float(at_s), Looked({name: Standing("error", f"because of {cause}", cause)}))
    assert book.told == [
        (Phase.BEGUN, "because of "),
        (Phase.WORSE, "because of an order"),
        (Phase.WORSE, "because of another"),
    ]
    assert book.count(name) == 1


def test_its_owner_ends_it_with_words_of_his_own() -> None:
    journal, book = Name("journal"), Book()
    book.take(0.0, Told(journal, "error", "full"))
    book.take(1e6, OFF)
    book.take(2e6, Over(journal, "written again"), Over(journal, "written again"))
    assert book.told == [(Phase.BEGUN, "full"), (Phase.ENDED, "written again")]


def test_what_another_alert_tells_of_is_only_counted() -> None:
    fault, book = Name("fault.BTCUSDT", "", "a price, ValueError"), Book()
    book.take(0.0, Told(fault, "error", "a price failed", shown=False))
    book.take(1.0, Told(fault, "error", "a price failed", shown=False))
    assert (book.told, book.state.rows(), book.count(fault)) == ([], [], 2)


def test_memory_is_bounded_and_the_quietest_makes_room() -> None:
    book = Book()
    for number in range(OPEN_MAX):
        book.take(float(number), Told(Name("fault", "", str(number)), "error", str(number)))
    book.take(250.0, Told(Name("fault", "", "0"), "error", "0"), Told(Name("fault", "", "new"), "error", "new"))
    assert len(book.state.open) == OPEN_MAX
    assert book.told[-1] == (Phase.ENDED, "over, in 249 s: 1")


def test_what_is_watched_ends_by_its_watch_and_all_else_by_silence() -> None:
    assert ends_after_s(Name("halt.ETHUSDT")) == 0
    assert ends_after_s(Name("journal")) == math.inf
    assert ends_after_s(Name("foreign.BTCUSDT")) == QUIET_S
    assert "foreign" not in ENDS_AFTER_S


def test_what_stands_is_over_when_it_stands_no_more() -> None:
    """Else an alert says for ten minutes what is no longer so: an account that trades again has no open `lease`."""
    named = re.compile(r'Name\(\s*f?"(\w+)[^)]*\)\]?\s*[=:]\s*Standing\(')
    files = [path for room in ("gridbot", "supervisor") for path in (ROOT / room).rglob("*.py")]
    keys = {key for path in files for key in named.findall(path.read_text())}
    assert {"lease", "halt", "cap", "fleet_database"} <= keys
    # An operator's `resume` ends it, with words of its own.
    assert keys - ENDS_AFTER_S.keys() == {"latched"}


NAMES = (HALT, CAP, FOREIGN, Name("journal"), Name("fault", "", "x"))
LEVELS = st.sampled_from(("warning", "error", "critical"))
EVENTS = st.one_of(
    st.builds(Told, st.sampled_from(NAMES), LEVELS, st.just("t"), st.booleans()),
    st.builds(Looked, st.dictionaries(st.sampled_from(NAMES), st.builds(Standing, LEVELS, st.just("t")))),
    st.builds(Over, st.sampled_from(NAMES), st.just("")),
)


@given(st.lists(st.tuples(st.floats(0, 400), EVENTS), max_size=40))
def test_every_incident_begins_once_ends_once_and_counts_everything(run: list[tuple[float, Event]]) -> None:
    state, now_s = Incidents(), 0.0
    told: dict[Name, list[Phase]] = {}
    for wait_s, event in run:
        now_s += wait_s
        before = state
        state, changes = step(state, event, now_s, int(now_s * 1e6))
        for phase, incident, _ in changes:
            told.setdefault(incident.name, []).append(phase)
        assert state.open.keys() <= before.open.keys() | _named(event)
        for name, incident in state.open.items():
            assert incident.last_s <= now_s
            assert incident.count >= (before.open[name].count if incident.began_us < int(now_s * 1e6) else 1)
            if isinstance(event, Looked) and name not in event.standing:
                assert now_s - incident.last_s < ends_after_s(name), "a look ends what has been quiet for long enough"
        if isinstance(event, Looked):
            assert event.standing.keys() <= state.open.keys(), "what stands is open"
    for name, phases in told.items():
        runs = "".join(phase[0] for phase in phases).replace("w", "")
        assert runs.strip("be") == ""
        assert "bb" not in runs, "it does not begin twice"
        assert "ee" not in runs, "it does not end twice"
        shown = name in state.open and state.open[name].shown
        assert runs.startswith("b")
        assert runs.endswith("b") == shown, "what begun and did not end is open"


def _named(event: Event) -> Iterable[Name]:
    return event.standing.keys() if isinstance(event, Looked) else {event.name}
