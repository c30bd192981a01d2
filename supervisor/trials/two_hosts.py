"""Two hosts of a fleet and one account, from a seed: trouble for a while, then rest, then the checks.

    python -m supervisor.trials.two_hosts [--seeds 200] [--first 1] [--trace]

What may happen: a host or its supervisor is killed, stands still (as by SIGSTOP, or as a paused virtual machine whose
boot clock stops too), is cut off from the database or from the exchange, or slow to reach it; the database restarts, or
its clock is set; the wall clock steps; placement moves the account; a third host wants another one with its key. Boot
clocks run 300 ppm apart. Both hosts want the account nearly all the time, which is worse than any placement.

What must hold:

    one-epoch        the exchange takes no order of an epoch when the database has granted a later one
    one-key          nor any order once the database has granted the other account that has its key
    one-order        no level has two orders of ours at rest
    every-execution  the ledger of the last holder has each execution of the exchange once, and its legs are right
    recorded         the journals of both hosts together have each execution
    somebody-trades  after the trouble one host has the account, and trades
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import decimal
import logging
import random
import sys
import warnings
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import with_paper_secrets
from gridbot.core import Direction
from gridbot.orders.ids import parse
from gridbot.paper.server.paper_spec import PaperAccount
from gridbot.paper.settings import PaperConfig
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.record_types import ExecutionRecord
from gridbot.simulation.forbidden import forbid
from gridbot.simulation.network import Network
from gridbot.simulation.own_directory import own_directory
from gridbot.simulation.run_faults import Fault, FaultKind, Plan
from gridbot.simulation.venue import Venue
from gridbot.simulation.virtual_loop import Stuck, VirtualLoop
from gridbot.simulation.virtual_time import SimulatedClock
from gridbot.worker.spec import WorkerSpec
from supervisor.fleet.lease_keeper import LeaseKeeper, News
from supervisor.fleet.lease_types import Gained, HostId, LeaseTimes, Leave, Lost
from supervisor.trials.trial_host import TrialHost
from supervisor.trials.trial_store import TrialDatabase, TrialStore

__all__ = ["Trial", "run_seed"]

ACCOUNT, SYMBOL = "alice", "BTCUSDT"
RENAMED, KEY = "alicia", "@key:alice"
"""The same account of the exchange by another name, which another host goes by already."""
PRICE = Decimal(50000)
GRID = {"grid_count": 8, "grid_step": 0.1, "amount": "q0.01"}
TROUBLE_S, CALM_S, STOP_S = 150.0, 150.0, 30.0
DRIFT = 300e-6
EXCHANGE_TROUBLE: tuple[tuple[FaultKind, dict[str, Any]], ...] = (
    (FaultKind.REST_DOWN, {"how": "silent"}),
    (FaultKind.STREAMS_DOWN, {"channel": ""}),
    (FaultKind.DARK, {"channel": ""}),
)
EVENTS = (
    *("kill", "kill", "kill supervisor", "freeze", "freeze", "pause machine", "cut database", "cut database"),
    *("cut exchange", "slow exchange", "slow exchange", "lost replies", "restart database", "set database"),
    *("step", "move"),
)


class Trial:
    """One seed. `findings` are what was broken, as (invariant, text)."""

    def __init__(self, seed: int, directory: Path, *, trace: bool = False) -> None:
        self.findings: list[tuple[str, str]] = []
        self.took = 0
        """Orders that the exchange took."""
        self._trace = trace
        self.seed = seed
        self.draw = random.Random(f"two hosts:{seed}")
        self.loop = VirtualLoop()  # type: ignore[abstract]  # what it lacks would reach outside
        self.clock = SimulatedClock(self.loop)
        self._start_s = self.loop.now_s
        self._entry = self.draw.choice(("http", "websocket"))
        config = {name: self._config(directory / name) for name in ("h1", "h2")}
        account = config["h1"].account(ACCOUNT)
        paper = PaperAccount(ACCOUNT, account.api_key.get_secret_value(), account.api_secret.get_secret_value())
        self.venue = Venue(self._exchange(seed), paper, self.clock.true_ms, f"{seed:08x}")
        self.venue.answer_watchers.append(self._taken)
        self.database = TrialDatabase(self.loop)
        self.events = self._events()
        self.hosts = [self._host(seed, number, name, config[name]) for number, name in enumerate(config)]
        self.price = PRICE
        self.renamed = 0
        """How often the other name got the key."""
        self._third: LeaseKeeper | None = None

    def _config(self, data_dir: Path) -> GridbotConfig:
        document = {
            "environment": "paper",
            "accounts": [{"name": ACCOUNT, "order_entry": self._entry}],
            "strategies": [
                {
                    "strat_id": "btc",
                    "account": ACCOUNT,
                    "symbol": SYMBOL,
                    "grid_count": 8,
                    "grid_step": 0.1,
                    "amount": "q0.01",
                }
            ],
            "order_sync_interval": 15,
            "position_check_interval": 20,
            "storage": {"data_dir": str(data_dir), "durability": "process"},
        }
        return with_paper_secrets(GridbotConfig.model_validate(document), b"two hosts of a trial")

    @staticmethod
    def _exchange(seed: int) -> PaperConfig:
        return PaperConfig.model_validate(
            {
                "ticker_interval_ms": 0,
                "fault_seed": seed,
                "ack_delay_ms": 1,
                "limits": {"ip_requests": 0},
                "market": {"source": "manual", "symbols": {SYMBOL: {"price": str(PRICE)}}},
            }
        )

    def _events(self) -> list[tuple[float, str, int, float]]:
        """When, what, to which host, and for how long."""
        count = self.draw.randint(4, 12)
        return sorted(
            (
                self.draw.uniform(5, TROUBLE_S),
                self.draw.choice(EVENTS),
                self.draw.randrange(2),
                self.draw.uniform(1, 35),
            )
            for _ in range(count)
        )

    def _host(self, seed: int, number: int, name: str, config: GridbotConfig) -> TrialHost:
        spec = WorkerSpec(
            ACCOUNT, config, config.storage.data_dir, f"{seed:07x}{number}run", "http://192.0.2.9:80", console=False
        )
        faults = tuple(
            Fault(place, kind, at_s, for_s, what)
            for place, (at_s, kind, for_s, what) in enumerate(self._network_faults(number))
        )
        return TrialHost(
            name,
            self.loop,
            self.clock,
            Network(Plan(seed * 2 + number, TROUBLE_S, dense=False, faults=faults), self.loop),
            self.venue,
            self.database,
            spec,
            random.Random(f"host:{seed}:{number}"),
            self.find,
            rate=1 + DRIFT * (1 - 2 * number),
            cancels=self.draw.random() < 0.5,
            key=KEY,
        )

    def _third_host(self) -> None:
        """It wants the other name twice for a while: it goes by what the database grants, as any host."""
        draw = random.Random(f"third host:{self.seed}")
        store = TrialStore(self.database, draw, lambda account: KEY)
        self._third = keeper = LeaseKeeper(
            store, HostId("h3", "run1"), LeaseTimes(), self._on_third, lambda: round(self.loop.now_s * 1e9)
        )
        keeper.start()
        for from_s in (draw.uniform(5, TROUBLE_S / 2), draw.uniform(TROUBLE_S / 2, TROUBLE_S * 0.8)):
            self.loop.call_later(from_s, keeper.want, frozenset({RENAMED}))
            self.loop.call_later(from_s + draw.uniform(3, 25), keeper.want, frozenset[str]())

    def _on_third(self, news: News) -> None:
        assert self._third is not None, "it has begun"
        match news:
            case Gained():
                self.renamed += 1
                self.note(f"{RENAMED} has the key")
            case Leave() | Lost():
                self._third.quiet(RENAMED, answered=True)

    def _network_faults(self, number: int) -> Iterator[tuple[float, FaultKind, float, dict[str, Any]]]:
        for at_s, what, host, for_s in self.events:
            if host != number:
                continue
            if what == "cut exchange":
                for kind, detail in EXCHANGE_TROUBLE:
                    yield at_s, kind, for_s, detail
            elif what == "slow exchange":
                yield at_s, FaultKind.REST_SLOW, for_s, {"late_s": 5.0, "chance": 0.6}
            elif what == "lost replies":
                yield at_s, FaultKind.LOST_REPLIES, for_s, {"how": "silent", "chance": 0.4}

    # ------------------------------------------------------------------ what is watched

    def find(self, invariant: str, text: str) -> None:
        """A broken invariant."""
        self.findings.append((invariant, f"{self.loop.now_s - self._start_s:.2f} s: {text}"))

    def note(self, text: str) -> None:
        """A line of the trace."""
        if self._trace:
            print(f"{self.loop.now_s - self._start_s:8.2f}  {text}", file=sys.stderr)  # noqa: T201 - the trace

    def _taken(self, row: dict[str, object], code: int) -> None:
        found = parse(str(row.get("orderLinkId", "")))
        if code or found is None:
            return
        self.took += 1
        granted = self.database.tables.leases[ACCOUNT].epoch
        if found.epoch != granted:
            self.find("one-epoch", f"the exchange took an order of epoch {found.epoch} when {granted} was granted")
        if (account := self.database.tables.claims[KEY]) != ACCOUNT:
            self.find("one-key", f"the exchange took an order when {account} had the key")

    # ------------------------------------------------------------------ the run

    async def main(self) -> None:
        """Trouble, rest, checks."""
        for host in self.hosts:
            host.start()
        self._third_host()
        for at_s, what, number, for_s in self.events:
            self.loop.call_later(at_s, self._happen, what, self.hosts[number], for_s)
        await self._market(TROUBLE_S, Decimal("0.0006"))
        self.note("rest")
        for host in self.hosts:
            host.start()
        await self._market(CALM_S, Decimal("0.00002"))
        self._at_rest()
        for host in self.hosts:
            host.want(wanted=False)
        if self._third is not None:
            await self._third.end()
        await asyncio.sleep(STOP_S)
        self._at_the_end()

    async def _market(self, seconds: float, step: Decimal) -> None:
        end_s = self.loop.now_s + seconds
        while self.loop.now_s < end_s:
            await asyncio.sleep(0.5)
            moved = self.price * (1 + step * Decimal(self.draw.choice((-1, 1))))
            low, high = PRICE * Decimal("0.99"), PRICE * Decimal("1.01")
            self.price = min(high, max(low, moved.quantize(Decimal("0.1"))))
            self.venue.move(SYMBOL, self.price)
            self._one_order_per_level()

    def _one_order_per_level(self) -> None:
        seen: dict[tuple[object, ...], str] = {}
        for order in self.venue.ours():
            level = (order.side, order.request.position_idx, order.price)
            if level in seen:
                self.find("one-order", f"{seen[level]} and {order.link_id} rest at {order.price}")
            seen[level] = order.link_id

    def _happen(self, what: str, host: TrialHost, for_s: float) -> None:
        self.note(f"{what} {host.name} for {for_s:.1f} s")
        match what:
            case "kill" | "kill supervisor":
                host.kill(worker=what == "kill")
                self.loop.call_later(for_s, host.start)
            case "freeze" | "pause machine":
                host.freeze(for_s, counted=what == "freeze")
            case "cut database":
                if host.store is not None:
                    host.store.cut_until_s = self.loop.now_s + for_s
            case "restart database":
                self.database.away_until_s = self.loop.now_s + for_s / 5
            case "set database":
                self.database.set_us += self.draw.choice((-1, 1)) * round(for_s * 1e6)
            case "step":
                self.clock.wall_error_ms += self.draw.choice((-1, 1)) * round(for_s * 1000)
            case "move":
                host.want(wanted=False)
                self.loop.call_later(for_s, lambda: host.want(wanted=True))

    # ------------------------------------------------------------------ the checks

    def _at_rest(self) -> None:
        trading = [host for host in self.hosts if host.life is not None and host.life.orchestrator is not None]
        if len(trading) != 1:
            rows = self.database.tables.leases
            self.find("somebody-trades", f"{[host.name for host in trading]} trade at rest; the lease: {rows}")
            return
        host = trading[0]
        life = host.life
        assert life is not None
        orchestrator = life.orchestrator
        assert orchestrator is not None
        if orchestrator.lease_guard.why:
            self.find("somebody-trades", f"{host.name}: {orchestrator.lease_guard.why}")
        if host.epoch != self.database.tables.leases[ACCOUNT].epoch:
            self.find("somebody-trades", f"{host.name} trades with epoch {host.epoch}")
        runner = orchestrator.runners[SYMBOL]
        account = self.venue.account
        counted, there = orchestrator.context.ledger.of("btc").fills, self._executions()
        if counted != len(there):
            self.find("every-execution", f"{host.name} counts {counted} executions, the exchange {len(there)}")
        for direction in Direction:
            leg = account.legs.get((SYMBOL, direction.position_idx))
            true, ours = (leg.size if leg is not None else Decimal(0)), runner.risk_state.legs[direction].size
            if true != ours:
                self.find("every-execution", f"{host.name}: {direction} is {ours}, at the exchange {true}")
        if runner.risk_state.halted or not runner.risk_state.ready:
            self.find("somebody-trades", f"{host.name}: {runner.risk_state.halted or 'not ready'}")

    def _executions(self) -> set[str]:
        return {each.exec_id for each in self.venue.account.executions}

    def _at_the_end(self) -> None:
        recorded: set[str] = set()
        for host in self.hosts:
            place = journal_directory(host.directory, ACCOUNT)
            if place.exists():
                found = (record for _, record in JournalReader(place).read_from(1))
                recorded |= {record.exec_id for record in found if isinstance(record, ExecutionRecord)}
        missing = self._executions() - recorded
        if missing:
            self.find("recorded", f"{len(missing)} executions are in no journal: {sorted(missing)[:3]}")
        left = [host.name for host in self.hosts if host.life is not None]
        if left:
            self.find("bounded", f"{left} did not end")


def run_seed(seed: int, *, trace: bool = False) -> Trial:
    """Run a seed in a directory of its own, under virtual time."""
    with own_directory() as directory:
        with decimal.localcontext(decimal.Context()):
            trial = Trial(seed, directory, trace=trace)
        logging.disable(logging.NOTSET if trace else logging.CRITICAL)
        try:
            with warnings.catch_warnings(), decimal.localcontext(decimal.Context()), forbid(trial.clock) as used:
                warnings.filterwarnings("ignore", message="coroutine .* was never awaited")
                try:
                    trial.loop.run(trial.main())
                except Stuck as stuck:
                    trial.find("bounded", str(stuck))
                finally:
                    trial.loop.bury()
        finally:
            logging.disable(logging.NOTSET)
        for text in dict.fromkeys([*used, *trial.loop.failures]):
            trial.find("bounded", text)
        return trial


def main(words: Sequence[str] | None = None) -> int:
    """Run seeds; 1 when an invariant was broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--first", type=int, default=1, help="the first one (default 1)")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    asked = parser.parse_args(words)
    broken, took, epochs, renamed = 0, 0, 0, 0
    for seed in range(asked.first, asked.first + asked.seeds):
        trial = run_seed(seed, trace=asked.trace)
        took, epochs = took + trial.took, epochs + trial.database.tables.leases[ACCOUNT].epoch
        renamed += trial.renamed
        for invariant, text in trial.findings:
            print(f"seed {seed}: {invariant}: {text}")  # noqa: T201 - its output
        broken += bool(trial.findings)
    found = f"{epochs} holders, {renamed} times by another name, {took} orders taken, {broken} seeds with findings"
    print(f"{asked.seeds} seeds, {found}")  # noqa: T201 - its output
    return 1 if broken else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        raise SystemExit(main())
