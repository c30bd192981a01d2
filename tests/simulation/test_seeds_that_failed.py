"""Plans, made small, of seeds that found something once: each must stay clean."""

from __future__ import annotations

import pytest

from gridbot.core import leg_history
from gridbot.simulation import stage
from gridbot.simulation.run import Run, run_plan
from gridbot.simulation.run_faults import Fault, FaultKind, Plan
from gridbot.simulation.trace import Trace
from gridbot.worker import strategy_positions
from gridbot.worker.refused_strategies import RefusedStrategies


def test_nobody_judges_an_order_that_is_about_to_be_asked_for() -> None:
    """No price comes, so the gate refuses to send again what never arrived, and a look-up a second later decides: a
    book was judged in that second (seed 261)."""
    down: dict[str, str | float | int] = {"how": "silent"}
    faults = (
        Fault(7, FaultKind.STREAMS_DOWN, 51.08, 18.6, {"channel": "public"}),
        Fault(9, FaultKind.GAP, 72.0, 0.0, {"move": 0.015}),
        Fault(10, FaultKind.REST_DOWN, 76.75, 10.7, down),
        Fault(11, FaultKind.REST_DOWN, 83.86, 33.4, down),
        Fault(12, FaultKind.STREAMS_DOWN, 83.86, 33.1, {"channel": ""}),
    )
    assert run_plan(Plan(261, 120.0, False, faults)).findings == []


def test_nobody_judges_a_ladder_that_has_seen_no_price_since_a_fill() -> None:
    """The list told of fills, and the public stream came back 12 s after the judgement (seed 9023)."""
    down = Fault(7, FaultKind.STREAMS_DOWN, 48.74, 32.3, {"channel": ""})
    assert run_plan(Plan(9023, 81.0, False, (down,))).findings == []


def test_what_a_dead_worker_is_refused_is_not_the_next_one_s_minute() -> None:
    """The answer came after the death, and the next refusal 87 s later (dense seed 111 of ten minutes)."""
    death: dict[str, str | float | int] = {"steps": 45, "away_s": 87.42, "torn": 0, "spoils": "ledger", "how": "torn"}
    faults = (
        Fault(2, FaultKind.NO_CREATES, 8.786, 103.7, {"endpoint": "/v5/order/create", "chance": 1.0, "code": 181001}),
        Fault(3, FaultKind.LOST_FRAMES, 13.927, 23.6, {"topic": "execution", "chance": 0.4}),
        Fault(4, FaultKind.LOST_FRAMES, 19.655, 6.3, {"topic": "", "chance": 1.0}),
        Fault(5, FaultKind.DEATH, 20.457, 0.0, death),
    )
    assert run_plan(Plan(111, 112.5, True, faults)).findings == []


def test_a_start_that_the_disk_refused_is_told_of_a_ban_no_more() -> None:
    """What had been begun heard of it, and had no place to keep it: the next start failed, too (seed 30178)."""
    death: dict[str, str | float | int] = {"steps": 3, "away_s": 1.0, "torn": 0, "spoils": "", "how": "torn"}
    faults = (
        Fault(1, FaultKind.BAN, 10.0, 30.0, {}),
        Fault(2, FaultKind.FULL_DISK, 19.5, 20.0, {"room": 0}),
        Fault(3, FaultKind.DEATH, 20.0, 0.0, death),
    )
    assert run_plan(Plan(5, 60.0, False, faults)).findings == []


@pytest.mark.parametrize(("is_full", "supervisor_dies"), [(True, True), (True, False), (False, True)])
def test_a_pause_that_no_disk_could_take_before_the_death_is_known_to_the_supervisor_alone(
    is_full: bool, supervisor_dies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Journal and file refused it, and the worker died at once (seed 633 of ten minutes)."""
    monkeypatch.setattr(stage, "SUPERVISOR_DIES", float(supervisor_dies))
    death: dict[str, str | float | int] = {"steps": 14, "away_s": 2.29, "torn": 0, "spoils": "holds", "how": "torn"}
    full = Fault(1, FaultKind.FULL_DISK, 15.0, 15.0, {"room": 0})
    faults = (
        *([full] if is_full else []),
        Fault(2, FaultKind.PAUSE, 20.0, 0.0, {"cancel": 1}),
        Fault(3, FaultKind.DEATH, 20.001, 0.0, death),
    )
    result = run_plan(Plan(5, 60.0, False, faults))
    assert result.findings == []
    opened_after = result.counts["creates"] - run_plan(Plan(5, 20.0, False, faults[:-2])).counts["creates"]
    is_lost = is_full and supervisor_dies
    assert (opened_after > 0) is is_lost, "what the disk has taken, or the supervisor still knows, holds"


def test_fills_of_a_shadow_that_no_record_has_are_gone_with_its_process() -> None:
    """They were expected in the next life, though no exchange tells them again (seed 13 of ten minutes)."""
    torn: dict[str, str | float | int] = {"steps": 32, "away_s": 4.03, "torn": 1, "spoils": "ledger", "how": "torn"}
    plain: dict[str, str | float | int] = {"steps": 1, "away_s": 16.87, "torn": 0, "spoils": "", "how": "garbled"}
    faults = (Fault(2, FaultKind.DEATH, 36.745, 0.0, torn), Fault(17, FaultKind.DEATH, 328.592, 0.0, plain))
    assert run_plan(Plan(13, 337.5, False, faults)).findings == []


def test_what_a_strategy_was_told_in_the_turn_of_a_death_is_told_it_again_in_the_next_life() -> None:
    """The death came before the turn's records were written, and on whole files; the grid was expected to have had the
    fills before the prices that came between (dense seed 20031)."""
    death: dict[str, str | float | int] = {"steps": 58, "away_s": 4.7, "torn": 0, "spoils": "", "how": "garbled"}
    faults = (
        Fault(8, FaultKind.STREAMS_DOWN, 40.907, 16.861, {"channel": ""}),
        Fault(14, FaultKind.EXCHANGE_RESTART, 77.325, 0.0, {}),
        Fault(16, FaultKind.PAUSE, 88.715, 0.0, {"cancel": 1}),
        Fault(17, FaultKind.DEATH, 88.725, 0.0, death),
    )
    assert run_plan(Plan(20031, 97.2, True, faults)).findings == []


def test_a_pause_whose_file_is_empty_and_whose_record_was_torn_holds() -> None:
    """Every open went out after it (dense seed 20052, fixed with dense seed 492)."""
    death: dict[str, str | float | int] = {"steps": 2, "away_s": 7.09, "torn": 1, "spoils": "holds", "how": "empty"}
    faults = (
        Fault(2, FaultKind.DROP, 15.601, 0.0, {"channel": "private"}),
        Fault(4, FaultKind.STREAMS_DOWN, 21.659, 45.893, {"channel": "public"}),
        Fault(6, FaultKind.PAUSE, 24.297, 0.0, {"cancel": 1}),
        Fault(7, FaultKind.DEATH, 24.307, 0.0, death),
        Fault(9, FaultKind.WICK, 40.931, 0.0, {"move": -0.0053}),
    )
    assert run_plan(Plan(20052, 60.0, True, faults)).findings == []


def test_nobody_hears_what_the_dead_say_when_they_are_buried() -> None:
    """Two lives died in their starts, and each said in the run's last moment that the disk had not taken its last
    records (dense seed 31001)."""
    death: dict[str, str | float | int] = {"steps": 2, "away_s": 3.0, "torn": 0, "spoils": "", "how": "torn"}
    faults = tuple(Fault(number, FaultKind.DEATH, 8.9 + 3.1 * number, 0.0, death) for number in (1, 2, 3, 4))
    trace = Trace()
    assert run_plan(Plan(5, 40.0, False, faults), trace=trace).findings == []
    assert not [line for line in trace.lines if "alert unsaved" in line]


DEATH: dict[str, str | float | int] = {"steps": 5, "away_s": 12.0, "torn": 0, "spoils": "", "how": "torn"}


@pytest.mark.parametrize("what", [FaultKind.HAND_ORDER, FaultKind.HAND_TRADE])
def test_an_account_is_followed_whose_only_symbol_is_in_one_way_mode(what: FaultKind) -> None:
    """Every start was refused while an order or a position of the owner kept it in one-way mode, some 400 lives, and no
    execution was recorded any more (seeds 751, 991 and 20052 of ten minutes)."""
    mode: dict[str, str | float | int] = {"pick": 0.1, "back": 0}
    faults = (
        Fault(1, FaultKind.HAND_MODE, 20.0, 1.0, mode),
        Fault(2, FaultKind.DEATH, 20.2, 0.0, DEATH),
        Fault(3, what, 25.0, 0.0, {"symbol": "BTCUSDT", "pick": 0.1}),
        Fault(4, FaultKind.HAND_TRADE, 50.0, 0.0, {"symbol": "BTCUSDT", "pick": 0.1}),
    )
    result = run_plan(Plan(20052, 60.0, False, faults))
    assert result.findings == []
    assert result.counts["lives"] == 2


@pytest.mark.parametrize("is_fixed", [True, False])
def test_a_pause_reaches_a_strategy_that_could_not_start(is_fixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It began by itself when its symbol was listed again, and traded: the account was paused (seed 848)."""
    if not is_fixed:
        monkeypatch.setattr(RefusedStrategies, "pause", lambda *_, **__: None)
    gone: dict[str, str | float | int] = {"symbol": "BTCUSDT", "stays": 0}
    faults = (
        Fault(1, FaultKind.UNLISTED, 20.0, 30.0, gone),
        Fault(2, FaultKind.DEATH, 21.0, 0.0, DEATH),
        Fault(3, FaultKind.PAUSE, 40.0, 0.0, {"cancel": 0}),
    )
    result = run_plan(Plan(1, 110.0, False, faults))
    assert result.counts["restarts asked for"] == 1
    assert {finding.invariant for finding in result.findings} == (set() if is_fixed else {"halted-sends-nothing"})


@pytest.mark.parametrize("is_fixed", [True, False])
def test_the_row_of_a_leg_from_before_one_way_mode_corrects_nothing(
    is_fixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner bought and sold in one-way mode, and the flat row of before came between the two (seed 5148).

    Of this seed whole passes are a minute apart, so that legs are read between them.
    """
    if not is_fixed:
        monkeypatch.setattr(leg_history, "CLOCK_STEP_MS", 10**12)
    monkeypatch.setattr(Run, "_ask_for_money", lambda _: None)  # the wrong row comes while it waits for minutes
    refused: dict[str, str | float | int] = {"endpoint": "/v5/order/create", "chance": 1.0, "code": 110003}
    faults = (
        Fault(1, FaultKind.HAND_MODE, 30.0, 50.0, {"pick": 0.1}),
        Fault(2, FaultKind.HAND_TRADE, 35.0, 0.0, {"symbol": "BTCUSDT", "pick": 0.05}),
        Fault(3, FaultKind.NO_CREATES, 28.0, 100.0, refused),
    )
    result = run_plan(Plan(47, 130.0, False, faults))
    assert result.findings == []
    assert (result.counts["corrections"] == 0) is is_fixed


@pytest.mark.parametrize("is_fixed", [True, False])
def test_the_first_fill_of_a_leg_counts_while_the_exchanges_clock_is_back(
    is_fixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its time it was older than the leg that never traded, which stayed flat for the worker (campaign seed 64)."""
    if not is_fixed:
        monkeypatch.setattr(strategy_positions, "is_outdated", lambda one, other: one.exchange_ts < other.exchange_ts)
    faults = (
        Fault(1, FaultKind.EXCHANGE_SKEW, 1.0, 8.0, {"ms": -8000}),
        Fault(2, FaultKind.GAP, 3.0, 0.0, {"move": -0.006}),
    )
    found = {finding.invariant for finding in run_plan(Plan(1, 12.0, False, faults)).findings}
    assert found == (set() if is_fixed else {"leg-is-newest"})


def test_a_loss_latch_that_neither_disk_nor_supervisor_has_is_found_again_and_not_expected_before() -> None:
    """The disk was full, and worker and supervisor died together: the next life opened until it had read of the loss
    again (seed 8207)."""
    refused: dict[str, str | float | int] = {"endpoint": "/v5/position/list", "chance": 1.0, "code": 10016}
    settled: dict[str, str | float | int] = {"word": "Settle", "moves": "no", "pick": 0.855, "part": 1, "money": -25}
    faults = (
        Fault(41, FaultKind.RELOAD, 92.55, 0.0, {"how": "count", "pick": 0.698}),
        Fault(7, FaultKind.DEATH, 97.51, 0.0, {**DEATH, "steps": 58, "away_s": 10.67}),
        Fault(11, FaultKind.REFUSALS, 110.96, 13.7, refused),
        Fault(44, FaultKind.STRANGE_EXECUTION, 114.56, 0.0, settled),
        Fault(13, FaultKind.FULL_DISK, 125.69, 36.3, {"room": 0}),
        Fault(17, FaultKind.DEATH, 146.48, 0.0, {**DEATH, "steps": 26, "away_s": 1.6}),
    )
    trace = Trace()
    assert run_plan(Plan(8207, 162.0, False, faults), trace=trace).findings == []
    assert len([line for line in trace.lines if "alert session_loss_limit" in line]) == 2


def test_orders_that_wait_for_their_quota_go_on_during_a_ban() -> None:
    """Each order was ended at once and its level asked for again, more than the quota lets through: something always
    waited, though ten orders left each second (seed 90168 of ten minutes)."""
    faults = (
        Fault(55, FaultKind.ENDED_AT_ONCE, 10.0, 60.0, {}),
        Fault(17, FaultKind.BAN, 30.0, 14.4, {}),
        Fault(18, FaultKind.RECONCILE, 31.86, 0.0, {}),
        Fault(19, FaultKind.GAP, 32.38, 0.0, {"move": -0.0171}),
    )
    assert run_plan(Plan(90168, 40.0, False, faults)).findings == []


CLOCK_BACK = {
    "fills while no worker ran are found by their orders' ids (seed 411074 of docs/clocks.md)": (
        Fault(1, FaultKind.EXCHANGE_SKEW, 20.0, 12.0, {"ms": -180_000}),
        Fault(2, FaultKind.DEATH, 21.0, 0.0, {**DEATH, "steps": 3, "away_s": 12.0}),
        Fault(3, FaultKind.WICK, 24.0, 0.0, {"move": -0.006}),
    ),
    "who resumed after a delivery need not pause again (seed 411205)": (
        Fault(1, FaultKind.STRANGE_EXECUTION, 15.0, 0.0, {"word": "Delivery", "moves": "yes", "pick": 0.1, "part": 1}),
        Fault(2, FaultKind.EXCHANGE_SKEW, 20.0, 8.0, {"ms": -180_000}),
        Fault(3, FaultKind.RESUME, 25.0, 0.0, {}),
    ),
}


@pytest.mark.parametrize("case", CLOCK_BACK)
def test_an_exchanges_clock_that_goes_back_by_minutes(case: str) -> None:
    assert run_plan(Plan(1, 40.0, False, CLOCK_BACK[case])).findings == []
