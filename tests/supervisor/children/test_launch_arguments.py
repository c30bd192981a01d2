"""What a worker has said that stops its orders is given to the next process of its account, and to no other."""

from __future__ import annotations

from gridbot.state.unkept_holds import BEGINS_PAUSED, UNKEPT
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.launch_arguments import LaunchArguments


def test_what_stops_the_orders_of_an_account_goes_to_its_next_process() -> None:
    launch = LaunchArguments(["alice", "bob"])
    alice, bob = (ChildSpec(name, ChildKind.WORKER, "", account=name) for name in ("alice", "bob"))
    assert launch.of(alice)[2] == {}
    for seq in (1, 2):
        launch.held("alice", {"type": "held", "name": "holds.json", "document": {"seq": seq}})
    launch.held("alice", {"type": "held", "name": "ban.json", "document": {"seq": 3}})
    assert launch.of(alice)[2] == {"holds.json": {"seq": 2}, "ban.json": {"seq": 3}}
    assert launch.of(bob)[2] == {}
    launch.close()


def test_an_account_begins_paused_until_its_worker_has_said_that_all_of_it_is() -> None:
    """A death before that must not let the next process trade; one after a resume must not pause it again.

    A document of holds is not that word: a rescue says one that pauses a single strategy, and a worker one after each.
    """
    launch = LaunchArguments(["alice", "bob"], "started paused by ann@host")
    alice, bob = (ChildSpec(name, ChildKind.WORKER, "", account=name) for name in ("alice", "bob"))
    for _ in range(2):
        assert launch.of(alice)[2] == {BEGINS_PAUSED: "started paused by ann@host"}
    launch.held("alice", {"type": "held", "name": "holds.json", "document": {"seq": 2}})
    assert BEGINS_PAUSED in launch.of(alice)[2]
    launch.held("alice", {"type": "held", "name": BEGINS_PAUSED, "document": {}})
    assert launch.of(alice)[2] == {"holds.json": {"seq": 2}}
    assert BEGINS_PAUSED in launch.of(bob)[2]
    launch.close()


def test_an_account_that_a_host_of_a_fleet_takes_begins_paused_once() -> None:
    launch = LaunchArguments([], "host h1 was started paused", pauses_new=True)
    spec = ChildSpec("a", ChildKind.WORKER, "", account="a")
    launch.add("a")
    assert launch.of(spec)[2] == {BEGINS_PAUSED: "host h1 was started paused"}
    launch.held("a", {"name": BEGINS_PAUSED, "document": {}})
    launch.remove("a")
    launch.add("a")
    assert launch.of(spec)[2] == {}, "it was resumed, went to another host, and is back"
    launch.close()
    reloaded = LaunchArguments(["a"], "started paused")
    reloaded.add("b")
    assert reloaded.of(ChildSpec("b", ChildKind.WORKER, "", account="b"))[2] == {}, "as before, without a fleet"
    reloaded.close()


def test_what_no_disk_took_goes_to_the_next_process_until_one_has_made_it_its_own() -> None:
    launch = LaunchArguments(["a"])
    spec = ChildSpec("a", ChildKind.WORKER, "", account="a")
    try:
        launch.held("a", {"name": UNKEPT, "document": {"strategies": {}}})
        assert launch.of(spec)[2] == {UNKEPT: {"strategies": {}}}
        launch.held("a", {"name": "holds.json", "document": {"seq": 3}})
        assert UNKEPT in launch.of(spec)[2], "of several strategies it may hold the first alone yet"
        launch.held("a", {"name": UNKEPT, "document": {}})
        assert launch.of(spec)[2] == {"holds.json": {"seq": 3}}
        launch.remove("a")
        launch.held("a", {"name": UNKEPT, "document": {}})  # the last word of a rescue, when its account has left
    finally:
        launch.close()
