"""Each watch says what is wrong when it is, and nothing before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson

from gridbot.exchange.bans import BANNED
from gridbot.paper.api.dispatch import Reply
from gridbot.simulation.fault_values import FaultKind, Plan
from gridbot.simulation.network import Network
from gridbot.simulation.odd_answers import REALTIME, OddAnswers, strange_row
from gridbot.simulation.run_checks import mode_is_ours, shadow_is_fresh
from gridbot.simulation.run_watches import (
    ASKED_MOST_S,
    ASKED_S,
    LEVELS_KEPT,
    WANTED_S,
    FollowWatch,
    IncidentWatch,
    LaneWatch,
    LevelWatch,
    MaintenanceWatch,
    UnsettledWatch,
    VainWatch,
)
from gridbot.simulation.virtual_loop import VirtualLoop
from gridbot.worker.symbol_states import FREE

ROW: dict[str, object] = {"symbol": "BTCUSDT", "positionIdx": 1, "side": "Buy", "price": "5", "reduceOnly": True}


def test_a_lane_is_shut_when_every_create_of_it_was_refused_for_a_minute() -> None:
    lanes = LaneWatch()
    for at_s in range(0, 80, 15):
        assert lanes.shut(at_s) == []
        lanes.answered(ROW, 110017, float(at_s))
        lanes.answered({**ROW, "reduceOnly": False}, 0, float(at_s))
    assert lanes.shut(77.0) == [], "it tells once a second"
    [shut] = lanes.shut(80.0)
    assert (shut.since_s, shut.code) == (0.0, 110017)
    assert str(shut).startswith("every close of ")
    lanes.answered(ROW, 0, 80.0)
    assert lanes.shut(80.0) == []


def test_a_lane_of_which_nothing_is_wanted_any_more_is_not_held_to_be_shut() -> None:
    """A strategy was paused, and after five minutes the worker forgot what it had been refused (seed 771)."""
    lanes = LaneWatch()
    for at_s in range(0, 80, 15):
        lanes.answered(ROW, 110017, float(at_s))
    assert len(lanes.shut(75.0 + WANTED_S)) == 1
    assert lanes.shut(75.1 + WANTED_S) == []


def test_a_lane_begins_anew_when_its_symbol_was_set_right_and_other_symbols_go_on() -> None:
    lanes = LaneWatch()
    for at_s in range(0, 80, 15):
        lanes.answered(ROW, 110017, float(at_s))
        lanes.answered({**ROW, "symbol": "OTHERUSDT"}, 110017, float(at_s))
    lanes.ended(str(ROW["symbol"]), "over, in 75 s: btc: no close of its long gets through")
    assert len(lanes.shut(80.0)) == 2, "one lane is open again, or nothing is wanted of it: that frees no other"
    lanes.ended(str(ROW["symbol"]), f"over: it is in hedge mode again; {FREE}")
    assert [lane.symbol for lane in lanes.shut(80.0)] == ["OTHERUSDT"]
    for at_s in range(90, 170, 15):
        lanes.answered(ROW, 110017, float(at_s))
    found = [(lane.since_s, lane.code) for lane in lanes.shut(168.0) if lane.symbol != "OTHERUSDT"]
    assert found == [(90.0, 110017)]
    lanes.forget()
    assert lanes.shut(165.0) == []


def test_a_level_with_many_orders_in_a_minute_is_found_and_one_that_is_sent_again_is_not() -> None:
    found: list[tuple[str, str]] = []
    levels = LevelWatch(lambda name, text: found.append((name, text)))
    for number in range(100):
        levels.asked({**ROW, "orderLinkId": "same"}, number / 10)
        levels.asked({**ROW, "orderLinkId": f"slow-{number}"}, 100.0 + number * 10)
    assert found == []
    for number in range(3 * LEVELS_KEPT):
        levels.asked({**ROW, "price": str(number), "orderLinkId": str(number)}, 1200.0 + number / 2)
    assert len(levels._asked) <= LEVELS_KEPT + 1, "the simulator's own memory"
    for number in range(13):
        levels.asked({**ROW, "orderLinkId": f"quick-{number}"}, 2000.0 + number)
    assert [name for name, _ in found] == ["level-is-calm"]


def test_an_incident_is_told_again_only_when_it_is_worse_or_has_ended() -> None:
    found: list[str] = []
    incidents = IncidentWatch(lambda name, text: found.append(name))
    for level in ("warning", "error", "info", "warning"):
        incidents.told("halt.x", level, "", 1.0)
    incidents.forget()
    incidents.told("halt.x", "warning", "", 1.0)
    assert found == []
    incidents.told("halt.x", "warning", "", 1.0)
    assert found == ["told-once"]


def test_that_nothing_gets_through_is_told_again_with_another_cause_alone() -> None:
    found: list[str] = []
    incidents = IncidentWatch(lambda name, text: found.append(name))
    incidents.told("refused.x", "error", "nothing passes, 3 in a row; remedy", 1.0)
    incidents.told("refused.x", "error", "nothing passes, 5 in a row; an order covers the leg; remedy", 2.0)
    assert found == []
    incidents.told("refused.x", "error", "nothing passes, 7 in a row; an order covers the leg; remedy", 3.0)
    assert found == ["told-once"]


def test_a_cap_that_comes_and_goes_is_told_once_a_minute_at_most() -> None:
    found: list[str] = []
    incidents = IncidentWatch(lambda name, text: found.append(name))
    for at_s in (0.0, 60.0, 120.0):
        incidents.told("cap.x", "warning", "", at_s)
        incidents.told("cap.x", "info", "", at_s + 1.0)
    assert found == []
    incidents.told("cap.x", "warning", "", 179.0)
    assert found == ["told-once"]


def test_an_account_that_nobody_compares_is_found_but_after_a_ban() -> None:
    loop = VirtualLoop()  # type: ignore[abstract]
    network, found = Network(Plan(1, 10.0, False, ()), loop), []
    watch = FollowWatch(lambda name, text: found.append(name), network)
    start_s = loop.now_s
    trades: Any = SimpleNamespace(reconciler=SimpleNamespace(last_s=start_s + 60.0))
    watch.look(None, start_s)
    watch.look(trades, start_s + 130.0)
    assert found == []
    watch.look(trades, start_s + 150.0)
    assert found == ["account-is-followed"]
    network.struck[FaultKind.BAN] = 1
    watch.look(None, start_s + 500.0)
    assert len(found) == 1


def test_modes_and_the_funds_of_shadows() -> None:
    assert mode_is_ours({"A": True, "B": False}, {"B"}) == []
    assert mode_is_ours({"A": True, "B": False}, set()) == ["B is in one-way mode"]
    assert shadow_is_fresh(None, None) == shadow_is_fresh(5.0, 5.0) == shadow_is_fresh(5.0, 4.5) == []
    assert len(shadow_is_fresh(60.0, 5.0)) == len(shadow_is_fresh(60.0, None)) == 1


def test_odd_answers() -> None:
    odd = OddAnswers()
    reply = Reply(200, orjson.dumps({"retCode": 0, "result": {"list": [{"symbol": "A"}], "nextPageCursor": "x"}}), {})
    refused = Reply(200, orjson.dumps({"retCode": 10006, "result": {}}), {})
    assert odd.altered(REALTIME, reply) is reply

    odd.unlisted.add("B")
    instruments = "/v5/market/instruments-info?symbol="
    assert odd.altered(f"{instruments}A", reply) is reply
    assert rows_of(odd.altered(f"{instruments}B", reply)) == []

    path, topic, row = strange_row("C", "status", 7)
    assert (path, topic, row["orderStatus"]) == (REALTIME, "order", "Frozen")
    odd.strange[path] = row
    assert [each["symbol"] for each in rows_of(odd.altered(f"{REALTIME}?settleCoin=USDT", reply))] == ["A", "C"]
    assert odd.altered(f"{REALTIME}?symbol=A&orderId=1", reply) is reply

    odd.listed = [{"symbol": "A", "orderId": "1"}, {"symbol": "B", "orderId": "2"}]
    assert rows_of(odd.altered(f"{REALTIME}?symbol=B&orderId=2", reply)) == odd.listed[1:]
    assert rows_of(odd.altered(f"{REALTIME}?symbol=A&orderId=3", reply)) == []
    assert odd.altered(f"{REALTIME}?settleCoin=USDT", refused) is refused


def rows_of(reply: Reply) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = orjson.loads(reply.body)["result"]["list"]
    return rows


def test_a_lane_says_since_when_its_newest_code_refuses_it() -> None:
    """An incident cannot name within a moment what covers a leg, of a lane that was refused for another reason."""
    lanes = LaneWatch()
    row: dict[str, object] = {"symbol": "BTCUSDT", "positionIdx": 2, "reduceOnly": True}
    for at_s, code in ((0.0, 181001), (20.0, 181001), (40.0, 181001), (61.0, 181001), (62.0, 110017), (63.0, 110017)):
        lanes.answered(row, code, at_s)
    [shut] = lanes.shut(65.0)
    assert (shut.since_s, shut.code, shut.code_since_s) == (0.0, 110017, 62.0)


def test_an_order_that_lacks_executions_is_found_once_its_next_question_was_due() -> None:
    found: list[str] = []
    watch = UnsettledWatch(lambda name, text: found.append(name))
    for at_s in (10.0, 10.0 + ASKED_S):
        watch.look(["a"], at_s, 0.0)
    watch.look([], 18.5, 0.0)
    watch.look(["a"], 19.0, 0.0)
    watch.look(["a"], 100.0, 95.0)
    watch.look(["a"], 95.0 + ASKED_S + ASKED_MOST_S, 95.0)
    watch.forget()
    watch.look(["a"], 200.0, 95.0)
    assert found == [], "the wait between two questions has doubled up to its longest in the trouble"
    watch.look(["a"], 200.1 + ASKED_S, 95.0)
    assert found == ["fills-are-asked-for"]


def test_during_a_ban_and_the_wait_after_it_nobody_asks_for_executions() -> None:
    """Fills go on over the trade socket, and nothing can be asked (dense seed 13072)."""
    found: list[str] = []
    watch = UnsettledWatch(lambda name, text: found.append(name))
    for at_s in (10.0, 300.0, 609.0):
        watch.look(["a"], at_s, 8.0, is_banned=True)
    watch.look(["a"], 609.0 + ASKED_S + ASKED_MOST_S, 8.0)
    assert found == []
    watch.look(["a"], 609.1 + ASKED_S + ASKED_MOST_S, 8.0)
    assert found == ["fills-are-asked-for"]


def test_what_is_refused_after_the_symbol_took_no_orders_is_another_minute() -> None:
    """Refused once, then waited for a minute as told, then three closes that found nothing left (dense seed 3447)."""
    lanes = LaneWatch()
    for at_s, code in ((0.0, 110074), (0.1, 110074), (75.0, 110017), (75.1, 110017), (75.2, 110017)):
        lanes.answered(ROW, code, at_s)
    assert lanes.shut(78.0) == []
    for at_s in range(80, 140, 10):
        lanes.answered(ROW, 110017, float(at_s))
    lanes.answered(ROW, 110017, 136.0)
    [shut] = lanes.shut(139.0)
    assert shut.since_s == 75.0


def test_what_is_refused_for_the_state_of_its_symbol_is_asked_for_once() -> None:
    found: list[str] = []
    network = SimpleNamespace(trouble_s=0.0)
    watch = VainWatch(lambda name, text: found.append(f"{name}: {text}"), network)  # type: ignore[arg-type]
    row: dict[str, object] = {"symbol": "BTCUSDT", "positionIdx": 1}
    watch.answered(row, 110074, 100.0)
    watch.answered(row, 110074, 115.0)  # under way
    watch.answered(row, 110074, 160.0)  # asked again after a minute
    watch.answered({**row, "positionIdx": 2}, 110074, 190.0)
    watch.answered(row, 110007, 190.0)
    assert found == []
    watch.answered(row, 110074, 190.0)
    assert found == ["nothing-in-vain: BTCUSDT (leg 1) is asked again, refused with 110074 just before"]
    network.trouble_s = 191.0
    watch.answered(row, 110074, 195.0)
    watch.forget()
    watch.answered(row, 110074, 220.0)
    assert len(found) == 1
    watch.answered(row, 30228, 300.0)
    watch.answered(row, 30228, 890.0)  # ten minutes after
    assert len(found) == 1
    watch.answered(row, 30228, 1400.0)
    assert len(found) == 2


def test_maintenance_is_known_soon_after_its_begin_or_the_workers() -> None:
    found: list[str] = []
    faults = [SimpleNamespace(at_s=0.0, what={"after_s": 10.0})]
    network = SimpleNamespace(on=lambda kind: faults if kind is FaultKind.MAINTENANCE else [], at_s=lambda: 80.0)
    watch = MaintenanceWatch(lambda name, text: found.append(name), network)  # type: ignore[arg-type]

    def reports(first_s: int, last_s: int, *reasons: str, is_trading: bool = True) -> None:
        for at_s in range(first_s, last_s):
            watch.reported(reasons, float(at_s), is_trading=is_trading)

    reports(1080, 1120)
    reports(1120, 1200, "maintenance of the exchange, end not told: x")
    watch.forget()
    reports(1200, 1240)  # the next worker
    reports(1240, 1250, is_trading=False)
    reports(1250, 1290)
    reports(1350, 1390)  # it had stood still
    reports(1390, 1395, f"not sent: {BANNED} for 60 s more")  # by its own figures only (seed 7277)
    reports(1395, 1435)
    assert found == []
    reports(1435, 1438)
    assert set(found) == {"maintenance-is-told"}
    found.clear()
    reports(1438, 1440, told := "maintenance of the exchange, end not told: x")
    faults.clear()
    reports(1440, 1504, told)
    assert found == []
    reports(1504, 1507, told)
    assert set(found) == {"maintenance-is-told"}
    found.clear()
    reports(1600, 1664, told)  # it had stood still again, and knew what it knew before
    assert found == []
    watch.forget()
    reports(1670, 1734, told)  # the next worker reads the same old news at its start
    assert found == []
    reports(1734, 1740, told)
    assert set(found) == {"maintenance-is-told"}
