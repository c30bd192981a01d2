"""One account's backtest, from its parts to its records. Accounts share nothing."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gridbot import background
from gridbot.backtest.beginning import NEW, Beginning
from gridbot.backtest.drive import Drive
from gridbot.backtest.record_columns import KeptRecords
from gridbot.backtest.run_account import RunAccount
from gridbot.backtest.run_loop import RunLoop
from gridbot.backtest.run_options import Options
from gridbot.backtest.run_records import RunRecords
from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.symbol_feed import SymbolFeed
from gridbot.commands.wording import counted
from gridbot.config.account_models import StrategyConfig
from gridbot.config.models import GridbotConfig
from gridbot.incidents import Change, Phase
from gridbot.paper.settings import PaperConfig

__all__ = ["RUN_ID", "AccountJob", "Counts", "Tell"]

RUN_ID: Final = "backtest"
COLLECT_FROM: Final = 20_000
"""New objects until Python looks for circles: hardly any are made here, and looking costs a tenth of the time."""
LEG_SAMPLES: Final = 3_000
"""Of each leg in a run, at most: two days of minutes, a month of quarters of an hour."""
SETTLED_US: Final = 3_600_000_000
"""How long settled orders are remembered at least: all ways that something of them can take are minutes, at most."""
Tell = Callable[[int, str, str], None]
"""Gets the time (µs UTC), the strategy ("" for the account) and the text of what an operator would be told."""


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """What the worker's parts would log is of another time; what an operator would be told goes to `tell`."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a run is: simulated time (µs UTC), trades of the market, moments that were looked at, executions."""

    now_us: int
    ticks: int
    looks: int
    fills: int


@dataclass(frozen=True, slots=True)
class AccountJob:
    """What is run: some strategies of an account, on the ticks of their symbols, over a span (µs UTC)."""

    config: GridbotConfig
    account: str
    strategies: Sequence[StrategyConfig]
    feeds: Mapping[str, SymbolFeed]
    paper: PaperConfig
    options: Options
    from_us: int
    to_us: int
    beginning: Beginning = NEW

    def run(self, put: Callable[[KeptRecords], None], tell: Tell, on_progress: Callable[[Counts], None]) -> None:
        """Run it; `put` gets the records. What `on_progress` raises ends it, with all records put that there are.

        Raise StartRefused when the account cannot start, RuntimeError for a fault of ours.
        """
        first_us = min(feed.open(feed.first.day).times[feed.first.at] * 1000 for feed in self.feeds.values())
        loop = RunLoop(max(self.from_us, first_us))  # type: ignore[abstract]  # what it lacks would reach outside
        sample_s, span_s = self.options.sample_s, (self.to_us - self.from_us) / 1e6
        leg_sample_s = max(sample_s, span_s / LEG_SAMPLES)
        records = RunRecords(self.account, RUN_ID, loop, self._without_columns(put), sample_s, leg_sample_s)
        account = self.config.account(self.account)

        def told(change: Change) -> None:
            if change.phase is not Phase.ENDED:
                tell(loop.now_us, change.incident.name.where, change.text)

        settled_us, forget_us = SETTLED_US + round(self.paper.ack_delay_ms * 1000), loop.now_us

        def progress(now_us: int) -> None:
            nonlocal forget_us
            records.flush()
            if now_us >= forget_us:
                worker.forget_settled()
                forget_us = now_us + settled_us
            on_progress(Counts(now_us, drive.ticks, drive.looks, records.fills))

        thresholds = gc.get_threshold()
        with loop.running(), _without_log():
            venue = RunVenue(self.paper, account, self.feeds, self.options, loop, self.beginning)
            worker = RunAccount(
                self.config, account, self.strategies, venue, loop, records, told, self.beginning.states
            )
            drive = Drive(loop, venue, worker, self.feeds, self.options, progress)
            starting = background.awaited(worker.start(), name="the start of the account")
            gc.set_threshold(COLLECT_FROM, 50, 50)
            try:
                drive.run(self.to_us)
                progress(self.to_us)
            except KeyboardInterrupt:
                progress(max(self.from_us, loop.now_us))  # so that what is said of the records is true of them
                raise
            finally:
                gc.set_threshold(*thresholds)
                records.hand_on()
                loop.end_tasks()
        if starting.done():
            starting.result()
        if venue.liquidations:
            tell(loop.now_us, "", f"liquidated {counted(venue.liquidations, 'time')}")
        for failure in loop.failures:
            raise RuntimeError(f"the backtest of {self.account} failed: {failure}")

    def _without_columns(self, put: Callable[[KeptRecords], None]) -> Callable[[KeptRecords], None]:
        """Columns of the market are read from their files again after a transaction, which needs more memory itself."""

        def put_alone(records: KeptRecords) -> None:
            for feed in self.feeds.values():
                feed.let_go()
            put(records)

        return put_alone
