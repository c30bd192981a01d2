"""`why`: what the workers answer, in words; what is known when one does not; and the past from the records."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest
from click.testing import CliRunner, Result

from supervisor.cli import status_command, why
from supervisor.cli.main import cli
from supervisor.cli.options import PastTime
from supervisor.control.control_client import Refused, Unanswered
from tests.store.night import START_MS, make_night

HELD = {
    "account": "alice",
    "strategy": "btc",
    "symbol": "BTCUSDT",
    "mode": "live",
    "last_price": "60000.1",
    "price_age_s": 0.2,
    "wanted": 10,
    "placed": 6,
    "off_grid": 1,
    "held": 2,
    "passing": 1,
    "normal": 1,
    "next_s": 2.0,
    "holds": [
        {
            "of": "strategy",
            "what": "paused",
            "text": "paused by the operator",
            "since_ms": 1_700_000_000_000,
            "by": "operator",
            "left_s": None,
            "lifted_by": "gb resume alice/btc",
        },
        {
            "of": "account",
            "what": "ip_ban",
            "text": "the exchange bans this address",
            "since_ms": None,
            "by": "",
            "left_s": 90.0,
            "lifted_by": "",
        },
    ],
    "missing": [
        {
            "leg": "long",
            "side": "Buy",
            "price": price,
            "closes": False,
            "weight": "held",
            "text": "paused",
            "next_s": None,
        }
        | {"lifted_by": "gb resume alice/btc"}
        for price in ("59000.0", "59900.0")
    ]
    + [
        {"leg": "short", "side": "Sell", "price": "60100.0", "closes": False, "weight": "passing", "text": "tried"}
        | {"next_s": 2.0, "lifted_by": ""},
        {
            "leg": "short",
            "side": "Buy",
            "price": "59900.0",
            "closes": True,
            "weight": "normal",
            "text": "nothing to close",
        }
        | {"next_s": None, "lifted_by": ""},
    ],
    "left_out": 3,
    "legs": [
        {
            "leg": "long",
            "size": "0.5",
            "entry": "60010.123456",
            "leverage": "10",
            "liq": "52000",
            "liq_distance_percent": 13.33,
            "multiplier_buy": "1",
            "multiplier_sell": "1.5",
        },
        {"leg": "short", "size": "0"},
    ],
    "caps": [
        {"name": "max_notional", "used": "201", "limit": "10000", "left": "9799", "percent": 2.0, "unit": "USDT"},
        {"name": "account max_margin_ratio", "used": "0.1", "limit": "0.5", "left": "0.4", "percent": 20.0, "unit": ""},
    ],
    "rules": ["long_1: near"],
    "low_balance": False,
}
WELL = {**HELD, "strategy": "eth", "held": 0, "passing": 0, "holds": [], "missing": [], "left_out": 0, "rules": []}


def account(name: str, *strategies: str, state: str = "RUNNING") -> dict[str, Any]:
    process = {"state": state, "reason": "no report", "next_start_s": 3.0, "last_exit": "killed by SIGKILL"}
    rows = [{"strat_id": each, "state": None, "waiting": {"not_covered": 2}, "open_orders": 4} for each in strategies]
    more = {"report_age_s": None, "name": f"worker-{name}"}
    return {
        "account": name,
        "process": {**process, **more},
        "health": None,
        "freshness": "offline",
        "reasons": ["it is slow"],
        "groups": [],
        "strategies": rows,
    }


class Client:
    """A supervisor with two accounts, of which the worker of bob does not answer."""

    answers: ClassVar[dict[str, Any]] = {
        "alice": [HELD, WELL],
        "bob": Unanswered("the worker of bob did not answer within 3 s"),
    }

    def __init__(self, *_: Any) -> None:
        pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def status(self) -> dict[str, Any]:
        return {"accounts": [account("alice", "btc", "eth"), account("bob", "sol", state="BACKOFF")]}

    def why(self, name: str, strategy: str = "") -> dict[str, Any]:
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return {"account": name, "strategies": [each for each in answer if strategy in ("", each["strategy"])]}


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "PatientClient", Client)
    monkeypatch.setattr(status_command, "PatientClient", Client)
    monkeypatch.setenv("COLUMNS", "200")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["why", *words])


def test_one_strategy_in_full() -> None:
    result = run("alice/btc")
    assert result.exit_code == 6
    assert result.output.splitlines() == [
        "alice/btc BTCUSDT: 6 of 10 orders rest, 2 held back, 1 on its way, 1 waits as it should; "
        "1 more at levels that wait for now, or are no more",
        "  price 60000.1, 0.2 s old",
        "  ! paused since 2023-11-14 22:13:20 UTC by the operator: paused by the operator",
        "    lifted by: gb resume alice/btc",
        "  ! ip ban (the whole account) for 1m30s more: the exchange bans this address",
        "  ! 2 orders, long Buy, 59000.0 to 59900.0: paused",
        "  ~ short Sell 60100.0: tried; tried again in 2.0 s",
        "  - short Buy 59900.0: nothing to close",
        "  and 3 more that do not rest",
        "  long: 0.5 @ 60010.12, leverage 10, liquidation at 52000, 13.33 % away, sizes: Buy × 1, Sell × 1.5",
        "  short: no position",
        "  risk rule long_1: near",
        "  cap max_notional: 201 of 10000 USDT used, 2.0 %, 9799 left",
        "  cap account max_margin_ratio: 0.1 of 0.5 used, 20.0 %, 0.4 left",
    ]


def test_a_mark_beyond_the_liquidation_price_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    leg = {"leg": "long", "size": "0.5", "entry": "60010", "leverage": "10", "liq": "62500", "multiplier_buy": "1"}
    legs = [{**leg, "multiplier_sell": "1", "liq_distance_percent": -4.15}]
    monkeypatch.setitem(Client.answers, "alice", [{**HELD, "legs": legs}])
    assert "liquidation at 62500, the mark is 4.15 % beyond it" in run("alice/btc").output


def test_without_a_target_only_what_is_not_as_it_should_be_and_what_is_known_of_who_is_silent() -> None:
    result = run()
    assert result.exit_code == 5
    lines = result.output.splitlines()
    assert "alice/eth BTCUSDT: 6 of 10 orders rest, 1 waits as it should" in lines[6]
    assert "nothing to close" not in result.output
    assert lines[-5:] == [
        "bob: the worker of bob did not answer within 3 s",
        "  its process is BACKOFF: no report; next start in 3 s",
        "  the one before ended: killed by SIGKILL",
        "  ! it is slow",
        "  sol, it has not reported yet: unknown, 4 orders; missing: 2 not covered",
    ]
    document = json.loads(run("--all", "--json").output)
    assert [each["strategy"] for each in document["strategies"]] == ["btc", "eth"]
    assert [each["account"] for each in document["unanswered"]] == ["bob"]


def test_what_is_as_it_should_be_is_no_failure_and_unknown_names_are() -> None:
    assert run("alice/eth").exit_code == 0
    wrong = CliRunner().invoke(cli, ["why", "alice/bth"])
    assert "did you mean alice/" in str(wrong.exception)


def test_workers_that_hang_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs three seconds, and a fleet has fifty."""
    both_wait = threading.Barrier(2, timeout=30)

    def hangs(self: Client, name: str, strategy: str = "") -> dict[str, Any]:
        both_wait.wait()
        raise Unanswered(f"the worker of {name} did not answer")

    monkeypatch.setattr(Client, "why", hangs)
    assert run().exit_code == 5


def test_a_worker_that_starts_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    starting = Refused("the worker is starting: it knows nothing of its orders yet")
    monkeypatch.setitem(Client.answers, "alice", starting)
    result = run("alice")
    assert result.exit_code == 5
    assert "alice: the worker is starting" in result.output


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("night")
    make_night(directory)
    return directory


def then(night: Path, seconds: float, *words: str) -> Result:
    at = datetime.fromtimestamp(START_MS / 1000 + seconds, UTC).isoformat()
    return run("alice/btc_grid", "--at", at, "--data-dir", str(night), *words)


def test_the_past_has_what_held_and_was_refused_then_and_not_what_came_later(night: Path) -> None:
    result = then(night, 18)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "alice/btc_grid BTCUSDT at 2023-11-14 22:13:38 UTC",
        "  its worker ran since 2023-11-14 22:13:21, version 0.1.0, on paper; it said 1 s before: degraded "
        "(btc_grid: no order gets through)",
        "  price 101.5, 0 s before; between 100 and 101.5 in ten minutes",
        "  1 orders, on 4 levels (1 long Buy open); 2 fills in ten minutes",
        "  ! paused since 2023-11-14 22:13:29: paused by the operator; an operator had to resume it",
        "  ! 1 orders (long Buy, 99) refused by the gate: max_notional, first at 2023-11-14 22:13:26",
        "  ! refused by the exchange (retCode 110007), 1 times in ten minutes, last at 2023-11-14 22:13:27: ab not "
        "enough",
        "  ! alert open since 2023-11-14 22:13:28: no order gets through",
        "  2023-11-14 22:13:21 a worker began",
        "  2023-11-14 22:13:30 command pause btc_grid: 1 paused",
        "  2023-11-14 22:13:41 the run before had been killed: it never ended",
        "  long: 1 @ 100",
        "  wallet 1,000.00 USDT, equity 1,002.00, 2 s before",
    ]
    before = then(night, 5).output
    assert "paused" not in before.replace("command pause btc_grid: 1 paused", "")
    assert "alert open" not in before
    over = then(night, 20).output
    assert ("alert open" in over, "  ! paused" in over) == (False, False)


def test_the_past_of_a_time_without_a_worker_and_before_everything(night: Path) -> None:
    dead = then(night, 100).output
    assert (
        "! no worker was running: the last one had crashed at 2023-11-14 22:13:40 (it never ended); the next one"
        in dead
    )
    again = then(night, 3630).output
    assert "on testnet" in again
    assert "the exchange could not be read (start): no answer" in again
    assert "the private stream was away until 2023-11-14 23:13:42" in again
    early = then(night, -3600)
    assert early.exit_code == 9
    assert "no worker had run yet; the next one began at 2023-11-14 22:13:21" in early.output
    document = json.loads(then(night, 18, "--json").output)
    [found] = document["strategies"]
    assert (document["at"], found["symbol"], found["prices"]["last_price"]) == (
        "2023-11-14T22:13:38Z",
        "BTCUSDT",
        "101.5",
    )


def test_all_strategies_of_a_group_at_a_time_and_records_that_are_not_there(night: Path, tmp_path: Path) -> None:
    at = ("--at", "2023-11-14T22:13:38", "--data-dir", str(night))
    assert run("--group", "night", *at).output.startswith("alice/btc_grid BTCUSDT at")
    assert run("bob", *at).output.count(" at 2023-11-14 22:13:38 UTC") == 2
    nothing = run("--at", "24h", "--data-dir", str(tmp_path))
    assert "there is no database" in str(nothing.exception)


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("90s", timedelta(seconds=90)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_times_of_the_past_as_a_span(text: str, back: timedelta) -> None:
    found = PastTime().convert(text, None, None)
    assert abs(datetime.now(UTC) - back - found) < timedelta(seconds=5)


def test_times_of_the_past_by_the_clock_are_the_last_ones() -> None:
    now = datetime.now(UTC)
    for minutes in (-1, 1):
        asked = (now + timedelta(minutes=minutes)).replace(second=0, microsecond=0)
        found = PastTime().convert(f"{asked:%H:%M}", None, None)
        assert found <= datetime.now(UTC)
        assert (found.hour, found.minute, found.second) == (asked.hour, asked.minute, 0)
        assert datetime.now(UTC) - found < timedelta(days=1, minutes=1)
    assert PastTime().convert("2026-11-01T12:30", None, None) == datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
    for wrong in ("25:00", "soon", "-3h", "999999d", "9999-12-31", "0001-01-01"):
        with pytest.raises(click.BadParameter):
            PastTime().convert(wrong, None, None)
