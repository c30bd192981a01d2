"""Backtests: the very modules that trade, on market data of the past, without processes, sockets and real time.

    backtest_run.py  `run`: from configuration and market to results
    drive.py         the order of events; exchange_prices.py, worker_prices.py: what exchange and worker get of the
                     market; quiet_stops.py: where nothing can happen
    run_account.py   one account's parts of the worker; run_venue.py: its exchange, with run_books.py;
                     direct_calls.py: the way between
    run_loop.py      simulated time
    run_days.py      the days of a run, which refuse to change while it lasts
    symbol_feed.py   the ticks of a symbol; run_market.py: the exchange's market made of them
    run_records.py, record_columns.py, run_file.py, result.py   what comes of it
    run_options.py, overrides.py, beginning.py   what is assumed, what is tried, how accounts stand at first

Needs the extra `backtest`. Nothing that trades imports it.
"""

from __future__ import annotations

from gridbot.backtest.backtest_run import run
from gridbot.backtest.cannot_run import CannotRun
from gridbot.backtest.result import Result
from gridbot.backtest.run_days import DaysInMemory
from gridbot.backtest.run_options import Latency, Options

__all__ = ["CannotRun", "DaysInMemory", "Latency", "Options", "Result", "run"]
