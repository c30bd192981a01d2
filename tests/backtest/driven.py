"""An account's backtest that is driven from one time to the next, so that a test can look at it in between."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial

from gridbot import background
from gridbot.backtest.drive import Drive
from gridbot.backtest.run_account import RunAccount
from gridbot.backtest.run_loop import RunLoop
from gridbot.backtest.run_options import Options
from gridbot.backtest.run_records import RunRecords
from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.symbol_feed import SymbolFeed
from gridbot.config.models import GridbotConfig
from gridbot.market.day import Day
from tests.backtest.backtest_examples import START_MS, same


class Driven:
    """Its parts; `until` goes on to so many milliseconds after `START_MS`."""

    def __init__(self, config: GridbotConfig, days: Sequence[Day], options: Options) -> None:
        end_ms = START_MS + 86_400_000
        feeds = {day.symbol: SymbolFeed(day.symbol, [partial(same, day)], START_MS, end_ms) for day in days}
        self.loop = RunLoop(START_MS * 1000)  # type: ignore[abstract]
        self.records = RunRecords("alice", "run", self.loop, lambda kept: None, 60, 60)
        account, strategies = config.account("alice"), config.strategies_of("alice")
        self.venue = RunVenue(config.paper, account, feeds, options, self.loop)
        self.worker = RunAccount(
            config, account, strategies, self.venue, self.loop, self.records, lambda change: None, {}
        )
        self.drive = Drive(self.loop, self.venue, self.worker, feeds, options, lambda now_us: None)

    def until(self, ms: int) -> None:
        """All that is before then has happened."""
        self.drive.run((START_MS + ms) * 1000)


@contextlib.contextmanager
def driven(config: GridbotConfig, days: Sequence[Day], options: Options) -> Iterator[Driven]:
    """A run that has begun, at `START_MS`."""
    run = Driven(config, days, options)
    with run.loop.running():
        background.awaited(run.worker.start(), name="the start of the account")
        try:
            yield run
        finally:
            run.loop.end_tasks()
