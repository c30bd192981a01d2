"""The exchange's process of `benchmarks/latency.py`: it moves the prices and stamps frames and requests."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.parts.latency_subjects import (
    BLOCK,
    SHIPPED,
    START_TIMEOUT_S,
    STEP,
    STEP_TIMEOUT_S,
    BenchmarkError,
    Subject,
    deadline,
    run_child,
)
from benchmarks.parts.latency_tls import Authority, server_context
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.settings import PaperConfig

QUIET_PAUSE_S = 0.1
QUIET_IDLE_S = 1.0
QUIET_BATCH = 50
QUIET_GAP_S = 0.0003
QUIET_MOVE = Decimal("0.1")
"""USDT, and less than a hundredth of a step: no level is concerned."""


@dataclass(slots=True)
class Lane:
    """One subject as the driver sees it."""

    subject: Subject
    account: Account
    signals: Connection
    pid: int = 0
    """Of the subject, once it has been ready."""
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    taken: list[tuple[str, int, int]] = field(default_factory=list)
    """(orderLinkId, ticker frame written, create request received)."""

    def listen(self) -> None:
        """A process id over the pipe says: whatever you did, I have seen it, and nothing of mine is under way."""
        try:
            self.pid = int(self.signals.recv_bytes())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self.signals.fileno())
            return
        self.is_ready.set()

    async def ready(self, timeout_s: float = STEP_TIMEOUT_S) -> None:
        async with deadline(f"{self.subject.name} to be ready", timeout_s):
            await self.is_ready.wait()
        self.is_ready.clear()

    def nearest(self) -> tuple[Order, Order]:
        """The highest Buy and the lowest Sell that rest."""
        orders = list(self.account.open.values())
        buys, sells = ([o for o in orders if o.side == side] for side in ("Buy", "Sell"))
        return max(buys, key=lambda o: o.price), min(sells, key=lambda o: o.price)


class Driver:
    """Moves the market, on the exchange's own loop, and takes the exchange's stamps."""

    def __init__(self, spec: PaperSpec, pause_s: float) -> None:
        self._pause_s = pause_s
        """So long nothing happens before each price."""
        self.server = PaperServer(spec, stamp=self._stamp)
        self._written: dict[str, int] = {}
        self._created_ns = 0
        self._created = asyncio.Event()

    def _stamp(self, what: str, key: str) -> None:
        now_ns = time.monotonic_ns()
        if what == "ticker":
            self._written.setdefault(key, now_ns)
        elif what == "create":
            self._created_ns = now_ns
            self._created.set()

    async def run(self, lanes: Sequence[Lane], orders: int) -> None:
        """Measure each lane `orders` times, in turns."""
        turns = {lane.subject.name: self._turns(lane) for lane in lanes}
        for lane in lanes:
            await lane.ready(START_TIMEOUT_S)
        for start in range(0, orders, BLOCK):
            for lane in lanes:
                for _ in range(min(BLOCK, orders - start)):
                    await anext(turns[lane.subject.name])

    async def quiet(self, lane: Lane, frames: int) -> float | None:
        """CPU time of the whole process for a ticker that changes nothing, in us; None where that cannot be read.

        One at a time, so that none is overtaken; the median of batches. What the process needs while nothing happens
        is taken off.
        """
        symbol = lane.subject.symbol
        price = self.server.exchange.markets[symbol].last
        await asyncio.sleep(QUIET_PAUSE_S)
        try:
            idle_ns, began_s = _cpu_ns(lane.pid), time.monotonic()
            await asyncio.sleep(QUIET_IDLE_S)
            idle_ns = (_cpu_ns(lane.pid) - idle_ns) / (time.monotonic() - began_s)
            batches = []
            for _ in range(max(1, frames // QUIET_BATCH)):
                before_ns, began_s = _cpu_ns(lane.pid), time.monotonic()
                for number in range(QUIET_BATCH):
                    self.server.market.set_price(symbol, price + QUIET_MOVE * (number % 2 == 0))
                    next_s = time.monotonic() + QUIET_GAP_S
                    while time.monotonic() < next_s:  # a timer would come a millisecond late, and find cold caches
                        await asyncio.sleep(0)
                took_ns = _cpu_ns(lane.pid) - before_ns - idle_ns * (time.monotonic() - began_s)
                batches.append(took_ns / QUIET_BATCH / 1000)
        except OSError:
            return None
        return round(statistics.median(batches), 1)

    def _turns(self, lane: Lane) -> Any:
        return self._worker_turns(lane) if lane.subject.is_worker else self._bare_turns(lane)

    async def _bare_turns(self, lane: Lane) -> Any:
        """Each price makes the loop place an order, which is withdrawn at once."""
        price = lane.subject.price
        while True:
            for moved in (price + 1, price):
                self._withdraw(lane, await self._cause(lane, moved))
                await lane.ready()
                yield

    async def _worker_turns(self, lane: Lane) -> Any:
        """Between the two levels next to the price: near one of them, only the other is eligible."""
        buy, sell = lane.nearest()
        low, high = _near(buy.price, +1), _near(sell.price, -1)
        self.server.market.set_price(lane.subject.symbol, high)
        while True:
            for is_sell, price in ((True, low), (False, high)):
                self._withdraw(lane, lane.nearest()[is_sell])
                await lane.ready()
                await self._cause(lane, price)
                yield

    async def _cause(self, lane: Lane, price: Decimal) -> Order:
        """Set a price that makes the subject place one order; return the order."""
        symbol, before = lane.subject.symbol, set(lane.account.open)
        self._written.pop(symbol, None)
        self._created.clear()
        await asyncio.sleep(self._pause_s)
        self.server.market.set_price(symbol, price)
        async with deadline(f"an order of {lane.subject.name} at {price}"):
            await self._created.wait()
        fresh = [order for key, order in lane.account.open.items() if key not in before]
        if len(fresh) != 1:
            raise BenchmarkError(f"{lane.subject.name}: expected one order because of a ticker, got {len(fresh)}")
        lane.taken.append((fresh[0].link_id, self._written[symbol], self._created_ns))
        return fresh[0]

    def _withdraw(self, lane: Lane, order: Order) -> None:
        self.server.exchange.cancel(lane.account, order, self.server.now_ms())
        self.server.channels.push(self.server.exchange.outbox.take())


def _cpu_ns(pid: int) -> float:
    """CPU time of another process, all its threads (Linux). Raises OSError elsewhere."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def _near(level: Decimal, sign: int) -> Decimal:
    """A price a quarter of a step beside a level: near enough that the level is not eligible, and does not fill."""
    return (level * (1 + sign * STEP / 400)).quantize(Decimal("0.1"))


def exchange_process(
    orders: int,
    quiet: int,
    pause_s: float,
    subjects: Sequence[Subject],
    authority: Authority | None,
    signals: dict[str, Connection],
    control: Connection,
) -> None:
    """Entry: serve, measure, hand over the stamps, and serve on until told to end."""
    made = {"tick_size": "0.1", "qty_step": "0.001", "max_order_qty": "100"}
    config = PaperConfig.model_validate(
        {
            "ticker_interval_ms": 0,
            "ack_delay_ms": 1,
            "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0},
            "market": {
                "source": "manual",
                "mark_halflife_s": 0,
                "instruments": {s.symbol: {"price": str(s.price), **made} for s in subjects if s.symbol not in SHIPPED},
                "symbols": {s.symbol: {"price": str(s.price)} for s in subjects},
            },
        }
    )
    spec = PaperSpec(config=config, accounts=[s.account for s in subjects])
    run_child(_exchange(spec, orders, quiet, pause_s, subjects, authority, signals, control), control)


async def _exchange(
    spec: PaperSpec,
    orders: int,
    quiet: int,
    pause_s: float,
    subjects: Sequence[Subject],
    authority: Authority | None,
    signals: dict[str, Connection],
    control: Connection,
) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    driver = Driver(spec, pause_s)
    async with driver.server:
        plain = driver.server.url
        secure = ""
        if authority is not None:
            secure = f"https://{driver.server.host}:{await driver.server.listen(tls=server_context(authority))}"
        control.send({"urls": {s.name: secure if s.tls else plain for s in subjects}})
        accounts = driver.server.exchange.accounts
        lanes = [Lane(s, accounts[s.name], signals[s.name]) for s in subjects]
        for lane in lanes:
            loop.add_reader(lane.signals.fileno(), lane.listen)
        await driver.run(lanes, orders)
        cpu = {lane.subject.name: await driver.quiet(lane, quiet) for lane in lanes if quiet and lane.subject.is_worker}
        taken = {lane.subject.name: lane.taken for lane in lanes}
        control.send({"taken": {"orders": taken, "quiet_us": cpu}})
        loop.add_reader(control.fileno(), over.set)
        await over.wait()
