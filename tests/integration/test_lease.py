"""A whole worker with a lease over the real paper exchange: it stops before the end, goes on by itself, and begins anew
on another host with what the former holder left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gridbot.core import Direction
from gridbot.lease.lease_term import LeaseTerm
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.lease.record_floor import first_number
from gridbot.orders.ids import parse
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.records.record_types import RunRecord
from gridbot.state.brought_state import write_brought
from gridbot.system_ports import boot_ns
from gridbot.worker import lease_guard
from gridbot.worker.health import account_health
from gridbot.worker.outside import Outside
from tests.integration.worker_bench import WorkerBench, exchange, records, resting, settings, trading

HOUR_NS = 3_600_000_000_000


@dataclass
class Host:
    """A boot clock of its own, and what its worker shares."""

    epoch: int
    ahead_ns: int = 0
    shared: dict[str, bytes] = field(default_factory=dict)

    def boot_ns(self) -> int:
        return boot_ns() + self.ahead_ns

    def term(self) -> LeaseTerm:
        now = self.boot_ns()
        return LeaseTerm(self.epoch, now, now + HOUR_NS)

    def share(self, name: str, body: bytes, urgent: bool) -> None:
        self.shared[name] = body


def links(paper: PaperThread) -> set[str]:
    return {each.link_id for each in resting(paper)}


def epochs(link_ids: Iterable[str]) -> set[int]:
    return {found.epoch for found in map(parse, link_ids) if found is not None}


def looks(bench: WorkerBench) -> str:
    """As the worker does four times a second."""
    bench.assembly.orchestrator.lease_guard.look()
    return bench.assembly.orchestrator.lease_guard.why


def lease_of(bench: WorkerBench) -> LeaseWatch:
    lease = bench.assembly.lease
    assert lease is not None
    return lease


def reasons(bench: WorkerBench) -> str:
    report = account_health(bench.assembly.orchestrator, state="trading", uptime_s=1.0, pid=1, rss=1)
    return "; ".join(report["reasons"])


def leased(host: Host, *, cancels: bool = False) -> dict:
    return {
        "outside": replace(Outside(), boot_ns=host.boot_ns),
        "lease": {"lease": host.term(), "cancels_when_lost": cancels},
        "share": host.share,
    }


async def left_alone(paper: PaperThread, before: set[str]) -> None:
    """Prices move far, and nothing comes of it."""
    for price in ("50300", "49700", "50100"):
        paper.set_price("BTCUSDT", price)
        await asyncio.sleep(0.2)
    assert links(paper) <= before


@pytest.mark.parametrize("cancels", [False, True], ids=["keep", "cancel"])
def test_it_stops_before_the_end_and_goes_on_by_itself_when_it_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cancels: bool
) -> None:
    config, host = settings(tmp_path), Host(3)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper, **leased(host, cancels=cancels)) as bench:
                await bench.quiet()
                before = links(paper)
                assert epochs(before) == {3}
                guard, lease = bench.assembly.orchestrator.lease_guard, lease_of(bench)
                assert (guard.why, lease.may_send()) == ("", True)
                if cancels:  # shortly before the end, not renewed; no machine is so slow that the end comes first
                    monkeypatch.setattr(lease_guard, "CANCEL_S", 2 * HOUR_NS / 1e9)
                    await bench.until(
                        lambda: looks(bench) or not links(paper), "the orders to be cancelled before the end"
                    )
                host.ahead_ns = 2 * HOUR_NS
                await bench.until(lambda: looks(bench), "the guard to see it")
                await bench.until(lambda: any(key == "lease" for _, key, _ in bench.alerts), "the incident")
                assert not bench.runner().risk_state.ready
                assert guard.why in reasons(bench)
                left = set() if cancels else before
                await left_alone(paper, left)
                sent = bench.assembly.context.executor.creates_sent
                monkeypatch.undo()
                await bench.assembly.rest.server_time_ms()
                lease.extend(host.term())
                guard.look()
                assert bench.runner().risk_state.ready
                paper.set_price("BTCUSDT", "50010")
                await bench.until(lambda: bench.assembly.context.executor.creates_sent > sent, "orders again")
                await bench.quiet()
                assert guard.why == ""
                assert not bench.runner().risk_state.halted

    asyncio.run(run())


def test_a_later_holders_order_at_the_exchange_ends_it(tmp_path: Path) -> None:
    """By the stream: an order of ours with a higher epoch."""
    config, host = settings(tmp_path), Host(3)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper, **leased(host)) as bench:
                await bench.quiet()
                orchestrator, told = bench.assembly.orchestrator, []
                orchestrator.lease_guard.tell(told.append)
                link = next(iter(links(paper)))
                later = f"{link.rpartition('-')[0]}-4"
                orchestrator.lease_guard.saw(link)
                assert told == []
                orchestrator.lease_guard.saw(later)
                assert "epoch 4, ours is 3" in told[0]
                before = links(paper)
                await left_alone(paper, before)
                lease_of(bench).extend(host.term())
                orchestrator.lease_guard.look()
                assert not bench.runner().risk_state.ready
                assert len(told) == 1

    asyncio.run(run())


def test_another_host_goes_on_with_what_the_former_holder_left(tmp_path: Path) -> None:
    """Fills, a pause, the ladder, and its orders of the earlier epoch. Each execution counts once."""
    first, second = Host(1), Host(2)
    config = settings(tmp_path / "a")

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper, **leased(first)) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49880")
                await bench.until(lambda: bench.size(Direction.LONG) > 0, "a fill")
                await bench.quiet()
                size = bench.size(Direction.LONG)
                bench.runner().pause()
                net = bench.assembly.context.ledger.of("btc").net
            assert {"holds.json", "ledger.json"} <= first.shared.keys()
            other = settings(tmp_path / "b")
            state = tmp_path / "b" / "state" / "alice"
            state.mkdir(parents=True)
            for name, body in first.shared.items():
                write_brought(state / name, body, first_number(2))
            async with trading(other, paper, **leased(second)) as bench:
                runner = bench.runner()
                assert runner.risk_state.paused
                assert bench.size(Direction.LONG) == size
                assert bench.assembly.context.ledger.of("btc").net == net
                assert {order.link_id for order in runner.book} == links(paper)
                assert epochs(links(paper)) == {1}
                assert not runner.risk_state.halted
                runner.resume()
                paper.set_price("BTCUSDT", "50150")
                await bench.until(lambda: 2 in epochs(links(paper)), "orders of the new holder")
                assert bench.assembly.recorder.last_seq > first_number(2)
            runs = [record for record in records(tmp_path / "b") if isinstance(record, RunRecord)]
            assert {record.epoch for record in runs} == {2}

    asyncio.run(run())
