"""Who gets how many requests of the address. What holds whatever happens is in `test_lease_machine.py`."""

from __future__ import annotations

from gridbot.budget.request_permits import Purpose
from supervisor.leases.request_leases import (
    AHEAD,
    ASKED_S,
    BUSY_S,
    DEAD_REST_S,
    FLOOR,
    LOST_S,
    START_S,
    Banned,
    Came,
    Effect,
    Gone,
    Lease,
    Leases,
    Said,
    Tick,
    step,
)

T = 1000.0
LATER = T + START_S + 1


def names(count: int) -> list[str]:
    return [f"a{number:02d}" for number in range(count)]


class Office:
    """The supervisor's side, with workers that keep what they are lent unless a test says otherwise."""

    def __init__(self, limit: int, count: int, now_s: float = T) -> None:
        self.leases = Leases(limit, names(count), T)
        self.now_s = now_s
        self.back: dict[str, int] = {}

    def says(self, name: str, *, back: int = 0, seen: int | None = None, **wants: int) -> list[Effect]:
        """`wants` by the name of a purpose."""
        self.back[name] = self.back.get(name, 0) + back
        knows = self.leases.members[name].lent if seen is None and name in self.leases.members else seen or 0
        wanted = tuple(wants.get(purpose.name.lower(), 0) for purpose in Purpose)
        return step(self.leases, Said(name, knows, self.back[name], wanted), self.now_s)

    def held(self) -> dict[str, int]:
        return {name: one.held for name, one in self.leases.members.items() if one.is_there}

    def keeps(self) -> dict[str, int]:
        return {name: one.keep for name, one in self.leases.members.items() if one.keep is not None}


def test_a_lone_account_has_all_it_wants() -> None:
    office = Office(540, 1)
    assert office.says("a00") == [Lease("a00", FLOOR, None)]
    assert office.says("a00", query=100) == [Lease("a00", FLOOR + 100, None)]
    assert (office.leases.floor, office.leases.ahead) == (FLOOR, AHEAD)
    office.says("a00", query=1000)
    assert office.held() == {"a00": 540}, "but no more than there are"


def test_those_that_start_together_get_the_same_whoever_is_first() -> None:
    office = Office(540, 50)
    for name in names(50):
        office.says(name, query=19)
    assert set(office.held().values()) == {10, 11}
    assert office.leases.pool == 0


def test_what_was_kept_for_an_account_that_never_comes_is_free_after_a_while() -> None:
    office = Office(20, 2)
    office.says("a00", query=20)
    assert office.held() == {"a00": 10}
    office.now_s = LATER
    office.says("a00", query=10)
    assert office.held() == {"a00": 20}


def test_with_more_accounts_than_requests_nobody_has_a_floor_and_all_may_ask() -> None:
    assert Leases(540, names(200), T).floor == 1
    office = Office(3, 4)
    assert office.leases.floor == 0
    for name in names(4):
        office.says(name, query=1)
    assert sorted(office.held().values()) == [0, 1, 1, 1]


def test_the_more_urgent_is_served_first_and_of_equals_who_has_least() -> None:
    office = Office(12, 3, LATER)
    for name in names(3):
        office.says(name)  # the floor is two
    office.leases.pool, taken = 0, office.leases.pool
    office.says("a00", query=2)
    office.says("a01", open=2)
    office.says("a02", cancel=2)
    office.leases.pool = taken
    step(office.leases, Tick(), LATER)
    assert office.held() == {"a00": 4, "a01": 4, "a02": 4}
    office = Office(12, 3, LATER)
    for name in names(3):
        office.says(name)
    office.leases.pool = 0
    office.says("a00", query=4)
    office.says("a01", open=4)
    office.leases.pool = 3
    step(office.leases, Tick(), LATER)
    assert office.held() == {"a00": 3, "a01": 4, "a02": 2}, "both to their fair part, the more urgent one first"


def test_what_is_on_its_way_is_not_dealt_again() -> None:
    office = Office(100, 1, LATER)
    office.says("a00")
    office.says("a00", query=10)
    assert office.says("a00", query=10, seen=FLOOR) == [], "it says so again, and has not read ours yet"
    office.now_s += LOST_S + 0.01
    assert office.says("a00", query=10, seen=FLOOR) == [Lease("a00", FLOOR + 10, None)], "ours may be lost"
    assert office.held() == {"a00": FLOOR + 10}


def test_an_idle_account_is_asked_back_down_to_its_floor() -> None:
    office = Office(30, 2, LATER)
    office.says("a00", query=26)
    office.says("a01")
    assert office.held() == {"a00": 26, "a01": 4}
    office.now_s += BUSY_S + 0.01
    office.says("a00")
    assert office.says("a01", query=5) == [Lease("a00", 26, 21)]
    assert office.says("a00", back=5) == [Lease("a00", 26, None), Lease("a01", 9, None)]
    assert office.keeps() == {}


def test_a_busy_account_is_asked_back_to_its_fair_part_alone() -> None:
    office = Office(30, 2, LATER)
    office.says("a00", query=26)
    office.says("a00", query=10)
    office.says("a01", query=30)
    assert office.keeps() == {"a00": 15}
    office.says("a00", back=15, query=10)
    assert office.held() == {"a00": 15, "a01": 15}


def test_who_does_not_answer_is_not_counted_on() -> None:
    office = Office(30, 3, LATER)
    office.says("a00", query=22)
    office.says("a01")
    office.says("a02")
    assert office.held() == {"a00": 22, "a01": 4, "a02": 4}
    office.now_s += BUSY_S + 0.01
    office.says("a01", query=3)
    assert office.keeps() == {"a00": 19}
    office.says("a01", query=3)
    assert office.keeps() == {"a00": 19}, "it was asked for these a moment ago"
    office.now_s += ASKED_S + 0.01
    office.says("a01", query=3)
    assert office.keeps() == {"a00": 16}, "it may be frozen, and then nobody gets them"


def test_cancels_and_closes_may_have_what_is_kept_for_others() -> None:
    office = Office(40, 2)
    office.says("a00", query=30)
    assert office.held() == {"a00": 20}
    office.says("a00", cancel=3, close=3, open=3)
    assert office.held() == {"a00": 26}


def test_permits_to_have_at_hand_are_dealt_while_there_are_many() -> None:
    office = Office(40, 2, LATER)
    office.says("a00", ahead=40)
    assert office.held() == {"a00": 30}
    office.says("a01", ahead=10)
    assert office.held() == {"a00": 30, "a01": 4}, "its floor is no luxury"


def test_what_the_dead_had_rests_and_the_next_process_begins_anew() -> None:
    office = Office(20, 1, LATER)
    office.says("a00", query=20)
    assert office.held() == {"a00": 20}
    assert step(office.leases, Gone("a00"), LATER) == []
    assert step(office.leases, Gone("a00"), LATER) == [], "it is gone"
    assert office.leases.pool == 0
    office.back.clear()
    office.says("a00", seen=0)
    assert office.held() == {"a00": 0}, "all of it may still be on the way"
    [lease] = step(office.leases, Tick(), LATER + DEAD_REST_S)
    assert lease == Lease("a00", FLOOR, None)


def test_who_starts_again_has_its_part_at_once_though_what_it_had_before_rests() -> None:
    """Its part was that of all permits, so nobody had more: whoever had died started when they were good again."""
    office = Office(30, 3, LATER)
    for name in names(3):
        office.says(name, query=10)
    assert office.held() == dict.fromkeys(names(3), 10)
    step(office.leases, Gone("a02"), LATER)
    office.back.clear()
    office.says("a02", seen=0, query=10)
    assert office.keeps() == {"a00": 6, "a01": 8}, "of the twenty that do not rest each has six"
    office.says("a00", back=4, query=10)
    office.says("a01", back=2, query=10)
    assert office.held() == {"a00": 6, "a01": 8, "a02": 6}


def test_what_an_earlier_supervisor_had_lent_rests() -> None:
    leases = Leases(20, ["a"], T)
    leases.inherit(15, 0, T + 8)
    assert leases.pool == 5
    step(leases, Tick(), T + 8)
    assert leases.pool == 20
    leases.inherit(50, 9, T + 20)
    assert leases.pool == 0, "never more than there are"


def test_a_start_goes_before_the_opens_of_others_and_is_lent_what_they_do_not_need_at_once() -> None:
    office = Office(40, 4, LATER)
    for name in names(3):
        office.says(name)
    for name in names(3):
        office.says(name, open=9)
    assert office.held() == dict.fromkeys(names(3), 13)
    office.says("a03", start=19)
    assert office.keeps() == {"a00": 4, "a01": 7, "a02": 10}, "to their floor, whatever their part"
    office.says("a00", back=9, open=20)
    assert office.held() == {"a00": 4, "a01": 13, "a02": 13, "a03": 10}, "and nobody else has them"
    office.says("a01", back=6, open=20)
    office.says("a02", back=3, open=20)
    assert office.held() == {"a00": 4, "a01": 7, "a02": 10, "a03": 19}
    office.says("a00", cancel=3)
    assert office.keeps() == {"a03": 10}, "who is through has its part"


def guests(office: Office, count: int) -> list[str]:
    there = [f"guest {number}" for number in range(count)]
    for name in there:
        assert step(office.leases, Came(name), office.now_s) == []
    return there


def test_a_guest_has_what_nobody_wants_down_to_half_and_the_spare_permits() -> None:
    office = Office(40, 1, LATER)
    office.leases = Leases(40, names(1), T, spare=6)
    office.says("a00")
    [guest] = guests(office, 1)
    assert office.says(guest, query=100) == [Lease(guest, 16 + 6, None)], "a floor of four is lent, half stays"
    assert (office.leases.pool, office.leases.spare_left) == (20, 0)
    office.says("a00", query=30)
    assert office.held() == {"a00": 24, guest: 22}
    assert office.keeps() == {guest: 12}, "what is missing is asked of the guest"
    office.says("a00", query=40)
    office.now_s += ASKED_S + 0.01
    office.says("a00", query=40)
    assert office.keeps() == {guest: 6}, "and not its spare ones"
    office.says(guest, back=16, query=78)
    assert (office.leases.spare_left, office.leases.pool) == (0, 0)
    assert office.held() == {"a00": 40, guest: 6}


def test_guests_share_the_spare_permits_and_come_after_all_accounts() -> None:
    office = Office(10, 2, LATER)
    office.leases = Leases(10, names(2), T, spare=4)
    office.says("a00", open=20)
    office.says("a01", open=20)
    one, two = guests(office, 2)
    office.says(one, query=3)
    office.says(two, query=3)
    assert {name: office.held()[name] for name in (one, two)} == {one: 3, two: 1}
    office.says(one, back=3)
    assert {name: office.held()[name] for name in (one, two)} == {one: 0, two: 3}
    assert office.leases.spare_left == 1
    office.says("a00", back=1, open=20)
    office.says(two, close=2)
    assert office.held()[two] == 3 + 1, "a close is as urgent as anybody's, and there is a spare one"


def test_what_a_guest_had_rests_and_fills_the_spare_permits_first() -> None:
    office = Office(20, 1, LATER)
    office.leases = Leases(20, names(1), T, spare=4)
    [guest] = guests(office, 1)
    office.says(guest, query=30)
    assert office.held() == {guest: 14}
    step(office.leases, Gone(guest), LATER)
    assert guest not in office.leases.members
    step(office.leases, Tick(), LATER + DEAD_REST_S)
    assert (office.leases.pool, office.leases.spare_left) == (20, 4)
    office.leases.inherit(3, 9, LATER + 100)
    assert (office.leases.pool, office.leases.spare_left) == (17, 0)


def test_a_ban_is_told_to_all_that_are_there_once() -> None:
    office = Office(20, 3)
    office.says("a00")
    office.says("a01")
    assert [each.name for each in step(office.leases, Banned(T + 600), T)] == ["a00", "a01"]
    assert step(office.leases, Banned(T + 600), T) == []
    assert office.leases.banned_until_s == T + 600
