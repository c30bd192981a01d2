"""The real worker on the paper exchange under virtual time, while the market of recorded days goes by.

What a backtest is measured against (docs/backtest.md 2): nothing goes wrong, every way takes the same time, and nothing
is left to chance, so that the same input gives the same records. Each account has an exchange of its own.

A session begins with the first trade, and with a worker that is ready: how long its start takes is found out before, in
a rehearsal. At one moment come marks, then fundings, then trades, each of several symbols as the strategies stand, and
all of it after what else is due then.
"""

from __future__ import annotations

import asyncio
import contextlib
import decimal
import logging
import warnings
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import with_paper_secrets
from gridbot.exchange.environment import Environment
from gridbot.paper.market.instruments import listing_under
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.server.paper_spec import PaperAccount
from gridbot.paper.settings import PaperConfig
from gridbot.records.durability import Durability
from gridbot.simulation.even_ways import EvenClock, EvenLoop, EvenNetwork, Latencies
from gridbot.simulation.forbidden import forbid
from gridbot.simulation.lone_sharing import LoneSharing
from gridbot.simulation.market_tape import FUNDING, MARK, TRADE, Event, MarketDays, MarketTape, SymbolTape
from gridbot.simulation.memory_files import Disk
from gridbot.simulation.own_directory import own_directory
from gridbot.simulation.session_records import into_database
from gridbot.simulation.venue import Venue
from gridbot.simulation.virtual_loop import Stuck
from gridbot.simulation.wires import Wires
from gridbot.simulation.worker_life import Life, World, ended
from gridbot.worker.spec import WorkerSpec

__all__ = ["SessionFailed", "play", "play_account"]

SEED = b"the secrets of a session, which nobody but the session can reach"
RUN_ID = "session0"
START_MOST_S = STOP_MOST_S = 60.0
NEVER_MS = 4_102_444_800_000
"""When the next funding is, where none is known (the year 2100)."""


class SessionFailed(Exception):
    """The worker did not start or stop, or something in the session raised; the text says what."""


def play(
    config: GridbotConfig,
    market: MarketDays,
    from_ms: int,
    to_ms: int,
    latencies: Latencies,
    directory: Path,
) -> Path:
    """Play every account of a configuration from one time to another (ms UTC); the path of the database.
    `directory` has to be empty: journals, and the database with all records, come there. Matching and fees are those of
    the section `paper`. Raises SessionFailed, and ValueError for a market that has nothing of a symbol.
    """
    accounts = [account.name for account in config.accounts if config.strategies_of(account.name)]
    for account in accounts:
        play_account(config, account, market, from_ms, to_ms, latencies, directory)
    return into_database(directory, accounts)


def play_account(
    config: GridbotConfig,
    account: str,
    market: MarketDays,
    from_ms: int,
    to_ms: int,
    latencies: Latencies,
    directory: Path,
) -> None:
    """As `play`, but for one account, whose records are left in its journal."""
    config = _in_memory(config)
    tape = MarketTape(market, [each.symbol for each in config.strategies_of(account)], from_ms, to_ms)
    with own_directory() as aside:
        start_us = _Session(config, account, tape, latencies, aside, 0).rehearse()
    _Session(config, account, tape, latencies, directory, start_us).run()


class _Session:
    """One account; its worker starts `start_us` (microseconds) before the beginning of the tape."""

    def __init__(
        self,
        config: GridbotConfig,
        account: str,
        tape: MarketTape,
        latencies: Latencies,
        directory: Path,
        start_us: int,
    ) -> None:
        self._tape = tape
        self._loop = loop = EvenLoop(start_us)  # type: ignore[abstract]  # what it lacks would reach outside
        self._clock = clock = EvenClock(loop, tape.begins_ms * 1000)
        opens_us = {symbol: self._passed_us(each.first.at_ms) for symbol, each in tape.symbols.items()}
        network = EvenNetwork(loop, latencies, opens_us)
        markets = {each.symbol: _opened(each, config.paper, clock.true_ms()) for each in tape.symbols.values()}
        self._venue = Venue(_exchange(config.paper), _account_of(config, account), clock.true_ms, RUN_ID, markets)
        self._sharing = LoneSharing(config.supervisor.share_of(config.paper.limits.ip_requests))
        spec = WorkerSpec(account, config, directory, RUN_ID, "http://192.0.2.9:80", console=False, shares=True)
        wires = Wires(loop, network, self._venue)
        self._world = World(loop, clock, network, wires, Disk(loop, network), spec)
        self._fundings = {symbol: iter(each.fundings) for symbol, each in tape.symbols.items()}
        self._moments = tape.moments()
        self._ready: asyncio.Future[int] = asyncio.Future(loop=loop)
        """Microseconds since the beginning, when the worker is ready."""
        self._faults: list[str] = []

    def rehearse(self) -> int:
        """How long (microseconds) the worker takes to be ready. Nothing trades."""
        self._guarded(self._start())
        return self._ready.result()

    def run(self) -> None:
        """Let all of the tape go by."""
        self._guarded(self._trade())

    # ------------------------------------------------------------------ the session

    async def _start(self) -> Life:
        for symbol in self._tape.symbols:
            self._announce_funding(symbol)
        life = Life(self._world, 1, self._on_message, {})
        await asyncio.wait((life.task, self._ready), timeout=START_MOST_S, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            raise SessionFailed(f"the worker of {self._world.spec.account} did not start: {self._why(life)}")
        return life

    async def _trade(self) -> None:
        life = await self._start()
        self._next_moment()
        end_us = self._passed_us(self._tape.to_ms)
        while self._loop.passed_us < end_us and not life.task.done():
            await asyncio.sleep(min(1.0, (end_us - self._loop.passed_us) / 1e6))
        self._loop.call_soon(life.session.stop, context=life.context)
        if not await ended(life, STOP_MOST_S, self._clock) or self._loop.passed_us < end_us or life.task.result():
            raise SessionFailed(f"the worker of {self._world.spec.account} ended badly: {self._why(life)}")

    def _on_message(self, life: Life, message: dict[str, Any]) -> None:
        if message["type"] == "ready":
            self._ready.set_result(self._loop.passed_us)
        if message["type"] == "alert" and message["level"] == "error":
            self._faults.append(str(message["text"]))
        if (answer := self._sharing.answer(message, self._clock.monotonic_s())) is not None:
            self._loop.call_soon(life.session.on_message, answer, context=life.context)

    # ------------------------------------------------------------------ the market

    def _next_moment(self) -> None:
        moment = next(self._moments, None)
        if moment is not None:
            at_ms, events = moment
            self._loop.call_market(self._passed_us(at_ms), lambda: self._happen(events))

    def _happen(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind == TRADE:
                self._venue.market.trade(event.symbol, event.value, event.size, event.side)
                continue
            if event.kind == MARK:  # the stream tells of it with the next trade
                moved = self._venue.exchange.markets[event.symbol]
                moved.pinned_mark = moved.pinned_index = event.value
            self._venue.turn()
            if event.kind == FUNDING:
                self._announce_funding(event.symbol)
        self._next_moment()

    def _announce_funding(self, symbol: str) -> None:
        market = self._venue.exchange.markets[symbol]
        market.next_funding_ms, market.funding_rate = next(self._fundings[symbol], (NEVER_MS, decimal.Decimal(0)))

    def _passed_us(self, at_ms: int) -> int:
        return (at_ms - self._tape.begins_ms) * 1000

    # ------------------------------------------------------------------ around it

    def _guarded(self, work: Coroutine[Any, Any, object]) -> None:
        with warnings.catch_warnings(), decimal.localcontext(decimal.Context()), _quiet(), forbid(self._clock) as used:
            warnings.filterwarnings("ignore", message="coroutine .* was never awaited")  # of what ends with the session
            try:
                self._loop.run(work)
            except Stuck as stuck:
                raise SessionFailed(str(stuck)) from stuck
            finally:
                self._loop.bury()
        if wrong := [*self._loop.failures, *used]:
            raise SessionFailed(wrong[0])

    def _why(self, life: Life) -> str:
        if life.task.done() and (error := life.task.exception()) is not None:
            return f"{type(error).__name__}: {error}"
        return self._faults[-1] if self._faults else "it did not say why"


def _in_memory(config: GridbotConfig) -> GridbotConfig:
    """The configuration with accounts of the paper exchange, and records that need no thread and name no directory."""
    storage = {"data_dir": Path("data"), "durability": Durability.PROCESS, "public_trades": False}
    accounts = tuple(
        account.model_copy(
            update={
                "environment": Environment.PAPER,
                "api_key": SecretStr(f"paper-{account.name}"),
                "api_secret": SecretStr(""),
            }
        )
        for account in config.accounts
    )
    changes = {"accounts": accounts, "storage": config.storage.model_copy(update=storage)}
    return with_paper_secrets(config.model_copy(update=changes), SEED)


def _exchange(config: PaperConfig) -> PaperConfig:
    """The section `paper` without delays of its own, but for that of pushes."""
    return config.model_copy(update={"ticker_interval_ms": 0, "subscribe_delay_ms": 0, "query_lag_ms": 0})


def _account_of(config: GridbotConfig, name: str) -> PaperAccount:
    account = config.account(name)
    secret = account.api_secret.get_secret_value()
    return PaperAccount(name, account.api_key.get_secret_value(), secret, account.balance)


def _opened(tape: SymbolTape, config: PaperConfig, now_ms: int) -> SymbolMarket:
    """A symbol's market at its first price, and at its mark where one is known."""
    price, entry = tape.first.value, config.market.symbols.get(tape.symbol)
    level = (entry.level_notional if entry else None) or config.market.level_notional
    market = SymbolMarket(listing_under(tape.instrument, price), price, level, now_ms, mark_halflife_s=0.0)
    market.pinned_mark = market.pinned_index = tape.mark_before
    market.revalue(now_ms)
    return market


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Only errors reach the log: a session's lines have a time of their own."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
