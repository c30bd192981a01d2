"""Obstacles: every change of what stops orders becomes one record, whoever caused it."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.remedies import key_pause
from gridbot.orders.breakers import Cause
from gridbot.records.record_types import LatchRecord
from gridbot.risk.brake import Brake, Stops
from gridbot.risk.holds import Who
from gridbot.risk.obstacles import Obstacle, ObstacleWatch, Reason, obstacles_of, of_account
from tests.orders.helpers import make_order
from tests.risk.helpers import BAD_KEY, NOW, Bench

NOW_US = 1_700_000_000_000_000


class Bank:
    """A gate with one strategy, and the end of a ban."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.ban: Ban | None = None

    def held(self, now_s: float = NOW) -> Mapping[Obstacle, Reason]:
        return obstacles_of(self.bench.gate, self.ban, [self.bench.risk_state], now_s)


def test_nothing_holds_a_healthy_account() -> None:
    assert Bank().held() == {}


def test_what_caps_stop_is_seen_and_whether_it_is_all_or_what_opens() -> None:
    bank = Bank()
    for stops, kind in ((Stops.OPENS, "only_reduces"), (Stops.ALL, "cap_latch")):
        bank.bench.gate.braked(Brake(stops, "equity fell"))
        assert bank.held() == {Obstacle("", kind): Reason("equity fell")}


def test_each_kind_of_hold_is_seen_and_those_that_end_by_themselves_say_when() -> None:
    bank = Bank()
    gate, risk_state = bank.bench.gate, bank.bench.risk_state
    gate.latch_loss("lost too much")
    gate.kill("leaked", Who.OPERATOR)
    risk_state.halt("delisted")
    risk_state.pause()
    risk_state.reduce()
    assert [gate.auth_failed(BAD_KEY, NOW) for _ in range(5)][-1]
    bank.ban = Ban(NOW + 600, make_error("too many", ErrorKind.IP_BAN, ret_code=10018))
    assert [gate.refused(make_order(), NOW) for _ in range(3)][-1]
    timed = {
        Obstacle("", "auth_cooldown"): Reason(key_pause(BAD_KEY), NOW + 1800),
        Obstacle("", "ip_ban"): Reason(str(bank.ban), NOW + 600),
        Obstacle("s1", "breaker", "long Buy 100.0"): Reason("the exchange refused this level repeatedly", NOW + 60),
    }
    assert [gate.refused(make_order(ticks=1001), NOW, cause=Cause.MOVED) for _ in range(3)][-1]
    band = "the exchange moved the orders of this level to other prices (price band)"
    timed[Obstacle("s1", "breaker", "long Buy 100.1")] = Reason(band, NOW + 60)
    lasting = {
        Obstacle("", "session_loss"): Reason("lost too much"),
        Obstacle("", "latched"): Reason("leaked"),
        Obstacle("s1", "reducing"): Reason("only reducing, by the operator"),
        Obstacle("s1", "halted"): Reason("delisted"),
        Obstacle("s1", "paused"): Reason("paused by the operator"),
    }
    for obstacle, reason in timed.items():
        assert reason.until_s is not None
        assert obstacle in bank.held(reason.until_s - 0.1)
        assert obstacle not in bank.held(reason.until_s)
    assert bank.held() == timed | lasting
    reasons = [reason.text for reason in of_account(gate, bank.ban, NOW).values()]
    assert len(reasons) == 4
    told = zip(("leaked", "lost", "retCode 10003", "retCode 10018"), reasons, strict=True)
    assert all(code in text for code, text in told)
    assert "correct it, then restart the account" in reasons[2]
    assert "run fewer programs on this address" in reasons[3]
    assert bank.held(NOW + 4000) == lasting, "what time alone ends is over"


def test_a_record_says_when_it_ends_on_the_wall_clock() -> None:
    watch = ObstacleWatch()
    [record] = watch.changes({Obstacle("", "ip_ban"): Reason("banned", NOW + 600)}, NOW, NOW_US)
    assert record.is_set
    assert record.until == NOW_US + 600_000_000
    assert list(watch.changes({Obstacle("", "ip_ban"): Reason("banned", NOW + 600)}, NOW + 1, NOW_US)) == [], "no news"
    [record] = watch.changes({}, NOW + 600, NOW_US)
    assert (record.kind, record.is_set, record.until) == ("ip_ban", False, None)


HOLDS = st.dictionaries(
    st.builds(Obstacle, st.sampled_from(["", "a"]), st.sampled_from(["halted", "paused"])),
    st.builds(Reason, st.sampled_from(["x", "y"])),
)


@given(st.lists(HOLDS))
def test_the_records_alone_tell_what_holds(looks: list[dict[Obstacle, Reason]]) -> None:
    watch, told = ObstacleWatch(), {}
    for held in looks:
        changes: list[LatchRecord] = list(watch.changes(held, NOW, NOW_US))
        assert len({(c.strategy, c.kind, c.level) for c in changes}) == len(changes), "one record a change"
        for change in changes:
            hold = Obstacle(change.strategy, change.kind, change.level)
            assert (told.get(hold) != change.reason) if change.is_set else (hold in told)
            if change.is_set:
                told[hold] = change.reason
            else:
                del told[hold]
        assert told == {hold: reason.text for hold, reason in held.items()}


def test_what_ends_by_itself_is_told_with_how_long_it_lasts() -> None:
    """The status of a ban no longer said for how long."""
    assert Reason("banned", NOW + 412).told(NOW) == "for 412 s more: banned"
    assert Reason("banned", NOW).told(NOW + 1) == "for 0 s more: banned"
    assert Reason("paused").told(NOW) == "paused"
