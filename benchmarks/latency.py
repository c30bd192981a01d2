"""From the paper exchange writing a ticker frame that makes the engine act to its receiving the create-order request.

The exchange runs in a process of its own with a market that the driver moves; a writer process stores the records.
Two bare loops and two workers, each in its own process with an account and a symbol of its own, take turns in blocks,
so that the noise of the machine meets them alike:

    pybit      pybit's WebSocket callback calls pybit's HTTP.place_order, both as published
    tuned      the same with gridbot's adjusted pybit classes: what any strategy costs at least
    worker     a whole gridbot worker with a grid of 4 levels
    worker-50  the same with 50 orders resting

One measured ticker causes exactly one order. For a worker the exchange withdraws the order nearest to the price, on the
side where the price is so near that the level is not eligible; when the worker has seen that, the price goes to the
other end of the gap, the level is eligible again, and the engine replaces its order. `time.monotonic_ns` is one clock
for all processes of a machine, so stamps of both sides can be subtracted; they are joined by orderLinkId.

    python benchmarks/latency.py [--orders 2000] [--warmup 200] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from pybit.unified_trading import HTTP, WebSocket
from rich.console import Console
from rich.table import Table

from gridbot import logging_setup
from gridbot.bybit.clocks import ExchangeClock
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.session import make_session
from gridbot.bybit.stream_socket import BybitSocket
from gridbot.bybit.streams import StreamSet
from gridbot.config.models import GridbotConfig
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ExchangeError
from gridbot.execution.latency_trace import Stage
from gridbot.orders.order import OrderState
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.settings import PaperConfig
from gridbot.system_ports import SystemClock, SystemIds
from gridbot.worker.assembly import Assembly
from gridbot.worker.spec import WorkerSpec
from supervisor.store.writer import WriterSpec
from supervisor.store.writer_process import run_writer

BLOCK = 50
START_TIMEOUT_S = 60.0
STEP_TIMEOUT_S = 10.0
TOTAL_TIMEOUT_S = 240.0
STEP = Decimal("0.2")
CREATED = "created"
WRITTEN = "written"

Trace = dict[str, int]


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is measured; `levels` is 0 for a bare loop."""

    name: str
    symbol: str
    price: Decimal
    levels: int = 0
    qty: str = "1"

    @property
    def account(self) -> PaperAccount:
        return PaperAccount(self.name, f"paper-{self.name}", f"secret-of-{self.name}", Decimal(10_000_000))


SUBJECTS = (
    Subject("pybit", "SOLUSDT", Decimal(150)),
    Subject("tuned", "LTCUSDT", Decimal(80)),
    Subject("worker", "BTCUSDT", Decimal(50_000), levels=4, qty="0.01"),
    Subject("worker-50", "ETHUSDT", Decimal(2_500), levels=50, qty="0.1"),
)

# A part is named after the stamp it ends with, and belongs to one of the four stages.
PARTS = {
    Stage.RECEIVED: ("frame -> event", "exchange -> our callback"),
    Stage.EVENT: ("frame -> event", "-> event on the loop"),
    Stage.DECIDED: ("decide", "engine"),
    Stage.ADMITTED: ("gate and journal", "size, gate, record"),
    Stage.JOURNALLED: ("gate and journal", "write the journal"),
    CREATED: ("request", "thread, sign, send -> exchange"),
}


class BenchmarkError(Exception):
    """Nothing could be measured; the text says why."""


# ---------------------------------------------------------------------- the exchange's process


@dataclass(slots=True)
class Lane:
    """One subject as the driver sees it."""

    subject: Subject
    account: Account
    signals: Connection
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)
    taken: list[tuple[str, int, int]] = field(default_factory=list)
    """(orderLinkId, ticker frame written, create request received)."""

    def listen(self) -> None:
        """A byte over the pipe says: whatever you did, I have seen it, and nothing of mine is under way."""
        try:
            self.signals.recv_bytes()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self.signals.fileno())
            return
        self.is_ready.set()

    async def ready(self, timeout_s: float = STEP_TIMEOUT_S) -> None:
        async with _deadline(f"{self.subject.name} to be ready", timeout_s):
            await self.is_ready.wait()
        self.is_ready.clear()

    def nearest(self) -> tuple[Order, Order]:
        """The highest Buy and the lowest Sell that rest."""
        orders = list(self.account.open.values())
        buys, sells = ([o for o in orders if o.side == side] for side in ("Buy", "Sell"))
        return max(buys, key=lambda o: o.price), min(sells, key=lambda o: o.price)


class Driver:
    """Moves the market, on the exchange's own loop, and takes the exchange's stamps."""

    def __init__(self, spec: PaperSpec) -> None:
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

    def _turns(self, lane: Lane) -> Any:
        return self._worker_turns(lane) if lane.subject.levels else self._bare_turns(lane)

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
        self.server.market.set_price(symbol, price)
        async with _deadline(f"an order of {lane.subject.name} at {price}"):
            await self._created.wait()
        fresh = [order for key, order in lane.account.open.items() if key not in before]
        if len(fresh) != 1:
            raise BenchmarkError(f"{lane.subject.name}: expected one order because of a ticker, got {len(fresh)}")
        lane.taken.append((fresh[0].link_id, self._written[symbol], self._created_ns))
        return fresh[0]

    def _withdraw(self, lane: Lane, order: Order) -> None:
        self.server.exchange.cancel(lane.account, order, self.server.now_ms())
        self.server.channels.push(self.server.exchange.outbox.take())


def _near(level: Decimal, sign: int) -> Decimal:
    """A price a quarter of a step beside a level: near enough that the level is not eligible, and does not fill."""
    return (level * (1 + sign * STEP / 400)).quantize(Decimal("0.1"))


@contextlib.asynccontextmanager
async def _deadline(what: str, timeout_s: float = STEP_TIMEOUT_S) -> Any:
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise BenchmarkError(f"expected {what} within {timeout_s:.0f} s, got nothing") from None


def exchange_process(orders: int, signals: dict[str, Connection], control: Connection) -> None:
    """Entry: serve, measure, hand over the stamps, and serve on until told to end."""
    config = PaperConfig.model_validate(
        {
            "ticker_interval_ms": 0,
            "ack_delay_ms": 1,
            "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0},
            "market": {
                "source": "manual",
                "mark_halflife_s": 0,
                "symbols": {s.symbol: {"price": str(s.price)} for s in SUBJECTS},
            },
        }
    )
    spec = PaperSpec(config=config, accounts=[s.account for s in SUBJECTS])
    _run(_exchange(spec, orders, signals, control), control)


async def _exchange(spec: PaperSpec, orders: int, signals: dict[str, Connection], control: Connection) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    driver = Driver(spec)
    async with driver.server:
        control.send({"url": driver.server.url})
        accounts = driver.server.exchange.accounts
        lanes = [Lane(s, accounts[s.name], signals[s.name]) for s in SUBJECTS if s.name in signals]
        for lane in lanes:
            loop.add_reader(lane.signals.fileno(), lane.listen)
        await driver.run(lanes, orders)
        control.send({"taken": {lane.subject.name: lane.taken for lane in lanes}})
        loop.add_reader(control.fileno(), over.set)
        await over.wait()


# ---------------------------------------------------------------------- a bare loop's process


def bare_process(subject: Subject, url: str, signals: Connection, control: Connection) -> None:
    """Entry: a ticker is answered with an order, in the callback."""
    start = TunedLoop if subject.name == "tuned" else PybitLoop
    loop = start(subject, url, signals)
    with contextlib.suppress(EOFError, OSError):
        control.recv()
        control.send({"traces": loop.traces})
        control.recv()
    os._exit(0)  # pybit's threads would keep the process


class BareLoop:
    """What one writes with pybit and no strategy."""

    def __init__(self, subject: Subject, url: str, signals: Connection) -> None:
        self._subject, self._signals = subject, signals
        self._price = str(subject.price - 2)
        self._count = 0
        self._is_first = True
        self.traces: dict[str, Trace] = {}

    def answer(self, received_ns: int, place_order: Callable[..., Any]) -> None:
        if self._is_first:  # the snapshot
            self._is_first = False
        else:
            self._count += 1
            link_id = f"bare-{self._count}"
            self.traces[link_id] = {Stage.RECEIVED: received_ns}
            place_order(
                category="linear",
                symbol=self._subject.symbol,
                side="Buy",
                orderType="Limit",
                qty=self._subject.qty,
                price=self._price,
                timeInForce="PostOnly",
                positionIdx=0,
                orderLinkId=link_id,
            )
        self._signals.send_bytes(b"!")


class PybitLoop(BareLoop):
    """pybit as published."""

    def __init__(self, subject: Subject, url: str, signals: Connection) -> None:
        super().__init__(subject, url, signals)
        account = subject.account
        http = HTTP(api_key=account.api_key, api_secret=account.api_secret)
        http.endpoint = url

        class Loopback(WebSocket):  # type: ignore[misc]
            def _connect(self, address: str) -> None:
                super()._connect(url.replace("http", "ws", 1) + address[address.index("/v5/") :])

        stream = Loopback(testnet=True, channel_type="linear")
        stream.ticker_stream(subject.symbol, lambda _: self.answer(time.monotonic_ns(), http.place_order))


class TunedLoop(BareLoop):
    """gridbot's adjusted pybit classes; it is the listener of its own socket."""

    def __init__(self, subject: Subject, url: str, signals: Connection) -> None:
        super().__init__(subject, url, signals)
        account = subject.account
        endpoints = endpoints_for(Environment.PAPER, url)
        credentials = Credentials(account.api_key, account.api_secret)
        self._http = make_session(endpoints, credentials, ExchangeClock(), timeout=10, recv_window=5000)
        self._socket = BybitSocket(endpoints.ws_public, self, {"tickers": [f"tickers.{subject.symbol}"]})

    def on_frame(self, topic: str, frame: dict[str, Any], received_ns: int) -> None:
        self.answer(received_ns, self._http.place_order)

    def on_open(self) -> None: ...
    def on_alive(self) -> None: ...
    def on_confirmed(self, request_id: str) -> None: ...
    def on_lost(self, error: ExchangeError) -> None: ...


# ---------------------------------------------------------------------- a worker's process


def worker_process(
    subject: Subject, url: str, data_dir: Path, records: Any, signals: Connection, control: Connection
) -> None:
    """Entry: a worker as the supervisor would start it, with its stages switched on."""
    settings = worker_settings(subject, data_dir)
    logging_setup.setup_logging(
        f"worker-{subject.name}", settings.logging, data_dir, console=False, account=subject.name
    )
    spec = WorkerSpec(subject.name, settings, data_dir, "0123456789abcdef", url, console=False)
    _run(_worker(spec, subject, records, signals, control), control)
    logging_setup.stop_logging()


def worker_settings(subject: Subject, data_dir: Path) -> GridbotConfig:
    account = subject.account
    return GridbotConfig.model_validate(
        {
            "environment": "paper",
            "accounts": [{"name": account.name, "api_key": account.api_key, "api_secret": account.api_secret}],
            "strategies": [
                {
                    "strat_id": subject.name,
                    "account": account.name,
                    "symbol": subject.symbol,
                    "grid_count": subject.levels,
                    "grid_step": str(STEP),
                    "amount": f"q{subject.qty}",
                    "caps": {"max_orders_per_minute": None},
                }
            ],
            "storage": {"data_dir": str(data_dir)},
        }
    )


class Watched(Assembly):
    """A worker's parts, and a look at them after each wake-up of its loop."""

    def __init__(self, spec: WorkerSpec, records: Any, look: Callable[[], None]) -> None:
        super().__init__(
            spec, records, alert=lambda level, key, text, strategy="": None, clock=SystemClock(), ids=SystemIds()
        )
        self._look = look

    def _streams(self, symbols: Sequence[str], on_wake: Callable[[], None]) -> StreamSet:
        def wake() -> None:
            on_wake()
            self._look()

        return super()._streams(symbols, wake)


async def _worker(spec: WorkerSpec, subject: Subject, records: Any, signals: Connection, control: Connection) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    told: tuple[int, int] | None = None

    def look() -> None:
        """Tell the driver, once, when all is answered and the book is whole (at first) or lacks the withdrawn order."""
        nonlocal told
        if not assembly.ready:
            return
        runner = assembly.orchestrator.runners[subject.symbol]
        state = len(assembly.context.trace.traces), len(runner.book)
        wanted = (subject.levels, subject.levels - 1) if state[0] == 0 else (subject.levels - 1,)
        if state == told or state[1] not in wanted or any(o.state is not OrderState.OPEN for o in runner.book):
            return
        if not assembly.context.executor.idle:
            loop.call_later(0.0005, look)
            return
        told = state
        assembly.context.trace.on = True
        signals.send_bytes(b"!")

    assembly = Watched(spec, records, look)
    await assembly.start()
    loop.add_reader(control.fileno(), over.set)
    await over.wait()
    with contextlib.suppress(EOFError, OSError):
        control.recv()
        control.send({"traces": assembly.context.trace.traces})
    await assembly.close("the benchmark is over")


def _run(main: Any, control: Connection) -> None:
    """Run a child's coroutine; what ends it early is told over the pipe, if the parent is still there."""
    try:
        asyncio.run(main)
    except Exception as error:  # noqa: BLE001 - the parent reports it
        with contextlib.suppress(OSError):
            control.send({"error": str(error) if isinstance(error, BenchmarkError) else repr(error)})


# ---------------------------------------------------------------------- the parent


class Crew:
    """The processes of a run. On leaving, every one of them is ended."""

    def __init__(self) -> None:
        self._spawn = multiprocessing.get_context("spawn")
        self._members: dict[str, tuple[BaseProcess, Connection]] = {}
        self._deadline_s = time.monotonic() + TOTAL_TIMEOUT_S
        self._writer: tuple[BaseProcess, Connection, Connection] | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exc: object) -> None:
        for _, control in self._members.values():
            control.close()
        processes = [process for process, _ in self._members.values()]
        if self._writer is not None:
            self._writer[2].close()
            processes.append(self._writer[0])
        for child in processes:
            child.join(5.0)
            if child.is_alive():
                child.kill()
                child.join()

    def pipe(self) -> tuple[Connection, Connection]:
        return self._spawn.Pipe()

    def queue(self) -> Any:
        return self._spawn.Queue(maxsize=1000)

    def start(self, name: str, entry: Callable[..., None], *args: Any) -> None:
        """The child gets its end of a control pipe as last argument."""
        ours, theirs = self._spawn.Pipe()
        process = self._spawn.Process(target=entry, args=(*args, theirs), name=name, daemon=True)
        process.start()
        theirs.close()
        self._members[name] = process, ours

    def start_writer(self, data_dir: Path, queues: dict[str, Any]) -> None:
        health, health_end = self._spawn.Pipe()
        life, life_end = self._spawn.Pipe()
        spec = WriterSpec(data_dir, tuple(queues))
        writer = self._spawn.Process(target=run_writer, args=(spec, queues, health_end, life_end), daemon=True)
        writer.start()
        life_end.close()
        self._writer = writer, health, life  # the pipe is kept open: the writer reports into it

    def tell(self, name: str) -> None:
        self._members[name][1].send("go on")

    def hear(self, name: str, key: str) -> Any:
        """The next message of a child; also listens whether another one has failed."""
        while True:
            for other, (process, control) in self._members.items():
                if control.poll(0.0 if other != name else 0.1):
                    message = _receive(other, control)
                    if "error" in message:
                        raise BenchmarkError(f"{other}: {message['error']}")
                    if other == name:
                        return message[key]
                elif not process.is_alive():
                    raise BenchmarkError(f"{other} ended with {process.exitcode}")
            if time.monotonic() > self._deadline_s:
                raise BenchmarkError(f"not done after {TOTAL_TIMEOUT_S:.0f} s")


def _receive(name: str, control: Connection) -> dict[str, Any]:
    try:
        message: dict[str, Any] = control.recv()
    except (EOFError, OSError):
        raise BenchmarkError(f"{name} ended before it was told to") from None
    return message


def measure(orders: int, subjects: Sequence[Subject], data_dir: Path) -> dict[str, list[Trace]]:
    """Stamps of `orders` orders of each subject, both sides joined, in the order of the orders."""
    with Crew() as crew:
        signals = {subject.name: crew.pipe() for subject in subjects}
        crew.start("exchange", exchange_process, orders, {name: ends[0] for name, ends in signals.items()})
        url = crew.hear("exchange", "url")
        queues = {subject.name: crew.queue() for subject in subjects if subject.levels}
        if queues:
            crew.start_writer(data_dir, queues)
        for subject in subjects:
            signal = signals[subject.name][1]
            if subject.levels:
                crew.start(subject.name, worker_process, subject, url, data_dir, queues[subject.name], signal)
            else:
                crew.start(subject.name, bare_process, subject, url, signal)
        taken = crew.hear("exchange", "taken")
        joined = {}
        for subject in subjects:
            crew.tell(subject.name)
            traces = crew.hear(subject.name, "traces")
            joined[subject.name] = [
                {WRITTEN: written, **traces[link_id], CREATED: created}
                for link_id, written, created in taken[subject.name]
            ]
        return joined


# ---------------------------------------------------------------------- the report


def summary(traces: Sequence[Trace]) -> dict[str, Any]:
    """Microseconds: the whole way, each stage, the parts of the stages; `share` is of the median of the whole way."""
    total = [trace[CREATED] - trace[WRITTEN] for trace in traces]
    parts: dict[str, list[int]] = {}
    stages: dict[str, list[int]] = {}
    for trace in traces:
        sums: dict[str, int] = {}
        before = trace[WRITTEN]
        for mark, (stage, _) in PARTS.items():
            if mark in trace:
                parts.setdefault(str(mark), []).append(trace[mark] - before)
                sums[stage] = sums.get(stage, 0) + trace[mark] - before
                before = trace[mark]
        for stage, took in sums.items():
            stages.setdefault(stage, []).append(took)
    whole = statistics.median(total)
    return {
        "orders": len(traces),
        "total_us": _figures(total),
        "stages_us": {name: _figures(took, whole) for name, took in stages.items()},
        "parts_us": {name: _figures(took, whole) for name, took in parts.items()},
    }


def _figures(values: Sequence[int], whole: float | None = None) -> dict[str, float]:
    ranked = sorted(values)
    p50, p99 = statistics.median(ranked), ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)]
    figures = {"p50": round(p50 / 1000, 1), "p99": round(p99 / 1000, 1), "min": round(ranked[0] / 1000, 1)}
    return figures if whole is None else figures | {"share": round(p50 / whole, 3)}


def report(results: dict[str, dict[str, Any]]) -> Iterator[Table]:
    """What people read."""
    names = list(results)
    table = Table(title="ticker frame written -> create request received, µs: p50 / p99 (share of p50)")
    table.add_column("stage")
    for name in names:
        table.add_column(f"{name} ({results[name]['orders']})", justify="right")
    for stage in dict.fromkeys(stage for stage, _ in PARTS.values()):
        table.add_row(stage, *(_cell(results[name]["stages_us"].get(stage)) for name in names))
        for mark, (owner, label) in PARTS.items():
            if owner == stage:
                cells = (_cell(results[name]["parts_us"].get(str(mark))) for name in names)
                table.add_row(f"  {label}", *cells, style="dim")
    table.add_section()
    table.add_row("whole way", *(_cell(results[name]["total_us"]) for name in names), style="bold")
    yield table


def _cell(figures: dict[str, float] | None) -> str:
    if figures is None:
        return "-"
    share = f" ({figures['share']:4.0%})" if "share" in figures else ""
    return f"{figures['p50']:.0f} / {figures['p99']:.0f}{share}"


def ratios(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Each worker against each bare loop of the same run."""
    return {
        f"{worker}/{bare}": {
            key: round(results[worker]["total_us"][key] / results[bare]["total_us"][key], 3) for key in ("p50", "p99")
        }
        for worker in results
        for bare in results
        if worker.startswith("worker") and not bare.startswith("worker")
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=2000, help="measured orders of each subject (default 2000)")
    parser.add_argument("--warmup", type=int, default=200, help="orders before them that do not count (default 200)")
    parser.add_argument("--only", nargs="+", choices=[s.name for s in SUBJECTS], help="only these subjects")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.orders < 1 or options.warmup < 0:
        parser.error("expected at least one order and no negative warm-up")
    subjects = [subject for subject in SUBJECTS if not options.only or subject.name in options.only]
    load_before, started_s = os.getloadavg(), time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="gridbot-latency-") as data_dir:
            traces = measure(options.orders + options.warmup, subjects, Path(data_dir))
    except BenchmarkError as error:
        print(f"latency: {error}", file=sys.stderr)
        return 1
    results = {name: summary(taken[options.warmup :]) for name, taken in traces.items()}
    document: dict[str, Any] = {
        "benchmark": "latency",
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load_before": load_before,
        "load_after": os.getloadavg(),
        "took_s": round(time.monotonic() - started_s, 1),
        "results": results,
        "ratios": ratios(results),
    }
    if options.json:
        print(json.dumps(document, indent=2))
        return 0
    console = Console(width=None if sys.stdout.isatty() else 140)
    for table in report(results):
        console.print(table)
    for pair, ratio in document["ratios"].items():
        console.print(f"{pair}: p50 x{ratio['p50']:.2f}, p99 x{ratio['p99']:.2f}")
    load = f"load {load_before[0]:.2f} before, {os.getloadavg()[0]:.2f} after"
    console.print(f"{os.cpu_count()} cpus, {load}, Python {document['python']}, {document['took_s']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
