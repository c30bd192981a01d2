"""A cap over several hosts: never more than there is, whoever is late, cut off, frozen or dead."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from supervisor.caps.fleet_scope import Told
from tests.examples import examples
from tests.supervisor.caps.cap_world import SCOPE, CapHost, CapTables, config_of

D = Decimal
NAMES = ("ann", "ben", "cyd")
LIMIT = 900


class Away(RuleBasedStateMachine):
    """Three hosts, three accounts, one `max_notional`. Prices stand still, so the sum is what was placed."""

    def __init__(self) -> None:
        super().__init__()
        self.config = config_of(NAMES, max_notional=str(LIMIT))
        self.tables = CapTables()
        self.used = dict.fromkeys(NAMES, D(0))
        self.runs = 0
        self.hosts: dict[str, CapHost] = {}
        self.dead: set[str] = set()
        self.late: list[tuple[str, str, list[Told]]] = []
        for name in ("h1", "h2", "h3"):
            self.restart(name)

    def restart(self, name: str) -> None:
        self.runs += 1
        self.hosts[name] = CapHost(name, str(self.runs), self.tables, self.config)

    def holder(self, account: str) -> CapHost | None:
        """Who may send for it."""
        host, instance, _ = self.tables.leases.get(account, ("", "", 0))
        found = self.hosts.get(host)
        return found if found is not None and found.instance == instance and account in found.workers else None

    @initialize(used=st.lists(st.integers(0, 250), min_size=3, max_size=3))
    def begin(self, used: list[int]) -> None:
        """Positions of earlier days; every account has been heard of once."""
        self.used = dict(zip(NAMES, map(D, used), strict=True))
        for account, host in zip(NAMES, self.hosts.values(), strict=True):
            host.take_over(account)
            host.says(account, self.used[account])
            host.round()

    @rule(account=st.sampled_from(NAMES), part=st.integers(1, 4))
    def it_places(self, account: str, part: int) -> None:
        """Part of what it may, or all."""
        host = self.holder(account)
        if host is not None and (room := host.share(account) - self.used[account]) > 0:
            event("placed")
            self.used[account] += room / part

    @rule(account=st.sampled_from(NAMES), part=st.integers(0, 4))
    def it_reduces(self, account: str, part: int) -> None:
        self.used[account] = self.used[account] * part / 4

    @rule(account=st.sampled_from(NAMES), short=st.integers(0, 900), reads=st.booleans())
    def its_worker_reports(self, account: str, short: int, reads: bool) -> None:
        """Also one that has lost its lease, and one whose words lie unread."""
        for host in self.hosts.values():
            if account in host.workers:
                if reads:
                    host.read(account, self.used[account])
                host.says(account, self.used[account], D(short))

    @rule(host=st.sampled_from(("h1", "h2", "h3")), fate=st.sampled_from(("well", "well", "unheard", "lost", "late")))
    def a_host_tells(self, host: str, fate: str) -> None:
        """Its answer may be lost, its question too, or come when nobody waits for it."""
        one = self.hosts[host]
        event(f"told: {fate}")
        if fate == "well":
            one.round()
            return
        told = one.tells()
        if fate == "late":
            self.late.append((one.name, one.instance, told))
        elif fate == "unheard":
            self.tables.tell(one.name, one.instance, told)

    @rule()
    def what_was_late_arrives(self) -> None:
        if self.late:
            self.tables.tell(*self.late.pop(0))

    @rule(host=st.sampled_from(("h1", "h2", "h3")))
    def only_somebody_looks(self, host: str) -> None:
        """Shares are dealt, and whoever asked for them is gone before the answer comes."""
        for scope, (caps, accounts) in self.config.cap_scopes().items():
            self.tables.look(scope, caps, accounts)

    @rule(account=st.sampled_from(NAMES), host=st.sampled_from(("h1", "h2", "h3")), in_order=st.booleans(),
          notices=st.booleans())  # fmt: skip
    def another_host_takes_it(self, account: str, host: str, in_order: bool, notices: bool) -> None:
        """Moved in order, or its lease has ended: then its holder may be alive, and not have noticed yet."""
        former = self.holder(account)
        if former is self.hosts[host] or account in self.hosts[host].workers:
            return
        event("taken over")
        if former is not None and in_order:
            former.round()
        if former is not None and (in_order or notices):
            former.let_go(account)
        self.hosts[host].take_over(account)

    @rule(host=st.sampled_from(("h1", "h2", "h3")))
    def a_host_notices_what_it_has_lost(self, host: str) -> None:
        one = self.hosts[host]
        for account in [name for name in one.workers if self.holder(name) is not one]:
            one.let_go(account)

    @rule(account=st.sampled_from(NAMES))
    def a_worker_dies(self, account: str) -> None:
        host = self.holder(account)
        if host is not None:
            host.keeper.gone(account)
            host.begin(account)

    @rule(host=st.sampled_from(("h1", "h2", "h3")))
    def a_host_dies(self, host: str) -> None:
        """With all its workers; another run begins, and has nothing."""
        event("died")
        self.restart(host)

    @rule()
    def all_goes_well_for_a_while(self) -> None:
        """Everybody is heard of, and what somebody lacks is there when there is enough."""
        for host in self.hosts.values():
            self.a_host_notices_what_it_has_lost(host.name)
        for account in NAMES:
            if self.holder(account) is None:
                self.hosts["h1"].take_over(account)
        for _ in range(8):
            for host in self.hosts.values():
                for account in list(host.workers):
                    host.read(account, self.used[account])
                    host.says(account, self.used[account], D(250 * (host.share(account) < self.used[account] + 250)))
                host.round()
        is_enough = sum(self.used.values()) + 3 * 250 <= LIMIT
        for account in NAMES if is_enough else ():
            holder = self.holder(account)
            assert holder is not None
            holder.read(account, self.used[account])
            # Others may be a little ahead, and only who is below the even part has them asked for what they do not use.
            assert holder.share(account) >= min(self.used[account] + 220, max(self.used[account], LIMIT / D(3)))

    @invariant()
    def the_sum_is_never_above_the_cap(self) -> None:
        assert sum(self.used.values()) <= LIMIT + D("1e-9")

    @invariant()
    def nobody_may_have_more_than_what_is_kept_for_it(self) -> None:
        for account in NAMES:
            host, row = self.holder(account), self.tables.rows.get((SCOPE, account))
            if host is not None and row is not None:
                assert host.share(account) <= max(row.reserved, self.used[account])
                assert self.used[account] <= row.reserved + D("1e-9")


Away.TestCase.settings = settings(max_examples=examples(15), stateful_step_count=25, deadline=None)
TestAway = Away.TestCase
