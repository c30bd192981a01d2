"""The caps of an account in a worker: gate, orders, alerts and file (docs/caps.md)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.config.account_models import AccountCaps
from gridbot.core import Direction
from gridbot.flatten.flatten_words import Wanted
from gridbot.incidents import Name
from gridbot.risk.brake import FREE, Stops
from gridbot.risk.fleet_share import SILENT_S
from gridbot.risk.loss_limit import LossLimit
from gridbot.risk.refusals import Refusal
from gridbot.worker.cap_actions import CapActions
from gridbot.worker.cap_guard import CapGuard
from gridbot.worker.loss_guard import LossGuard
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.startup import RefusedStrategy
from tests.execution.support import settle
from tests.worker.account_bench import AccountBench, position, ticker, wallet
from tests.worker.test_loss_guard import Paper

D = Decimal
SCOPES = {"fleet/paper": True}


class FakeFlattening:
    """As much of a `Flattening` as a brake needs."""

    def __init__(self) -> None:
        self.busy: dict[str, bool] = {}
        self.begun: list[tuple[Wanted, str]] = []

    def begin(self, wanted: Wanted, reason: str) -> None:
        self.begun.append((wanted, reason))


class Bench:
    """An account with a wallet of 10000, a long leg of 1 at 50000 and a grid; `caps` are those of the file."""

    def __init__(self, paper: Paper | None = None, scopes: dict[str, bool] | None = None, **caps: Any) -> None:
        self.paper = paper or Paper()
        self.account = AccountBench()
        self.account.start()
        self.told: list[dict[str, Any]] = []
        context = self.account.context
        self.losses = LossGuard(LossLimit(None, includes_unrealised=False), Paper(), context, ["btc"])  # type: ignore[arg-type]
        self.losses.load()
        self.guard = CapGuard(
            AccountCaps.model_validate(caps),
            self.paper,  # type: ignore[arg-type]
            context,
            self.losses,
            resume="`resume alice`",
            scopes=scopes,
            tell=self.told.append,
        )
        self.guard.load()
        self.flattening = FakeFlattening()
        live = {"BTCUSDT": self.account.runner}
        self.refused = RefusedStrategies(
            [RefusedStrategy(name, symbol, "closed") for name, symbol in (("dot", "DOTUSDT"), ("sol", "SOLUSDT"))]
        )
        self.actions = CapActions(context, live, self.flattening, self.refused)  # type: ignore[arg-type]
        self.refused.withdraw("sol")  # a reload has removed it: its position was left on purpose
        self.account.runner.on_position_update(position(Direction.LONG, "1"), source="rest")

    def trade_at(self, price: object) -> None:
        self.account.runner.on_ticker(ticker(price))

    def look(self, times: int = 2) -> Stops:
        """As a worker does each half second; two looks in a row are believed."""
        for _ in range(times):
            self.account.clock.now_s += 0.5
            brake = self.guard.check([self.account.runner])
            self.actions.carry_out(brake, flattens=self.guard.is_flattening)
        return brake.stops

    def resting(self) -> list[bool]:
        """Of each order that is not withdrawn, whether it closes."""
        return [order.reduce_only for order in self.account.orders if not order.withdrawn]


async def test_a_fall_above_the_limit_only_reduces_until_it_is_resumed() -> None:
    bench = Bench(max_drawdown="500")
    bench.trade_at(50000)
    await settle()
    assert {True, False} == set(bench.resting())
    assert bench.look() is Stops.NOTHING
    bench.trade_at(49500)
    assert bench.look() is Stops.NOTHING, "exactly the limit"
    bench.trade_at(49499)
    assert bench.look(1) is Stops.NOTHING, "one look may be odd"
    assert bench.look(1) is Stops.OPENS
    await settle()
    assert set(bench.resting()) == {True}
    assert bench.account.runner.placement.refusals[Refusal.ONLY_REDUCES] == 0, "not asked since"
    bench.trade_at(49499)
    assert bench.account.runner.placement.refusals[Refusal.ONLY_REDUCES] > 0
    [(level, key, text, _)] = bench.account.alarm.alerts
    assert (level, key) == ("error", "cap_latch")
    assert text == (
        "equity fell by 501.00 USDT from its peak of 10000.00, max_drawdown is 500.00; nothing is opened until "
        "`resume alice`"
    )
    bench.trade_at(60000)
    assert bench.look() is Stops.OPENS, "a latch"
    bench.guard.clear()
    assert bench.account.gate.brake == FREE
    assert bench.look() is Stops.NOTHING
    bench.trade_at(59400)
    assert bench.look() is Stops.OPENS, "the peak is that of the moment"


@pytest.mark.parametrize("action", ["cancel", "flatten"])
async def test_what_a_latch_does_is_configured(action: str) -> None:
    bench = Bench(max_drawdown="1%", on_breach=action)
    bench.trade_at(50000)
    bench.look()
    await settle()
    bench.trade_at(49800)
    assert bench.look() is Stops.ALL
    assert bench.resting() == []
    begun = bench.flattening.begun
    assert len(begun) == (action == "flatten")
    if action == "cancel":
        return
    [(wanted, reason)] = begun
    assert wanted.symbols == {"BTCUSDT": True, "DOTUSDT": True}, "also of a strategy that could not start"
    assert reason == bench.account.gate.brake.reason
    bench.flattening.busy = {"BTCUSDT": True}
    bench.account.clock.now_s += 60
    bench.look()
    assert len(begun) == 1, "it runs"
    bench.flattening.busy = {}
    bench.look()
    assert len(begun) == 2, "a leg is still open"
    bench.look()
    assert len(begun) == 2, "not all the time"
    bench.account.runner.on_position_update(position(Direction.LONG, "0", None), source="rest")
    bench.account.clock.now_s += 60
    bench.look()
    assert len(begun) == 2, "all is closed"


async def test_latch_and_peak_outlive_a_restart_and_a_latch_of_the_fleet_too() -> None:
    bench = Bench(max_drawdown="500", scopes=SCOPES)
    bench.trade_at(50000)
    bench.look()
    bench.trade_at(49800)
    again = Bench(bench.paper, max_drawdown="500", scopes=SCOPES)
    again.trade_at(49499)
    assert again.look() is Stops.OPENS, "it counts from the peak of the earlier life"
    held = {"fleet/paper": {"reason": "all lost", "since_ms": 5, "action": "cancel"}}
    again.guard.on_word({"shares": {}, "held": held, "resumes": 0}, [])
    assert again.look() is Stops.ALL
    third = Bench(again.paper, max_drawdown="500", scopes=SCOPES)
    assert third.account.gate.brake.stops is Stops.ALL, "before anything is looked at"
    assert "fleet/paper: all lost; nothing is sent until `resume alice`" in third.account.gate.brake.reason
    third.guard.clear()
    assert Bench(third.paper, max_drawdown="500").account.gate.brake == FREE


async def test_a_file_that_does_not_say_whether_it_is_latched_only_reduces_and_never_flattens() -> None:
    paper = Paper()
    paper.document = {"version": 1}
    for _ in range(2):  # the next start, too
        bench = Bench(paper, max_drawdown="500", on_breach="flatten")
        assert bench.account.gate.brake.stops is Stops.OPENS
        assert "unknown whether a cap holds the account" in bench.account.gate.brake.reason
        assert not bench.guard.is_flattening
    bench.guard.clear()
    assert Bench(paper, max_drawdown="500").account.gate.brake == FREE


async def test_a_peak_is_written_when_it_has_risen_by_a_part_of_the_limit_and_not_at_each_tick() -> None:
    bench = Bench(max_drawdown="1000")
    saved: list[Any] = []
    bench.paper.on_save = lambda: saved.append(bench.paper.waiting)
    for price in range(50000, 50100):
        bench.trade_at(price)
        bench.look()
    assert 8 <= len(saved) <= 12
    assert bench.paper.document is not None
    assert D(bench.paper.document["drawdown"]["peak"]) >= 10085


async def test_above_the_margin_ratio_nothing_opens_until_it_is_nine_tenths_of_it() -> None:
    bench = Bench(max_margin_ratio="0.5")
    bench.trade_at(50000)
    for ts, (ratio, stops) in enumerate([("0.5", 0), ("0.51", 1), ("0.46", 1), ("0.45", 0)], start=2):
        bench.account.gate.wallet_seen(replace(wallet(ts=ts), account_mm_rate=D(ratio)), bench.account.clock.now_s)
        bench.account.clock.now_s += 60
        assert bench.look() == stops, ratio
        assert (Name("only_reduces") in bench.guard.standing()) is bool(stops)
    assert bench.account.requests.wishes.wallet, "near the limit the wallet is read"


async def test_eighty_percent_of_a_cap_is_an_incident_while_it_lasts_and_rows_say_how_much() -> None:
    bench = Bench(max_drawdown="500", max_notional="60000")
    bench.trade_at(50000)
    bench.look()
    assert bench.guard.standing() == {}
    bench.trade_at(49600)
    bench.look()
    assert list(bench.guard.standing()) == [Name("cap.account.max_drawdown")]
    assert bench.guard.standing()[Name("cap.account.max_drawdown")].text == "account.max_drawdown: 80 % used"
    fall, notional = bench.guard.rows()
    assert fall == {"cap": "max_drawdown", "used": "400", "limit": "500", "share": 0.8}
    assert (notional["cap"], notional["limit"]) == ("max_notional", "60000")
    bench.trade_at(49700)
    bench.look()
    assert bench.guard.standing() == {}


async def test_under_caps_of_the_fleet_it_tells_its_figures_and_opens_what_it_was_lent() -> None:
    bench = Bench(scopes=SCOPES)
    bench.guard.check([bench.account.runner], is_counted=False)
    assert bench.told[-1]["used"] is None, "what it uses is not known before the exchange was read"
    bench.trade_at(50000)
    bench.look()
    said = bench.told[-1]
    assert said == {
        "type": "caps",
        "shares": {"fleet/paper": ["0", 0]},
        "held": {},
        "resumes": 0,
        "used": "50000",
        "short": said["short"],
        "wallet": "10000",
        "equity": ["10000", "10000"],
        "result": "0",
        "counted_from": "0",
    }
    assert bench.account.runner.placement.refusals[Refusal.FLEET_MAX_NOTIONAL] == 4
    assert D(bench.told[-2]["short"]) > 1900, "four opens of 0.01"
    word = {"shares": {"fleet/paper": ["60000", 1]}, "held": {}, "resumes": 0}
    bench.guard.on_word(word, [bench.account.runner])
    bench.trade_at(50000)
    assert bench.account.runner.placement.refusals[Refusal.FLEET_MAX_NOTIONAL] == 0
    assert bench.guard.standing() == {}
    bench.account.clock.now_s += SILENT_S + 1
    bench.look()
    assert bench.account.gate.state.share == 0
    assert list(bench.guard.standing()) == [Name("caps_silent")]
    assert bench.guard.reasons() == [bench.guard.standing()[Name("caps_silent")].text]


async def test_without_caps_nothing_is_looked_at_nor_said() -> None:
    bench = Bench()
    bench.trade_at(50000)
    assert bench.look() is Stops.NOTHING
    assert (bench.told, bench.paper.document, bench.guard.rows()) == ([], None, [])
    bench.guard.clear()
    assert bench.paper.document is None
