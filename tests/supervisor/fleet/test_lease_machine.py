"""The lease under everything that can happen: requests and answers late, lost or carried out after all; hosts frozen
and killed; clocks that drift; a database that restarts or whose clock is set. `lease_world` asserts at the exchange."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisor.fleet.lease_types import Acquire, Barred, Leave, Lost, Phase
from tests.examples import examples
from tests.supervisor.fleet.lease_world import Host, S, World

ACCOUNTS = ("a", "b", "a-renamed")
KEYS = {"a": "key 1", "b": "key 2", "a-renamed": "key 1"}
hosts = st.integers(0, 2)
anything = st.integers(0, 1000)
seconds = st.sampled_from([0.05, 0.3, 0.5, 1.0, 1.5, 1.9, 2.0, 2.5, 3.0, 8.9, 9.0, 10.0, 13.1])


class LeaseMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        drift = 300e-6
        self.world = World([Host("h0", 1 + drift), Host("h1", 1 - drift, 5 * S), Host("h2", 1.0, 900 * S)], keys=KEYS)
        self.late: list = []
        for host in self.world.hosts:
            self.world.want(host, *ACCOUNTS)

    @rule(dt=seconds)
    def time_passes(self, dt):
        self.world.advance(dt)

    @rule(dt=st.sampled_from([2.0, 5.0, 14.0]), cut=st.sets(hosts))
    def all_is_well_but_for_some(self, dt, cut):
        self.world.run(dt, but=tuple(self.world.hosts[each] for each in cut), step_s=0.25)

    @precondition(lambda self: self.world.flying)
    @rule(which=anything)
    def deliver(self, which):
        self.world.deliver(self.world.flying[which % len(self.world.flying)])

    @precondition(lambda self: self.world.flying)
    @rule(which=anything, carried_out_later=st.booleans())
    def the_host_gives_up(self, which, carried_out_later):
        item = self.world.flying[which % len(self.world.flying)]
        if carried_out_later and item.answer is None:
            self.late.append(item)
        self.world.give_up(item)

    @precondition(lambda self: self.late)
    @rule(which=anything)
    def a_request_given_up_is_carried_out(self, which):
        self.world.carry_out(self.late.pop(which % len(self.late)))

    @rule(which=hosts)
    def freeze(self, which):
        self.world.hosts[which].frozen = True

    @rule(which=hosts)
    def thaw(self, which):
        self.world.hosts[which].frozen = False

    @rule(which=hosts, wanted=st.sets(st.sampled_from(ACCOUNTS)))
    def kill_and_start_again(self, which, wanted):
        host = self.world.hosts[which]
        host.frozen = False
        self.world.start(host)
        self.world.want(host, *wanted)

    @rule(which=hosts, wanted=st.sets(st.sampled_from(ACCOUNTS)))
    def placement(self, which, wanted):
        if not self.world.hosts[which].frozen:
            self.world.want(self.world.hosts[which], *wanted)

    @rule(which=hosts, answered=st.booleans())
    def workers_end(self, which, answered):
        host = self.world.hosts[which]
        if host.frozen:
            return
        news, host.news = host.news, []
        for effect in news:
            if isinstance(effect, Leave | Lost):
                self.world.worker_ends(host, effect.account, answered=answered)

    @rule(by=st.sampled_from([-3600, -30, -5, 5, 14, 30, 3600]))
    def the_databases_clock_is_set(self, by):
        self.world.database_us += by * 1_000_000

    @rule()
    def the_database_restarts(self):
        """What was asked is not answered; what was committed stays."""
        for item in list(self.world.flying):
            self.world.give_up(item)

    @rule(which=hosts, worker=anything, wrong=st.sampled_from([-0.5, 0.0, 0.5]))
    def take_the_exchanges_time(self, which, worker, wrong):
        host = self.world.hosts[which]
        alive = [each for each in host.workers if each.alive]
        if alive and not host.frozen:
            self.world.stamp(host, alive[worker % len(alive)], round(wrong * S))

    @rule(which=hosts, worker=anything)
    def send_at_the_last_moment(self, which, worker):
        """A millisecond before the worker's end, with a clock as wrong as may be."""
        host, world = self.world.hosts[which], self.world
        alive = [each for each in host.workers if each.alive and each.until_ns > world.boot(host)]
        if alive and not host.frozen:
            chosen = alive[worker % len(alive)]
            world.advance((chosen.until_ns - world.boot(host)) / S - 0.001)
            world.stamp(host, chosen, S // 2)
            world.check(world.sending[-1])

    @precondition(lambda self: any(each.checked for each in self.world.sending))
    @rule(cut=st.sets(hosts))
    def it_arrives_as_late_as_may_be(self, cut):
        """Meanwhile the others do what they can."""
        world = self.world
        item = next(each for each in world.sending if each.checked)
        left = (item.stamp_ns - world.now_ns) / S + world.times.recv_window_s
        if left > 0:
            world.run(left, but=tuple(world.hosts[each] for each in cut), step_s=left / 12)
        if item in world.sending:
            world.arrive(item)

    @precondition(lambda self: self.world.sending)
    @rule(which=anything)
    def check_the_lease(self, which):
        self.world.check(self.world.sending[which % len(self.world.sending)])

    @precondition(lambda self: self.world.sending)
    @rule(which=anything)
    def arrive_at_the_exchange(self, which):
        self.world.arrive(self.world.sending[which % len(self.world.sending)])

    @invariant()
    def one_holder(self):
        for account in ACCOUNTS:
            assert len(self.world.holders(account)) <= 1
        assert len(self.world.holders("a") + self.world.holders("a-renamed")) <= 1, "one key"


LeaseMachine.TestCase.settings = settings(stateful_step_count=40, max_examples=examples(40))
TestLeaseMachine = LeaseMachine.TestCase


def _two() -> tuple[World, Host, Host]:
    a, b = Host("a"), Host("b", offset_ns=77 * S)
    world = World([a, b])
    world.want(a, "x")
    world.run(1.0)
    world.want(b, "x")
    world.run(20.0)
    assert world.holders("x") == ["a"]
    return world, a, b


def test_one_holder_renews_and_the_other_waits():
    world, _a, b = _two()
    world.run(60.0)
    assert world.holders("x") == ["a"]
    assert world.tables.leases["x"].epoch == 1
    assert b.leases.accounts["x"].phase is Phase.WATCHING


def test_a_successor_has_the_lease_no_earlier_than_the_exchange_is_done_with_its_predecessor():
    """At the very edge: the last renewal, the last stamp, as wrong as may be, and the slowest way."""
    world, a, _b = _two()
    (worker,) = world.workers(a, "x")
    cut = world.now_ns
    ends = None
    while world.holders("x") != ["b"]:
        if world.boot(a) < worker.until_ns <= world.boot(a) + round(0.02 * S):
            world.stamp(a, worker, round(0.5 * S))
            world.check(world.sending[-1])
            ends = world.now_ns
        world.run(0.01, but=(a,), step_s=0.01)
        assert world.now_ns - cut < 20 * S
    assert ends is not None
    last_taken = max(each.stamp_ns for each in world.sending) + 2 * S
    assert world.now_ns - last_taken >= 0.4 * S
    assert world.now_ns - cut <= 16 * S


def test_given_up_in_order_it_moves_at_once():
    world, a, _b = _two()
    before = world.now_ns
    world.want(a)
    while world.holders("x") != ["b"]:
        world.run(0.1)
    assert world.now_ns - before < 2 * S
    assert world.tables.leases["x"].previous == "a"


def test_given_up_with_requests_under_way_its_successor_waits():
    world, a, _b = _two()
    world.want(a)
    (worker,) = world.workers(a, "x")
    world.stamp(a, worker, 0)
    world.check(world.sending[0])
    before = world.now_ns
    while world.holders("x") != ["b"]:
        world.run(0.1)
    assert 3 * S <= world.now_ns - before < 5 * S


def test_the_databases_clock_set_forward_takes_no_lease_away():
    for late in range(14):
        world, a, _b = _two()
        world.run(5.0 + late / 10, but=(a,))
        world.database_us += 3600_000_000
        (worker,) = world.workers(a, "x")
        while world.boot(a) < worker.until_ns:
            assert world.holders("x") == ["a"]
            world.run(0.1, but=(a,))
        world.run(30.0, but=(a,))
        assert world.holders("x") == ["b"]


def test_the_databases_clock_set_forward_between_look_and_request_takes_no_lease_away():
    """The host has looked, and asks by its own clock's word; the database alone knows that its clock is another now."""
    world, a, b = _two()
    world.run(3.0, but=(a,))
    each = b.leases.accounts["x"]
    wish = Acquire("x", 1, b.leases.clock.latest_us(world.boot(b)))
    world.database_us += 20_000_000
    assert each.phase is Phase.WATCHING
    assert world.tables.acquire(b.leases.me, world.times, wish)[1] is None
    honest = Acquire("x", 1, wish.latest_us + 20_000_000)
    assert world.tables.acquire(b.leases.me, world.times, honest)[1] is not None


def test_a_term_counts_from_when_its_renewal_was_sent():
    world, a, _b = _two()
    while not any(item.host is a for item in world.flying):
        world.advance(0.1)
    (renewal,) = [item for item in world.flying if item.host is a]
    world.run(4.0, but=(a,))
    world.deliver(renewal)
    world.run(4.0, but=(a,))
    world.deliver(renewal)
    (worker,) = world.workers(a, "x")
    assert worker.until_ns == renewal.sent_ns + 9 * S


def test_an_answer_that_was_lost_is_found_and_used():
    a = Host("a")
    world = World([a])
    world.want(a, "x")
    while not (world.flying and isinstance(world.flying[-1].request, Acquire)):
        for item in list(world.flying):
            world.deliver(item)
    (asked,) = world.flying
    world.carry_out(asked)
    world.give_up(asked)
    assert world.tables.leases["x"].epoch == 1
    world.run(3.0)
    assert world.holders("x") == ["a"]
    assert [each.epoch for each in world.workers(a, "x")] == [1]


def test_a_lease_that_was_granted_when_nobody_wanted_it_any_more_is_given_back():
    a, b = Host("a"), Host("b")
    world = World([a, b])
    world.want(a, "x")
    while not (world.flying and isinstance(world.flying[-1].request, Acquire)):
        for item in list(world.flying):
            world.deliver(item)
    asked = world.flying[-1]
    world.want(a)
    world.deliver(asked)
    world.deliver(asked)
    world.want(b, "x")
    world.run(3.0)
    assert world.holders("x") == ["b"]
    assert a.workers == []


def test_after_an_outage_the_same_epoch_goes_on_without_hands():
    world, a, b = _two()
    world.run(40.0, but=(a, b))
    assert world.holders("x") == []
    for item in list(world.flying):
        world.give_up(item)
    world.hosts.remove(b)
    world.run(3.0)
    assert world.holders("x") == ["a"]
    assert world.tables.leases["x"].epoch == 1


def test_an_account_whose_later_holder_was_seen_at_the_exchange_is_left_alone_until_it_was_not_wanted_for_once():
    """As of a database that was set back: the lease says that it is ours, the exchange that it is another's."""
    world, a, b = _two()
    world.want(b)
    world.tell(a, Barred("x"))
    world.run(30.0)
    assert "x" not in a.leases.accounts
    world.want(a, "x")
    world.run(3.0)
    assert world.holders("x") == []
    world.want(a)
    world.want(a, "x")
    world.run(3.0)
    assert world.holders("x") == ["a"]
    assert world.tables.leases["x"].epoch == 1  # it was ours all the time, as far as the database knows


def test_a_clock_that_was_set_forward_gives_nobody_the_key_of_an_account_that_is_traded():
    """The host that asks for the other name has seen no lease of it, so it has only the clock to go by."""
    world = World([Host("h0"), Host("h1", 1.0, 5 * S)], keys={"a": "key", "a-renamed": "key"})
    first, second = world.hosts
    world.want(first, "a")
    world.run(1.0)
    world.database_us += 14 * 1_000_000
    world.want(second, "a-renamed")
    for _ in range(40):
        world.run(0.1, but=(first,))
        assert world.holders("a-renamed") == []
    world.run(30.0)
    assert world.holders("a") == ["h0"]
