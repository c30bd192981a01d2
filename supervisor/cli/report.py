"""`gridbot-supervisor report`: one account over a span of time as one HTML file, from records or from a backtest."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gridbot.atomic_file import write_atomic
from gridbot.command_line import install_line
from gridbot.commands.wording import did_you_mean, one_of
from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import one_line
from gridbot.report import questions as asking
from gridbot.report.backtest_row import Backtest, backtest_from, tried_beside
from gridbot.report.facts import facts_from
from gridbot.report.figures import Figures, figures_from
from gridbot.report.page_text import moment
from gridbot.report.report_span import Asked, SpanMistake, time_ms
from supervisor.cli.options import Seconds, example, memory_option, place_options
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.query import Limits, SqlFailed, ask_all

if TYPE_CHECKING:
    from supervisor.store.query import Answer

__all__ = ["report"]

BACKTESTS: Final = "backtests"
REPORTS: Final = "reports"
MOST_RUNS: Final = 50
"""Other backtests that are looked at."""
STANDARD_OUTPUT: Final = "-"
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII).fullmatch


class Time(click.ParamType[int]):
    """A date or time in UTC; ms."""

    name = "time"

    def __init__(self, *, end: bool = False) -> None:
        self._end = end

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return time_ms(str(value), end=self._end)
        except SpanMistake as mistake:
            self.fail(str(mistake), param, ctx)


@click.command("report", epilog=example("report --account alice --from 2026-11-01 --to 2026-11-30"))
@click.option("--account", help="Account of the report [default: the only one].")
@click.option("--from", "from_ms", type=Time(), help="Begin, UTC: 2026-11-01 or 2026-11-01T12:30 [default: all].")
@click.option(
    "--to", "to_ms", type=Time(end=True), help="End, UTC; a day counts whole, today up to now [default: all]."
)
@click.option("--strategy", help="Only this strategy.")
@click.option("--run", "run_name", help="A backtest, by its name, instead of what was traded.")
@click.option("--out", help="File to write, - for standard output [default: a file in DATA-DIR/reports].")
@place_options("Data directory of the bot, or a .duckdb file.")
@click.option(
    "--wait", "wait_s", type=Seconds(least=0), default=5.0, show_default=True, help="Seconds to wait for the file."
)
@click.option(
    "--timeout", "timeout_s", type=Seconds(), default=120.0, show_default=True, help="Seconds the questions may take."
)
@memory_option()
def report(
    account: str | None,
    from_ms: int | None,
    to_ms: int | None,
    strategy: str | None,
    run_name: str | None,
    out: str | None,
    config: str | None,
    data_dir: str | None,
    wait_s: float,
    timeout_s: float,
    memory: str,
) -> None:
    """Write a report of an account: one HTML file to read on any screen, without a network.

    Money and where it came from, beside holding and doing nothing; equity, drawdown, prices with fills and ladders,
    positions, worst moments, and what to know before believing it. Of live and paper sessions, also while the bot
    runs, or of a backtest (--run).

    Exit code 9: nothing is recorded in that span.
    """
    _require_jinja()
    place = data_directory(data_dir, config)
    source = place if run_name is None else _backtest_file(place, run_name)
    records = Records(source, Limits(wait_s, timeout_s, memory))
    try:
        figures = _figures(records, account, from_ms, to_ms, strategy, run_name)
    except SqlFailed as exc:
        hint = _runs_instead(place) if run_name is None and exc.exit_code == ExitCode.NOT_RUNNING else ""
        raise _refusal(exc, hint) from None
    _write(figures, place, out)


class Records:
    """A database file that is asked as `sql` asks it: read-only, locked, within limits."""

    def __init__(self, source: Path, limits: Limits) -> None:
        self.source = source
        self._limits = limits

    def ask(self, statements: Sequence[str]) -> list[Answer]:
        """The answers, all of the same state of the records. Raise SqlFailed."""
        return ask_all(self.source, statements, self._limits)


def _refusal(exc: SqlFailed, hint: str) -> CommandError:
    if "Out of Range" in str(exc):
        text = f"an amount in these records is larger than any market's (10^14 USDT): no sums can be made. {exc}"
        return CommandError(text, ExitCode.UNEXPECTED)
    return CommandError(f"{exc}{hint}", exc.exit_code)


def _runs_instead(place: Path) -> str:
    """What could be meant where nothing was traded: the newest of the backtests."""
    runs = sorted((place / BACKTESTS).glob("*.duckdb"), key=lambda path: path.stat().st_mtime)
    return f"; a backtest is reported by its name, such as --run {runs[-1].stem}" if runs else ""


def _require_jinja() -> None:
    if importlib.util.find_spec("jinja2") is None:
        raise click.UsageError(f"expected the package jinja2, which makes the page: {install_line('jinja2')}")


def _backtest_file(place: Path, name: str) -> Path:
    directory = place / BACKTESTS
    path = directory / f"{name}.duckdb"
    if _NAME(name) and path.is_file():
        return path
    known = sorted(found.stem for found in directory.glob("*.duckdb"))
    there = one_of(known[:20]) if known else f"a backtest, and there is none in {directory}"
    raise click.UsageError(f"--run: expected {there}, got {one_line(name)!r}{did_you_mean(name, known)}")


def _figures(
    records: Records, account: str | None, from_ms: int | None, to_ms: int | None, strategy: str | None, run: str | None
) -> Figures:
    [accounts, has_backtests] = records.ask([asking.ACCOUNTS, asking.HAS_BACKTESTS])
    known = {str(name): (int(first), int(last)) for name, first, last in accounts.rows}
    name = _account(account, known, records.source)
    first, last = known[name]
    backtest: Backtest | None = None
    if has_backtests.rows:
        [row] = records.ask([asking.BACKTEST_ROW])
        backtest = backtest_from(row)
    begin, end = _span_of_run(backtest, first, last + 1)
    if backtest is None and to_ms is not None:  # what has not come yet is no time without the bot
        to_ms = min(to_ms, max(int(time.time() * 1000), last + 1, (from_ms or 0) + 1))
    try:
        asked = Asked(
            name,
            begin if from_ms is None else from_ms,
            end if to_ms is None else to_ms,
            strategy=strategy,
            run=run,
        )
    except SpanMistake as mistake:
        if from_ms is not None and to_ms is not None:
            raise click.UsageError(f"--from and --to: {mistake}") from None
        raise _nothing(name, first, last) from None
    if asked.from_ms > last or asked.to_ms <= first:
        raise _nothing(name, first, last)
    [named] = records.ask([asking.strategies_of(name)])
    strategies = [str(row[0]) for row in named.rows]
    if strategy is not None and strategy not in strategies:
        meant = did_you_mean(strategy, strategies)
        there = one_of(strategies) or "a strategy that has records, and there is none"
        raise click.UsageError(f"--strategy: expected {there}, got {one_line(strategy)!r}{meant}")
    statements = asking.questions(asked, 1 if strategy else len(strategies))
    answers = records.ask([*statements.values()])
    tried = 0 if backtest is None else tried_beside(backtest, _other_backtests(records.source), name)
    facts = facts_from(dict(zip(statements, answers, strict=True)))
    if not facts.has_something():
        raise _nothing(name, first, last)
    return figures_from(asked, facts, backtest, tried)


def _span_of_run(backtest: Backtest | None, first_ms: int, end_ms: int) -> tuple[int, int]:
    """What a report is of that names no times: the span of a run that has ended, else all that is recorded."""
    if backtest is None or not backtest.finished or backtest.from_ms is None or backtest.to_ms is None:
        return first_ms, end_ms
    return min(backtest.from_ms, first_ms), max(backtest.to_ms, end_ms)


def _other_backtests(path: Path) -> Iterator[Backtest]:
    """What the newest runs beside a backtest's file say of themselves; one that cannot be read says nothing."""
    beside = [found for found in path.parent.glob("*.duckdb") if found != path]
    for found in sorted(beside, key=lambda each: each.stat().st_mtime, reverse=True)[:MOST_RUNS]:
        with contextlib.suppress(SqlFailed):
            [answer] = ask_all(found, [asking.BACKTEST_ROW], Limits(wait_s=0))
            other = backtest_from(answer)
            if other is not None:
                yield other


def _account(wanted: str | None, known: dict[str, tuple[int, int]], source: Path) -> str:
    names = sorted(known)
    if not names:
        raise _nothing_text(f"nothing is recorded in {source} yet")
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in known:
        return wanted
    got = "no --account" if wanted is None else repr(one_line(wanted))
    meant = "" if wanted is None else did_you_mean(wanted, names)
    raise click.UsageError(f"--account: expected {one_of(names)}, got {got}{meant}")


def _nothing(account: str, first: int, last: int) -> CommandError:
    return _nothing_text(
        f"nothing is recorded of {account} in that span; its records go from {moment(first)} to {moment(last)} UTC"
    )


def _nothing_text(text: str) -> CommandError:
    return CommandError(text, ExitCode.NOTHING)


def _write(figures: Figures, place: Path, out: str | None) -> None:
    from gridbot.report.headline import summary
    from gridbot.report.report_page import render

    page = render(figures, int(time.time() * 1000))
    if out == STANDARD_OUTPUT:
        click.echo(page, nl=False)
        return
    asked = figures.asked
    words = [asked.run, asked.account, asked.strategy, moment(asked.from_ms), moment(asked.to_ms)]
    name = "-".join(re.sub(r"[^\w.-]", "", word.replace(" ", "T")) for word in words if word)
    home = place if place.is_dir() else place.parent
    path = home / REPORTS / f"{name}.html" if out is None else Path(os.path.realpath(out))
    if path.exists() and not path.is_file():
        raise click.UsageError(f"--out: expected a file or -, got {out!r}")
    if out is not None and not path.parent.is_dir():
        raise click.UsageError(f"--out: expected a file in a directory that is there, got {out!r}")
    data = page.encode()
    try:
        write_atomic(path, data)
    except OSError as exc:
        code = ExitCode.REFUSED if isinstance(exc, PermissionError) else ExitCode.UNEXPECTED
        raise CommandError(f"{path} cannot be written: {exc.strerror or exc}", code) from None
    click.echo(summary(figures))
    click.echo(f"{path}: {len(data) / 1000:,.0f} kB")
