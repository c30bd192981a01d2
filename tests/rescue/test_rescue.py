"""An account without a worker is cancelled and closed by REST alone, and the next worker finds all of it explained."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.models import GridbotConfig
from gridbot.core import Direction
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.records.journal import JournalBusy
from gridbot.records.record_types import CommandRecord, OrderRecord
from gridbot.rescue.rescue import Rescue, Said
from gridbot.risk.holds import Hold
from gridbot.system_ports import SystemClock, SystemIds
from gridbot.worker.fleet_link import FleetLink
from gridbot.worker.spec import WorkerSpec
from tests.integration.test_flattening import by_hand, legs, with_legs
from tests.integration.worker_bench import exchange, executions, records, resting, settings, trading

D = Decimal


class Bench:
    def __init__(self, config: GridbotConfig, paper: PaperThread, held: dict[str, Any] | None = None) -> None:
        self.answers: list[dict[str, Any]] = []
        self.alerts: list[tuple[str, str, str]] = []
        self.handed: dict[str, Any] = {}
        self.shared: dict[str, tuple[bytes, bool]] = {}
        self.taken = 0
        clock = SystemClock()
        spec = WorkerSpec("alice", config, config.storage.data_dir, "0123456789abcdef", paper.url, console=False)
        spec = replace(spec, unkept=(held or {}).get("unkept", {}))
        said = Said(
            self.answers.append,
            self.take,
            lambda *alert: self.alerts.append(alert),
            self.handed.__setitem__,
            lambda name, body, urgent: self.shared.update({name: (body, urgent)}),
        )
        self.rescue = Rescue(spec, None, clock, SystemIds(), said, FleetLink(clock), settle_s=0.1)

    def take(self) -> None:
        self.taken += 1

    async def say(self, name: str, *, capped: bool = False, **args: Any) -> tuple[bool, dict[str, Any]]:
        message = {"type": "command", "id": 1, "name": name, "args": args, "who": "op@host", "capped": capped}
        done = await self.rescue.run(message)
        return done, self.answers[-1]


def run(config: GridbotConfig, scenario: Any) -> None:
    with exchange(config) as paper:
        asyncio.run(scenario(paper))


def test_kill_by_rest_alone_is_explained_to_the_worker_that_starts_later(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper, crash=True) as bench:
            await with_legs(bench, paper)
        paper.set_price("BTCUSDT", "49700")  # a fill that no worker hears of
        assert len(legs(paper)) == 2
        rescue = Bench(config, paper)
        done, answer = await rescue.say("kill", reason="leaked")
        assert (done, answer["ok"], answer["recorded"], rescue.taken) == (True, True, True, 1), answer
        assert answer["result"].startswith("flat, confirmed by REST: closed ")
        assert (legs(paper), resting(paper)) == ({}, [])
        assert rescue.handed["flatten.json"]["latched"]["reason"] == "killed by op@host: leaked"
        assert rescue.handed["flatten.json"]["unfinished"] is None
        for name in ("flatten.json", "holds.json"):  # a rescue's holds stayed on this host of a fleet
            body, urgent = rescue.shared[name]
            assert urgent, "what stops orders is for the next holder at once"
            assert rescue.handed[name].items() <= json.loads(body).items()
        assert "ledger.json" in rescue.shared
        assert {one.order_link_id for one in executions(tmp_path)} >= {
            one.order_link_id for one in records(tmp_path) if isinstance(one, OrderRecord) and "flatten" in one.reason
        }
        by_hand(config, paper)
        again, answer = await Bench(config, paper).say("flatten")
        assert (again, answer["ok"]) == (True, True), "safe to repeat"
        assert "LEFT ALONE, as no strategy of this account trades it: 0.30 long of ETHUSDT" in answer["result"]
        again, answer = await Bench(config, paper).say("flatten", foreign=True)
        assert (again, legs(paper), resting(paper)) == (True, {}, []), answer
        before = len([one for one in executions(tmp_path) if one.strategy])
        async with trading(config, paper) as bench:
            assert bench.assembly.context.gate.latched == "killed by op@host: leaked"
            assert bench.runner().risk_state.holds.reason(Hold.PAUSED).startswith("killed by op@host")
            ledger = bench.assembly.context.ledger
            assert all(ledger.leg("btc", direction)[0] == 0 for direction in Direction)
            ours = [one for one in executions(tmp_path) if one.strategy]
            assert len(ours) == before, "each execution counts once"
            await bench.until(lambda: not bench.assembly.context.recorded.by_key, "each order has its end")
            await bench.until(lambda: not bench.assembly.orchestrator.reconciler.open_questions, "no question is open")
            paper.set_price("BTCUSDT", "49701")
            await bench.until(lambda: bench.runner().risk_state.last_price == D(49701))
            assert resting(paper) == []

    run(config, scenario)
    said = [(one.name, one.ok, one.who) for one in records(tmp_path) if isinstance(one, CommandRecord)]
    assert said == [("kill", True, "op@host"), *[("flatten", True, "op@host")] * 2]


@pytest.mark.parametrize(
    ("name", "args", "holds", "rest"),
    [
        ("pause", {}, {Hold.PAUSED}, True),
        ("reduce", {"reason": "margin"}, {Hold.REDUCING}, False),
        ("cancel", {}, {Hold.PAUSED}, False),
        ("cancel", {"leave_running": True}, set(), False),
        ("reduce", {"capped": True}, set(), False),
        ("flatten", {"capped": True}, set(), False),
        ("kill", {"strategy": "btc"}, {Hold.PAUSED, Hold.LATCHED}, False),
    ],
)
def test_what_each_command_leaves_to_the_next_life(
    tmp_path: Path, name: str, args: dict[str, Any], holds: set[Hold], rest: bool
) -> None:
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper, crash=True) as bench:
            await bench.quiet()
        done, answer = await Bench(config, paper).say(name, **args)
        assert done, answer
        assert bool(resting(paper)) is rest
        async with trading(config, paper) as bench:
            assert bench.runner().risk_state.holds.held.keys() == holds
            assert bench.assembly.context.gate.latched == ""

    run(config, scenario)


def test_what_it_cannot_do_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        wrong: tuple[tuple[str, dict[str, Any], str], ...] = (
            ("resume", {}, "resume needs a worker that trades"),
            ("flatten", {"strategy": "btx"}, "expected a strategy of alice (btc), got 'btx'; did you mean btc?"),
            ("flatten", {"band": "0"}, "expected a band above 0"),
            ("dance", {}, "expected pause, reduce"),
        )
        for name, args, text in wrong:
            done, answer = await Bench(config, paper).say(name, **args)
            assert (done, answer["ok"]) == (False, False)
            assert answer["error"].startswith(text)
        async with trading(config, paper):
            with pytest.raises(JournalBusy):
                await Bench(config, paper).say("flatten")

    run(config, scenario)


def test_a_disk_that_gives_nothing_does_not_keep_a_leg_open(tmp_path: Path) -> None:
    config = settings(tmp_path / "data")

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper, crash=True) as bench:
            await with_legs(bench, paper)
        journal = tmp_path / "data" / "journal" / "alice"
        journal.rename(tmp_path / "elsewhere")
        journal.write_text("no directory")
        rescue = Bench(config, paper)
        done, answer = await rescue.say("flatten")
        assert done, answer
        assert answer["recorded"] is False
        assert (legs(paper), resting(paper)) == ({}, [])
        assert answer["result"].endswith("nothing of it is recorded, and what holds ends with this supervisor")
        assert any("going on without them" in text for _, _, text in rescue.alerts)
        alone = Bench(config, paper)
        alone.rescue.said.hand = None
        done, answer = await alone.say("kill")
        assert answer["result"].endswith("and nothing holds the account afterwards"), "--direct: nobody keeps it"
        second = Bench(config, paper, rescue.handed)
        done, answer = await second.say("kill", reason="twice")
        assert done
        journal.unlink()
        (tmp_path / "elsewhere").rename(journal)
        async with trading(config, paper, unkept=second.handed["unkept"]) as bench:
            assert bench.runner().risk_state.holds.reason(Hold.PAUSED) == "flattened by op@host", "the first one stays"
            assert bench.assembly.context.gate.latched == "killed by op@host: twice"
            names = [name for name, _ in bench.handed]
            assert ("unkept", {}) in bench.handed
            assert {"flatten.json", "holds.json"} <= set(names[: names.index("unkept")]), "said when it has all of it"
        async with trading(config, paper) as bench:
            assert bench.runner().risk_state.holds.held.keys() == {Hold.PAUSED}, "from the disk"
            assert bench.assembly.context.gate.latched == "killed by op@host: twice"

    run(config, scenario)
