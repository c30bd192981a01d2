"""Placement: spreads, keeps what runs, honours `hosts`, capacity and draining, never flaps."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.fleet.host_placement import HostSeen, Placement, Wanted, evened, placement
from tests.examples import examples

ACCOUNTS = [f"a{number:02}" for number in range(9)]
HOSTS = ["h1", "h2", "h3", "h4"]


def host(name: str, capacity: int = 50, offers: str = " ".join(ACCOUNTS), **more: bool) -> HostSeen:
    return HostSeen(name, capacity, frozenset(offers.split()), **more)


def wanted(names: str, *hosts: str) -> list[Wanted]:
    return [Wanted(name, hosts) for name in names.split()]


@pytest.mark.parametrize(
    ("hosts", "accounts", "holders", "wishes", "homes", "moves"),
    [
        # what is free is spread; ties go by name
        ([host("h1"), host("h2")], wanted("a00 a01 a02"), {}, {}, "a00:h1 a01:h2 a02:h1", ""),
        # what runs stays, however uneven; what is free goes to the emptier one
        ([host("h1"), host("h2")], wanted("a00 a01 a02"), {"a00": "h1", "a01": "h1"}, {}, "a00:h1 a01:h1 a02:h2", ""),
        # a host without the keys, one that is full, one that is dead: none of them
        ([host("h1", offers=""), host("h2", 0), host("h3", alive=False), host("h4")], wanted("a00"), {}, {},
         "a00:h4", ""),
        # the accounts with the fewest hosts choose first
        ([host("h1", 1), host("h2", 1)], [*wanted("a00"), *wanted("a01", "h1")], {}, {}, "a00:h2 a01:h1", ""),
        # one at a time leaves a host that drains
        ([host("h1", draining=True), host("h2")], wanted("a00 a01"), {"a00": "h1", "a01": "h1"}, {},
         "a00:h2 a01:h1", "a00:h2"),
        # nobody else can have it: it stays where it is, draining or not
        ([host("h1", draining=True), host("h2", 0)], wanted("a00"), {"a00": "h1"}, {}, "a00:h1", ""),
        # `hosts` has changed
        ([host("h1"), host("h2")], wanted("a00", "h2"), {"a00": "h1"}, {}, "a00:h2", "a00:h2"),
        # an operator wants it elsewhere; and elsewhere it cannot be
        ([host("h1"), host("h2"), host("h3")], wanted("a00"), {"a00": "h1"}, {"a00": "h3"}, "a00:h3", "a00:h3"),
        ([host("h1"), host("h2"), host("h3", 0)], wanted("a00"), {"a00": "h1"}, {"a00": "h3"}, "a00:h1", ""),
        # one of each host
        ([host("h1", draining=True), host("h2", draining=True), host("h3")], wanted("a00 a01 a02"),
         {"a00": "h1", "a01": "h1", "a02": "h2"}, {}, "a00:h3 a01:h1 a02:h3", "a00:h3 a02:h3"),
        # a dead holder: free for others
        ([host("h1", alive=False), host("h2")], wanted("a00"), {"a00": "h1"}, {}, "a00:h2", ""),
    ],
)  # fmt: skip
def test_where_accounts_go(hosts, accounts, holders, wishes, homes, moves):
    found = placement(hosts, accounts, holders, wishes)
    assert " ".join(f"{name}:{found.homes[name]}" for name in sorted(found.homes)) == homes
    assert " ".join(f"{name}:{found.moves[name]}" for name in sorted(found.moves)) == moves


@pytest.mark.parametrize(
    ("hosts", "allowed", "why"),
    [
        ([], (), "no host is alive"),
        ([host("h1")], ("h7",), "none of its hosts (h7) is alive"),
        ([host("h1", offers="")], (), "no host has its keys (h1)"),
        ([host("h1", draining=True)], (), "the hosts that may have it drain (h1)"),
        ([host("h1", 0), host("h2", 0)], (), "the hosts that may have it are full (h1, h2)"),
    ],
)
def test_why_an_account_has_no_host(hosts, allowed, why):
    assert placement(hosts, wanted("a00", *allowed), {}, {}).homeless == {"a00": why}


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[HostSeen], list[Wanted], dict[str, str], dict[str, str]]:
    hosts = [
        HostSeen(
            name,
            draw(st.integers(0, 5)),
            frozenset(draw(st.sets(st.sampled_from(ACCOUNTS), min_size=3))),
            alive=draw(st.booleans()) or draw(st.booleans()),
            draining=draw(st.booleans()) and draw(st.booleans()),
        )
        for name in HOSTS[: draw(st.integers(1, 4))]
    ]
    names = draw(st.sets(st.sampled_from(ACCOUNTS)))
    accounts = [
        Wanted(name, tuple(sorted(draw(st.sets(st.sampled_from(HOSTS), max_size=2))))) for name in sorted(names)
    ]
    holders = draw(st.dictionaries(st.sampled_from(ACCOUNTS), st.sampled_from(HOSTS)))
    wishes = draw(st.dictionaries(st.sampled_from(ACCOUNTS), st.sampled_from(HOSTS), max_size=3))
    return hosts, accounts, holders, wishes


def check(hosts: list[HostSeen], accounts: list[Wanted], holders: dict[str, str], found: Placement) -> None:
    known = {each.name: each for each in hosts}
    for account in accounts:
        assert account.name in found.homes or account.name in found.homeless
    for name, home in found.homes.items():
        account = next(each for each in accounts if each.name == name)
        if holders.get(name) != home:  # it comes there: it may
            assert known[home].alive
            assert not known[home].draining
            assert name in known[home].offers
            assert not account.hosts or home in account.hosts
    for each in hosts:
        coming = [name for name in found.of(each.name) if holders.get(name) != each.name]
        if coming:
            assert len(found.of(each.name)) <= each.capacity
    leaving = [holders[name] for name in found.moves]
    assert len(leaving) == len(set(leaving)), "one of each host at a time"


@settings(max_examples=examples(60), deadline=None)
@given(scenes())
def test_followed_to_its_end_it_rests_and_every_step_is_allowed(scene):
    """Every host does what the placement says, one step after the other: it ends, and then nothing moves any more."""
    hosts, accounts, holders, wishes = scene
    alive = {each.name for each in hosts if each.alive}
    at = {name: home for name, home in holders.items() if home in alive and name in {each.name for each in accounts}}
    for _ in range(40):
        found = placement(hosts, accounts, at, wishes)
        check(hosts, accounts, at, found)
        assert placement(hosts[::-1], accounts[::-1], dict(reversed(at.items())), wishes) == found, (
            "whoever computes it"
        )
        for name, home in at.items():
            if name not in found.moves:
                assert found.homes[name] == home, "what runs and is not moved stays"
        after = dict(found.homes)
        wishes = {name: target for name, target in wishes.items() if after.get(name) != target}
        if after == at:
            break
        at = after
    else:
        raise AssertionError("it flaps")


@settings(max_examples=examples(40), deadline=None)
@given(scenes())
def test_spread_evenly_when_asked(scene):
    hosts, accounts, holders, _ = scene
    alive = {each.name for each in hosts if each.alive}
    at = {name: home for name, home in holders.items() if home in alive and name in {each.name for each in accounts}}
    moves = evened(hosts, accounts, at)
    after = {**at, **moves}
    assert evened(hosts, accounts, after) == {}
    before_most = max([0, *(list(at.values()).count(each) for each in alive)])
    assert max([0, *(list(after.values()).count(each) for each in alive)]) <= before_most
    everywhere = [HostSeen(name, 50, frozenset(ACCOUNTS)) for name in HOSTS]
    free = [Wanted(name) for name in ACCOUNTS]
    even = {**dict.fromkeys(ACCOUNTS, "h1"), **evened(everywhere, free, dict.fromkeys(ACCOUNTS, "h1"))}
    assert sorted(list(even.values()).count(name) for name in HOSTS) == [2, 2, 2, 3]
