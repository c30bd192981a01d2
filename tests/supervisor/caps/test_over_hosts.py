"""Drawdown, loss and latches of a cap over several hosts: what each counts, whom it holds, and who lifts it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.caps.caps_shown import with_use
from supervisor.caps.fleet_scope import ScopeSeen, Told, UseRow, look
from supervisor.caps.host_caps import ALONE_S, over_rows
from tests.examples import examples
from tests.supervisor.caps.cap_world import SCOPE, CapHost, CapTables, config_of

D = Decimal
NAMES = ("ann", "ben", "cyd")


class Fleet:
    """Two hosts: ann and ben are on h1, cyd is on h2."""

    def __init__(self, **caps: Any) -> None:
        self.tables, self.config = CapTables(), config_of(NAMES, **caps)
        self.h1, self.h2 = (CapHost(name, "1", self.tables, self.config) for name in ("h1", "h2"))
        for name in NAMES:
            self.host(name).take_over(name)
            self.say(name)
        self.round()

    def host(self, account: str) -> CapHost:
        return self.h2 if account == "cyd" else self.h1

    def say(self, account: str, equity: object = 1000, used: int = 0, short: int = 0, **more: Any) -> None:
        host = self.host(account)
        host.read(account, D(used))
        host.says(account, D(used), D(short), equity=equity, **more)

    def round(self) -> None:
        for host in (self.h1, self.h2):
            host.round()

    def row(self, cap: str, host: CapHost | None = None) -> dict[str, Any]:
        return next(row for row in (host or self.h1).keeper.rows() if row["cap"] == cap)

    def held(self) -> set[str]:
        """The accounts that their workers know to be held."""
        for host in (self.h1, self.h2):
            for account in host.workers:
                host.read(account, D(0))
        return {name for host in (self.h1, self.h2) for name, worker in host.workers.items() if worker.held}


def test_what_one_host_does_not_use_another_one_may_and_the_sums_are_those_of_all() -> None:
    fleet = Fleet(max_notional="900", max_drawdown="50%")
    fleet.say("ann", used=0, short=700)
    fleet.round()
    fleet.say("ann", used=700)
    for _ in range(3):
        fleet.say("ann", used=700)
        fleet.say("cyd", used=0, short=300)
        fleet.round()
    fleet.say("cyd", used=150)
    fleet.round()
    fleet.round()
    for host in (fleet.h1, fleet.h2):
        row = fleet.row("max_notional", host)
        assert (row["used"], row["limit"], row["accounts"], row["known"]) == ("850.00", "900.00", 3, 3)
        assert sum(map(D, row["hosts"].values())) <= 900
        assert D(row["here"]["reserved"]) == D(row["hosts"][host.name])
    assert fleet.h2.share("cyd") >= 195, "below its even part, it has what ann does not use"


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 2_000_000_000), st.lists(st.tuples(*[st.integers(0, 10**9)] * 3), min_size=1, max_size=7))
def test_the_parts_of_hosts_are_never_more_together_than_the_cap_as_they_are_and_as_they_are_shown(
    limit: int, said: list[tuple[int, int, int]]
) -> None:
    """Each part was rounded by itself: 3,333.335, 3,333.335 and 3,333.33 of 10,000 were shown as 10,000.01."""
    names = [f"a{number}" for number in range(len(said))]
    caps = config_of(names, max_notional=str(D(limit) / 1000)).fleet.caps
    whole = sum(sum(each[:2]) for each in said) + 1
    rows = []
    for name, (used, unused, short) in zip(names, said, strict=True):  # what is lent already fits
        kept, needs = (D(limit) * part / whole / 1000 for part in (used + unused, used))
        told = Told(SCOPE, name, 1, 1, needs, D(short) / 1000, kept, 0, None, None, 0)
        rows.append(UseRow(told, f"h{int(name[1:]) % 3}", "1", kept, kept, 0))
    done = look(SCOPE, caps, names, None, rows, 1_800_000_000_000)
    granted = {row.told.account: row.reserved for row in rows} | {name: one[2] for name, one in done.granted.items()}
    assert sum(granted.values()) <= D(limit) / 1000 + D("1e-9")
    [row] = over_rows([ScopeSeen(SCOPE, 1, 0, {}, done.shown, 0.0)], "h0")
    assert sum(map(D, row["hosts"].values())) <= D(row["limit"])
    assert row["here"]["reserved"] == row["hosts"]["h0"]
    assert D(row["here"]["used"]) <= D(row["here"]["reserved"])


def test_a_fall_on_one_host_is_the_fall_of_all_and_an_account_that_moves_is_neither_lost_nor_doubled() -> None:
    fleet = Fleet(max_drawdown="300", session_loss_limit="250")
    assert fleet.row("max_drawdown")["limit"] == "300.00"
    fleet.say("ann", equity=900, result=-100)
    fleet.say("cyd", equity=920, result=-80)
    fleet.round()
    fleet.round()
    for host in (fleet.h1, fleet.h2):
        assert (fleet.row("max_drawdown", host)["used"], fleet.row("session_loss_limit", host)["used"]) == (
            "180.00", "180.00",
        )  # fmt: skip
    # ann goes to h2, whose worker knows no equity at first, and then counts its losses anew.
    fleet.h1.let_go("ann")
    fleet.h2.take_over("ann")
    fleet.round()
    assert fleet.row("max_drawdown")["used"] == "180.00"
    fleet.h2.says("ann", D(0), equity=880, result=-10, counted_from="later")
    fleet.round()
    fleet.round()
    assert fleet.row("max_drawdown")["used"] == "200.00"
    assert fleet.row("session_loss_limit")["used"] == "180.00", "what it had lost before stays counted"
    # h1 dies: ben is counted with its last figures until somebody has it, and once after that.
    fleet.h1 = CapHost("h1", "2", fleet.tables, fleet.config)
    fleet.round()
    assert fleet.row("max_drawdown")["used"] == "200.00"
    fleet.h1.take_over("ben")
    fleet.h1.says("ben", D(0), equity=950)
    fleet.round()
    fleet.round()
    assert fleet.row("max_drawdown", fleet.h2)["used"] == "250.00"
    assert fleet.held() == set()
    fleet.h1.says("ben", D(0), equity=890)
    fleet.round()
    assert fleet.held() == {"ann", "ben", "cyd"}


def test_a_latch_holds_all_also_who_comes_later_and_is_lifted_for_one_for_good() -> None:
    fleet = Fleet(max_drawdown="100", on_breach="cancel")
    fleet.h2.let_go("cyd")
    fleet.say("ann", equity=850)
    fleet.round()
    assert fleet.held() == {"ann", "ben"}
    fleet.h2 = CapHost("h2", "2", fleet.tables, fleet.config)
    fleet.h2.round()
    fleet.h2.take_over("cyd")
    assert fleet.held() == {"ann", "ben", "cyd"}, "before it has said anything"
    for name in NAMES:
        fleet.say(name, equity=850)
    told = fleet.h1.tells()
    fleet.h1.workers["ann"].clear()
    fleet.say("ann", equity=850)
    fleet.h1.hears(told)
    assert fleet.held() == {"ben", "cyd"}, "what the database still says does not hold it again"
    lifted = fleet.h1.tells()
    fleet.tables.tell("h1", "1", lifted)  # and the answer is lost
    fleet.h2.round()
    for _ in range(3):
        fleet.round()
    for host in (fleet.h1, fleet.h2):
        assert fleet.row("max_drawdown", host)["held"] == ["ben", "cyd"]
        assert fleet.row("max_drawdown", host)["used"] == "0.00", "it counts anew from there"
    fleet.say("ann", equity=700)
    fleet.round()
    assert fleet.held() == set(NAMES), "and may hold it again"
    fleet.tables.tell("h1", "1", lifted)  # comes again, late
    fleet.round()
    assert fleet.held() == set(NAMES)


def test_a_hold_that_only_the_worker_knows_is_the_fleets_too() -> None:
    fleet = Fleet(max_drawdown="100")
    fleet.say("ann", equity=850)
    fleet.round()
    fleet.held()
    fleet.say("ben")
    fleet.tables.bodies.clear()
    fleet.tables.seen.clear()
    for _ in range(2):
        fleet.say("ben")
        fleet.round()
    assert fleet.row("max_drawdown")["held"] == ["ben"]


def test_a_host_that_is_cut_off_counts_by_itself_and_keeps_to_its_share() -> None:
    fleet = Fleet(max_notional="900", max_drawdown="300")
    fleet.say("ann", short=400)
    fleet.say("cyd", equity=900)
    fleet.round()
    fleet.round()
    fleet.say("ann")
    share = fleet.h1.share("ann")
    assert share == 420
    fleet.say("ann", used=400, equity=850)
    fleet.h1.keeper.look()
    assert fleet.held() == set(), "the others are asked as long as they answer"
    fleet.h1.clock.now_s += ALONE_S + 0.1
    fleet.h1.keeper.look()
    assert fleet.held() == set(), "250 of 300"
    assert fleet.h1.share("ann") == share
    fleet.say("ann", used=400, short=500, equity=700)
    fleet.h1.keeper.look()
    assert fleet.held() == {"ann", "ben"}, "cyd is another host's"
    assert "counted by host h1 alone" in fleet.h1.keeper.reasons()[0]
    assert fleet.h1.share("ann") == share
    for name in ("ann", "ben"):
        fleet.say(name, equity=900)
    fleet.h1.clock.now_s += 0.1
    fleet.round()
    fleet.round()
    assert fleet.row("max_drawdown", fleet.h2)["held"] == ["ann", "ben"], "held until they are resumed; cyd trades"
    assert fleet.held() == {"ann", "ben"}


def test_a_host_that_started_before_there_was_a_limit_counts_with_an_even_part_at_least() -> None:
    fleet = Fleet(max_drawdown="300")
    fleet.config = fleet.h2.config = config_of(NAMES, max_drawdown="300", max_notional="900")
    caps, accounts = fleet.config.cap_scopes()[SCOPE]
    fleet.say("ann", used=500)
    told = fleet.h1.tells()
    fleet.tables.tell("h1", "1", told)
    fleet.h2 = CapHost("h2", "2", fleet.tables, fleet.config)
    fleet.h2.take_over("cyd")
    fleet.h2.says("cyd", D(0), D(800))
    fleet.tables.tell("h2", "2", fleet.h2.tells())
    done = fleet.tables.look(SCOPE, caps, accounts)
    assert done.granted["cyd"][0] == 100, "900 less 500 of ann and 300 of ben"


def test_what_nobody_can_read_holds_all() -> None:
    caps, accounts = config_of(NAMES, max_drawdown="10%", on_breach="flatten").cap_scopes()[SCOPE]
    for body in ({"lifts": 3}, {"lifts": {}, "accounts": []}, {"lifts": {}}):
        done = look(SCOPE, caps, accounts, body, [], 5)
        assert set(done.held) == set(NAMES)
        assert {str(hold.action) for hold in done.held.values()} == {"reduce"}
    assert look(SCOPE, caps, accounts, None, [], 5).held == {}


@pytest.mark.parametrize("most", [0, 100])
def test_a_use_of_nothing_has_no_part(most: int) -> None:
    assert with_use(D(50), D(most))["share"] == (0.5 if most else None)


def test_when_the_limit_shrinks_what_is_not_used_is_asked_back_though_nobody_wants_it() -> None:
    """It could be used up above the new limit before."""
    fleet = Fleet(max_notional="900")
    fleet.say("ann", short=800)
    fleet.round()
    assert fleet.h1.share("ann") == 0  # not read yet
    fleet.say("ann", used=100)
    fleet.config = fleet.h1.config = fleet.h2.config = config_of(NAMES, max_notional="300")
    for _ in range(4):
        fleet.round()
        for name in NAMES:
            fleet.say(name, used=100 if name == "ann" else 0)
    assert fleet.h1.share("ann") <= 300
    assert D(fleet.row("max_notional")["hosts"]["h1"]) <= 300


def test_a_word_that_comes_late_gives_nothing_back_that_was_granted_since() -> None:
    fleet = Fleet(max_notional="900")
    for short in (800, 0):
        fleet.say("ann", short=short)
        fleet.round()
    assert fleet.h1.share("ann") == 840
    for _ in range(3):  # cyd wants its even part, which ann does not use
        fleet.say("ann", used=100)
        fleet.say("cyd", used=0, short=250)
        late = fleet.h1.tells()
        fleet.round()
    assert fleet.h1.share("ann") < 700
    fleet.say("cyd", used=0)
    for _ in range(4):
        fleet.say("ann", used=100, short=400)
        fleet.round()
    before = fleet.tables.rows[SCOPE, "ann"]
    assert before.reserved >= 500
    fleet.tables.tell("h1", "1", late)
    assert fleet.tables.rows[SCOPE, "ann"] == before
    [told] = [each for each in late if each.account == "ann"]
    heard = replace(told, number=before.number)
    fleet.tables.tell("h1", "1", [heard])
    assert fleet.tables.rows[SCOPE, "ann"] == before, "also where nothing new was said to it since"
