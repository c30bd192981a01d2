"""What single faults do to a run that is otherwise quiet, and that nothing comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gridbot.core import WalletEvent
from gridbot.risk.funds import Funds
from gridbot.simulation.happenings import ENDINGS, HAPPENINGS
from gridbot.simulation.run import Run, run_plan
from gridbot.simulation.run_faults import CREATE_CODES, Fault, FaultKind, Plan
from gridbot.simulation.stage import Result, Stage
from gridbot.simulation.trace import Trace
from gridbot.simulation.venue import Venue
from tests.examples import examples

DEATH: dict[str, Any] = {"steps": 5, "away_s": 2.0, "torn": 0}


def some(*values: Any) -> list[Any]:
    """The first of several that a run takes alike; by `bin/test --long` all of them."""
    return [*values] if examples(1) > 1 else [values[0]]


def story_of(*faults: Fault, length_s: float = 60.0) -> tuple[Result, str]:
    """The result, without findings, and the trace."""
    trace = Trace()
    result = run_plan(Plan(5, length_s, False, faults), trace=trace)
    assert result.findings == []
    return result, "\n".join(trace.lines)


def fault(kind: FaultKind, at_s: float = 20.0, for_s: float = 0.0, **what: Any) -> Fault:
    return Fault(int(at_s), kind, at_s, for_s, what)


def test_an_outage_of_the_streams_ends_connections_that_are_there() -> None:
    """It only refused new ones: an outage of REST and streams had streams."""
    _, story = story_of(fault(FaultKind.STREAMS_DOWN, for_s=10.0, channel=""))
    assert "private stream was away" in story
    assert "public stream was away" in story


def test_an_orderly_restart_keeps_the_orders() -> None:
    result, story = story_of(fault(FaultKind.RESTART))
    assert (result.counts["lives"], result.counts["deaths"], result.counts["ends"]) == (2, 0, 2)
    assert "life 1 ends with 0" in story
    assert any("orders adopted" in line and " 0 orders adopted" not in line for line in story.splitlines())


def test_a_worker_that_stands_still_says_nothing_and_goes_on() -> None:
    result, story = story_of(fault(FaultKind.STALL, for_s=30.0))
    times = [float(line.split()[0]) for line in story.splitlines() if "[fill]" in line]
    assert not [at_s for at_s in times if 20.1 < at_s < 49.9]
    assert [at_s for at_s in times if at_s > 50.0]
    assert result.counts["lives"] == 1


def test_a_liquidation_pauses_until_an_operator_resumes_also_over_a_death() -> None:
    kind = FaultKind.LIQUIDATION
    result, story = story_of(fault(kind, 40.0), fault(FaultKind.DEATH, 50.0, **DEATH), length_s=90.0)
    assert result.counts[f"fault {kind}"] == 1
    assert "alert reduced.BTCUSDT" in story
    creates = [line for line in story.splitlines() if "[fill]" in line and float(line.split()[0]) > 42.0]
    assert creates == []
    _, story = story_of(fault(kind, 40.0), fault(FaultKind.RESUME, 50.0), length_s=90.0)
    assert [line for line in story.splitlines() if "[fill]" in line and float(line.split()[0]) > 51.0]


STRANGE: dict[str, Any] = {"pick": 0.1, "part": "1", "money": "12.5"}
"""Of the long leg of BTCUSDT."""


@pytest.mark.parametrize(("word", "moves"), [("Delivery", "no"), ("MovePosition", "yes"), ("SpinOff", "yes")])
def test_an_execution_that_takes_a_leg_away_pauses(word: str, moves: str) -> None:
    bought = fault(FaultKind.HAND_TRADE, 10.0, symbol="BTCUSDT", pick=0.1)
    taken = fault(FaultKind.STRANGE_EXECUTION, 40.0, word=word, moves=moves, **STRANGE)
    result, story = story_of(bought, taken)
    assert result.counts["fault strange_execution"] == 1
    assert "alert reduced.BTCUSDT" in story
    assert word in story


def test_money_of_other_kinds_is_exact() -> None:
    result, story = story_of(
        fault(FaultKind.CHARGES, 5.0, 40.0, tax="0.18", coin="MNT"),
        fault(FaultKind.STRANGE_EXECUTION, 30.0, word="Dividend", moves="no", **STRANGE),
        fault(FaultKind.COIN_FRAME, 31.0),
    )
    assert [result.counts[f"fault {kind}"] for kind in ("charges", "strange_execution", "coin_frame")] == [1, 1, 1]
    assert "alert unusual.BTCUSDT" in story
    assert result.counts["fills"] > 0


def test_a_liquidation_that_pauses_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.risk.strategy_state.StrategyRiskState.pause", lambda *_: None)
    result = run_plan(Plan(5, 60.0, False, (fault(FaultKind.LIQUIDATION, 40.0),)))
    assert {finding.invariant for finding in result.findings} == {"halted-sends-nothing"}


def test_a_balance_that_stays_behind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Funds.seen

    def seen(funds: Funds, wallet: WalletEvent, now_s: float, *, was_asked: bool) -> Funds:
        return real(funds, wallet if funds.wallet is None else funds.wallet, now_s, was_asked=was_asked)

    monkeypatch.setattr(Funds, "seen", seen)
    result = run_plan(Plan(5, 60.0, False, ()))
    assert [(finding.invariant, finding.text.split(":")[0]) for finding in result.findings] == [("money", "balance")]


def test_one_way_mode_by_hand_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[object] = []
    real = Venue.ask_by_hand

    def ask(venue: Venue, verb: str, path: str, params: dict[str, object]) -> dict[str, object]:
        answer = real(venue, verb, path, params)
        if "mode" in params:
            modes.append((params["mode"], answer.get("error")))
        return answer

    monkeypatch.setattr(Venue, "ask_by_hand", ask)
    _, story = story_of(fault(FaultKind.HAND_MODE, for_s=20.0, pick=0.1), length_s=60.0)
    assert modes == [(0, None), (3, 110025)], "the worker has switched it back before the hand does"
    assert "no order gets through" in story
    assert "alert halt.BTCUSDT" not in story, "it is switched back, or says why it cannot be"


def test_isolated_margin_by_hand_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was noticed at the next start only; until then an open went out each five seconds, unpaid for all we knew."""

    def to(mode: str) -> Callable[[Stage, Fault], bool]:
        wanted: dict[str, object] = {"setMarginMode": mode}
        return lambda stage, _: "error" not in stage.venue.ask_by_hand("POST", "/v5/account/set-margin-mode", wanted)

    monkeypatch.setitem(HAPPENINGS, FaultKind.HAND_MODE, to("ISOLATED_MARGIN"))
    monkeypatch.setitem(ENDINGS, FaultKind.HAND_MODE, to("REGULAR_MARGIN"))
    _, story = story_of(fault(FaultKind.HAND_MODE, for_s=60.0), length_s=160.0)
    told = [line for line in story.splitlines() if "alert listing." in line]
    symbols = {line.split("listing.")[1].split()[0].rstrip(":") for line in told}
    assert "isolated margin" in story
    assert len(told) == 2 * len(symbols), "it begins and ends once for each symbol"


@pytest.mark.parametrize("code", CREATE_CODES)
def test_when_every_create_is_refused_that_is_told_once_and_its_end_too(code: int) -> None:
    """Also with a code that nobody knows, whose orders are looked up for ever: it was silent for 32 s."""
    refused = fault(FaultKind.NO_CREATES, 0.1, for_s=45.0, endpoint="/v5/order/create", chance=1.0, code=code)
    result, story = story_of(refused, length_s=80.0)
    assert result.counts["fault no_creates"] >= 3
    lines = [line for line in story.splitlines() if "alert refused.BTCUSDT" in line]
    assert len(lines) == 2
    assert f"retCode {code}" in lines[0]
    assert float(lines[0].split()[0]) < 10.0
    assert "alert refused.BTCUSDT is over" in lines[1]
    assert result.counts["creates"] > 0


def test_orders_that_are_ended_at_once_leave_their_levels_alone_and_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were placed again at each price, and an acknowledgement counted as success."""
    ended = fault(FaultKind.ENDED_AT_ONCE, 0.1, for_s=60.0)
    _, story = story_of(ended, length_s=100.0)
    begun, over = [line for line in story.splitlines() if "alert refused.BTCUSDT" in line]
    assert "the exchange accepted the order and ended it at once: EC_ReachRiskPriceLimit" in begun
    assert float(begun.split()[0]) < 10.0
    assert "alert refused.BTCUSDT is over" in over
    monkeypatch.setattr("gridbot.orders.life_news._refused_at_once", lambda *_: (False, None))
    result = run_plan(Plan(5, 60.0, False, (ended,)))
    assert {finding.invariant for finding in result.findings} == {"level-is-calm"}


def test_a_reading_that_fails_for_minutes_is_one_incident_with_an_end() -> None:
    """It was a line in the log each time, and told by nothing."""
    log = "/v5/account/transaction-log"
    failing = fault(FaultKind.REFUSALS, 0.1, for_s=330.0, endpoint=log, chance=1.0, code=10016)
    _, story = story_of(failing, length_s=360.0)
    begun, ended = [line for line in story.splitlines() if "alert job.money" in line]
    assert 300.0 < float(begun.split()[0]) < 320.0
    assert "comparing the records with the exchange's transaction log failed " in begun
    assert " times in a row: " in begun
    assert "(retCode 10016, ambiguous); " in begun
    assert "alert job.money is over" in ended
    assert 330.0 < float(ended.split()[0]) < 350.0


@pytest.mark.parametrize("kind", [FaultKind.SLOW_DISK, FaultKind.WRITE_ERRORS])
def test_a_bad_disk_passes(kind: FaultKind) -> None:
    what = {"late_s": 0.3} if kind is FaultKind.SLOW_DISK else {"where": ""}
    result, _ = story_of(fault(kind, for_s=10.0, chance=0.5, **what))
    assert result.counts[f"fault {kind}"] > 2
    assert result.counts["fills"] > 0


def test_a_damaged_file_of_holds_does_not_lift_a_pause() -> None:
    death = fault(FaultKind.DEATH, 30.0, **DEATH, spoils="holds", how="torn")
    result, story = story_of(fault(FaultKind.PAUSE, 20.0, cancel=0), death, length_s=90.0)
    assert result.counts["spoiled files"] == 1
    assert "holds.json is torn" in story


def test_tasks_that_outlive_a_stop_are_found(tmp_path: Any) -> None:
    plan = Plan(5, 30.0, False, (fault(FaultKind.RESTART, 20.0),))
    run = Run(plan, tmp_path, Trace(on=False), until=("bounded",))  # else ten minutes until it rests
    life_of = run.stage.begin_life

    kept: list[asyncio.Task[None]] = []

    async def for_ever() -> None:
        await asyncio.Event().wait()

    def begin() -> None:
        life_of()
        if run.stage.life is not None:
            kept.append(run.stage.loop.create_task(for_ever(), name="left", context=run.stage.life.context.copy()))

    run.stage.begin_life = begin  # type: ignore[method-assign]
    run.stage.loop.run(run.main())
    run.stage.loop.bury()
    assert "tasks that outlive the stop: left" in {finding.text for finding in run.verdict.findings}


def test_a_delisting_settles_what_is_held_and_the_other_symbol_goes_on() -> None:
    trace = Trace()
    delisting = fault(FaultKind.DELISTING, 60.0, pick=0.0, in_s=20.0, settling_s=5.0)
    plan = Plan(5, 120.0, True, (delisting,))
    result = run_plan(plan, trace=trace)
    assert result.findings == []
    assert result.counts["fault delisting"] == 1
    story = "\n".join(trace.lines)
    assert "alert listing.BTCUSDT" in story
    assert "the contract is over; the strategy is paused" in story
    late = [line for line in trace.lines if "[fill]" in line and float(line.split()[0]) > 90.0]
    assert late


def test_a_contract_that_is_delivered_while_no_worker_runs_pauses_the_next_one() -> None:
    """Money and records of it are compared at rest, as in every run."""
    trace = Trace()
    delisting = fault(FaultKind.DELISTING, 40.0, pick=0.0, in_s=25.0, settling_s=5.0)
    bought = fault(FaultKind.HAND_TRADE, 30.0, symbol="BTCUSDT", pick=0.1)
    death = fault(FaultKind.DEATH, 50.0, **{**DEATH, "away_s": 40.0})
    result = run_plan(Plan(5, 120.0, True, (bought, delisting, death)), trace=trace)
    assert result.findings == []
    assert (result.counts["fault delisting"], result.counts["deaths"]) == (1, 1)
    told = [line for line in trace.lines if "Delivery" in line and "paused" in line]
    assert told
    assert float(told[0].split()[0]) > 90.0


@pytest.mark.parametrize("phase", some("CallAuctionNoCancel", "CallAuction"))
def test_orders_of_ours_in_a_call_auction_are_matched_at_its_price(phase: str) -> None:
    what = {"pick": 0.0, "status": "PreLaunch", "phase": phase}
    _, story = story_of(fault(FaultKind.NOT_OPEN, 30.0, 30.0, **what), length_s=90.0)
    late = [line for line in story.splitlines() if "[fill]" in line and float(line.split()[0]) > 60.0]
    assert late
    assert not [line for line in story.splitlines() if "[fill]" in line and 31.0 < float(line.split()[0]) < 59.9]


def test_a_symbol_that_is_not_open_for_a_while_trades_again() -> None:
    _, story = story_of(fault(FaultKind.NOT_OPEN, 30.0, 30.0, pick=0.0, status="PendingOpen"), length_s=180.0)
    assert "alert listing.BTCUSDT: BTCUSDT takes no orders now, they wait" in story
    assert "alert listing.BTCUSDT is over" in story


@pytest.mark.parametrize("times", some("10", "0.1"))
def test_another_lot_is_taken_up(times: str) -> None:
    result, story = story_of(fault(FaultKind.LOT_CHANGE, 30.0, pick=0.0, times=times), length_s=90.0)
    assert result.counts["fault lot_change"] == 1
    assert [line for line in story.splitlines() if "[fill]" in line and float(line.split()[0]) > 60.0]


def test_a_cut_leg_opens_again_when_it_is_lifted_and_deleveraging_is_booked() -> None:
    cut = fault(FaultKind.RISK_CUT, 40.0, 30.0, pick=0.0)
    result, story = story_of(cut, fault(FaultKind.ADL, 80.0, pick=0.5, part=0.5), length_s=90.0)
    assert (result.counts["fault risk_cut"], result.counts["fault adl"]) == (1, 1)
    assert "alert reduce_only.BTCUSDT" in story
    assert "alert reduce_only.BTCUSDT is over" in story


@pytest.mark.parametrize("is_fixed", [True, False])
def test_a_maintenance_is_told_while_it_lasts(is_fixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_fixed:
        monkeypatch.setattr("gridbot.risk.notice_board._OVER", frozenset())
    announced = fault(FaultKind.MAINTENANCE, 5.0, 75.0, after_s=10.0)
    trace = Trace()
    result = run_plan(Plan(5, 160.0, False, (announced,)), trace=trace)
    assert any("alert maintenance." in line for line in trace.lines)
    assert {finding.invariant for finding in result.findings} == (set() if is_fixed else {"maintenance-is-told"})
