"""A process beside the fleet that stays away is an open alert where people rely on it; it runs when it is its turn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from supervisor.children.policy_types import ProcessState, Start, Stop
from supervisor.cli.detached_start import warned
from supervisor.process.notify_keeper import NotifyKeeper
from supervisor.process.side_keeper import AWAY_S, SideKeeper
from supervisor.process.telegram_keeper import TelegramKeeper
from supervisor.process.web_keeper import WebKeeper

STARTING: Any = SimpleNamespace(complete=True)
STOPPING: Any = SimpleNamespace(begun=False)


class Place:
    """A keeper whose child the test moves; `told` has the events that its policy gets."""

    def __init__(self, kind: type[SideKeeper]) -> None:
        self.now_s, self.may, self.told = 0.0, True, list[Any]()
        state = SimpleNamespace(process=ProcessState.RUNNING, reason="")
        self.child = SimpleNamespace(state=state, last_exit="exit code 7: no Apprise", pid=None)
        nothing: Any = None
        self.keeper = kind(nothing, nothing, nothing, nothing, lambda: self.now_s, lambda: 0.0, lambda name: self.may)
        self.keeper._fleet = cast("Any", _OneChild(self.child, self.told))

    def look(self, state: ProcessState, later_s: float = 0.0) -> list[str]:
        """The text of what stands after a look."""
        self.now_s += later_s
        self.child.state.process = state
        self.keeper.look(STARTING, STOPPING)
        return [each.text for each in self.keeper.standing().values()]


class _OneChild:
    """As the keeper sees its `Fleet`."""

    def __init__(self, child: Any, told: list[Any]) -> None:
        self._child, self._told = child, told

    def __iter__(self) -> Any:
        return iter([self._child])

    def catch_up(self) -> None:
        pass

    def advance_all(self) -> None:
        pass

    def advance(self, child: Any, event: Any) -> None:
        self._told.append(event)


@pytest.mark.parametrize("kind", [NotifyKeeper, TelegramKeeper, WebKeeper])
def test_who_stays_away_is_an_alert_until_it_runs_again_but_for_the_page(kind: type[SideKeeper]) -> None:
    place = Place(kind)
    assert place.look(ProcessState.RUNNING) == []
    assert place.look(ProcessState.BACKOFF) == [], "for a moment"
    assert place.look(ProcessState.STARTING, AWAY_S / 2) == []
    told = place.look(ProcessState.BACKOFF, AWAY_S / 2)
    assert place.keeper.is_away
    if kind is WebKeeper:
        assert told == []
    else:
        [text] = told
        assert "exit code 7: no Apprise" in text
        assert "trading does not need it" in text
    assert place.look(ProcessState.RUNNING, 1) == []
    assert place.look(ProcessState.FATAL) == []


def test_what_another_host_does_ends_here_once_and_begins_when_it_is_our_turn() -> None:
    place = Place(TelegramKeeper)
    place.may = False
    assert place.look(ProcessState.RUNNING) == []
    place.look(ProcessState.STOPPING)
    place.look(ProcessState.STOPPED, 60)
    assert [type(event) for event in place.told] == [Stop]
    place.may = True
    place.look(ProcessState.STOPPED)
    assert type(place.told[-1]) is Start


def test_a_detached_start_shows_the_warnings_of_its_supervisor() -> None:
    own = {"child": "supervisor", "key": "news", "text": "fleet.dsn_file, /x: every user can read it"}
    rows = [own, {**own, "key": "fleet_host"}, {**own, "child": "writer"}]
    assert warned({"incidents": rows}) == ["! fleet.dsn_file, /x: every user can read it"]
