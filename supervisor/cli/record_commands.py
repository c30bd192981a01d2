"""`pnl`, `positions`, `orders`, `fills`: what people otherwise type as SQL, also while the bot runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from gridbot.command_line import pasteable
from gridbot.commands.targets import TargetWords
from gridbot.config.paths import data_directory, find_config
from supervisor.cli.fills_follow import follow
from supervisor.cli.known_fleet import accounts_elsewhere
from supervisor.cli.options import PastTime, Seconds, example, place_options
from supervisor.cli.profit_rows import PROFIT_NOTE, PROFIT_SUMS, profit_rows
from supervisor.cli.record_output import Row, print_rows
from supervisor.cli.target_options import addressed, target_options, target_words
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store import record_questions
from supervisor.store.query import Answer, Limits, SqlFailed, ask_all
from supervisor.store.record_questions import BY, Asked
from supervisor.store.recorded_fleet import FLEET, fleet_of

__all__ = ["Reading", "fills", "orders", "pnl", "positions", "reading_of", "reading_options"]

Function = TypeVar("Function", bound=Callable[..., Any])
GRID_TIMEOUT_S: Final = 20.0
"""The matched pairs of ten million fills take longer; then they are left out, and that is said."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the records are, how long a question may take, and the file that was named, for commands in texts."""

    place: Path
    limits: Limits
    config: Path | None = None

    def ask(self, *statements: str, timeout_s: float | None = None) -> list[list[Row]]:
        """Rows of each statement, all of the same state of the records. Raises CommandError."""
        limits = self.limits if timeout_s is None else Limits(self.limits.wait_s, timeout_s, self.limits.memory)
        try:
            return [_rows(answer) for answer in ask_all(self.place, statements, limits)]
        except SqlFailed as error:
            raise CommandError(str(error), error.exit_code) from None

    def asked(self, written: TargetWords, since: datetime | None, until: datetime | None) -> Asked:
        """What is asked about: names are those that the records know. Raises CommandError."""
        if since is not None and until is not None and since >= until:
            raise CommandError(
                f"expected --from before --to, got {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M}", ExitCode.USAGE
            )
        if written.are_none or written.everything:
            return Asked(None, since, until)
        [rows] = self.ask(FLEET)
        fleet = fleet_of((row["account"], row["config"]) for row in rows)
        try:
            return Asked(addressed(written, fleet), since, until)
        except CommandError as error:
            where = self._where(written)
            text = error.text.partition("; did you mean")[0] if where else error.text
            raise CommandError(f"{text}{where}", error.code) from None

    def _where(self, written: TargetWords) -> str:
        """Which other hosts of a fleet have accounts that were named and are not recorded here."""
        gone, _ = accounts_elsewhere(self.place)
        found = {word.partition("/")[0] for word in written.words} & gone.keys()
        hint = "; --fleet asks the records of all hosts" if found else ""
        return "".join(f"; {account}: {gone[account]}" for account in sorted(found)) + hint


def _rows(answer: Answer) -> list[Row]:
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def reading_options(*, spans: bool = True) -> Callable[[Function], Function]:
    """Targets, --from and --to as `since` and `until`, --json and --csv as `style`, and where the records are."""

    def decorate(function: Any) -> Any:
        options = [
            place_options("Data directory of the bot, or a .duckdb file."),
            target_options(),
            *([] if not spans else _span_options()),
            click.option("--fleet", "of_fleet", is_flag=True, help="Of all hosts of a fleet, as shipped."),
            click.option("--json", "style", flag_value="json", help="As JSON, with the totals."),
            click.option("--csv", "style", flag_value="csv", help="As CSV, without totals."),
            click.option(
                "--wait",
                "wait_s",
                type=Seconds(least=0),
                default=5.0,
                show_default=True,
                help="Seconds to wait for the file.",
            ),
        ]
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _span_options() -> list[Callable[[Any], Any]]:
    begin = "Begin, UTC: 24h, 03:12, 2026-11-01 or 2026-11-01T12:30 [default: all]."
    end = "End, UTC, in the same forms; a day counts whole [default: now]."
    return [
        click.option("--from", "since", type=PastTime(), help=begin),
        click.option("--to", "until", type=PastTime(end=True), help=end),
    ]


def lines_option(default: int) -> Callable[[Function], Function]:
    return click.option(
        "-n",
        "--lines",
        type=click.IntRange(0, 1_000_000),
        default=default,
        show_default=True,
        help="How many of the newest.",
    )


@click.command(epilog=example("pnl --by day --from 7d"))
@reading_options()
@click.option("--by", type=click.Choice(list(BY)), default="strategy", show_default=True, help="What a row is.")
@click.option("--no-grid", is_flag=True, help="Without GRID_PROFIT, which takes longest.")
def pnl(
    config: str | None,
    data_dir: str | None,
    targets: Sequence[str],
    groups: Sequence[str],
    everything: bool,
    of_fleet: bool,
    since: datetime | None,
    until: datetime | None,
    style: str | None,
    wait_s: float,
    by: str,
    no_grid: bool,
) -> None:
    """Profit and loss, by strategy, account, symbol or day: realised, fees, funding, and what the grid itself made.

    Real money, testnet, paper and shadow are never added up together. Works while the bot runs.
    """
    reading = reading_of(
        config, data_dir, wait_s, "daily_sums corrected_executions grid_trades shadow_grid_trades", of_fleet=of_fleet
    )
    asked = reading.asked(target_words(targets, groups, everything), since, until)
    open_now = by != "day" and until is None
    statements = [record_questions.profit(asked, by), *([record_questions.open_pnl(asked, by)] if open_now else [])]
    sums, *legs = reading.ask(*statements)
    grids, missing = _grids(reading, asked, by, skipped=no_grid)
    rows = profit_rows(by, sums, grids, legs[0] if legs else None)
    empty = "no execution is recorded in that span"
    print_rows(rows, style or "table", sums=PROFIT_SUMS, note=PROFIT_NOTE + missing, empty=empty)


def _grids(reading: Reading, asked: Asked, by: str, *, skipped: bool) -> tuple[list[Row] | None, str]:
    """The profit of matched pairs, or why there is none of them."""
    if skipped:
        return None, ""
    try:
        [rows] = reading.ask(record_questions.grid_profit(asked, by), timeout_s=GRID_TIMEOUT_S)
    except CommandError as error:
        return None, f" GRID_PROFIT is left out: {error.text}."
    return rows, ""


@click.command(epilog=example("positions alice"))
@reading_options(spans=False)
@click.option("--flat", is_flag=True, help="Also legs without a position.")
def positions(
    config: str | None,
    data_dir: str | None,
    targets: Sequence[str],
    groups: Sequence[str],
    everything: bool,
    of_fleet: bool,
    style: str | None,
    wait_s: float,
    flat: bool,
) -> None:
    """Open positions as they were recorded last, with the distance to liquidation in percent of the mark price."""
    reading = reading_of(config, data_dir, wait_s, "latest_positions", of_fleet=of_fleet)
    asked = reading.asked(target_words(targets, groups, everything), None, None)
    [found] = reading.ask(record_questions.positions(asked, flat=flat))
    rows = _of_now(reading, asked, found, of_fleet=of_fleet)
    note = "VALUE and UNREALISED are at the last recorded mark price, AS_OF."
    print_rows(rows, style or "table", sums=("value", "unrealised"), note=note, empty="no position is open")


@click.command(epilog=example("orders alice/alice-btc"))
@reading_options()
@click.option("--history", is_flag=True, help="The last state of orders that changed in the span, also of those over.")
@lines_option(200)
def orders(
    config: str | None,
    data_dir: str | None,
    targets: Sequence[str],
    groups: Sequence[str],
    everything: bool,
    of_fleet: bool,
    since: datetime | None,
    until: datetime | None,
    style: str | None,
    wait_s: float,
    history: bool,
    lines: int,
) -> None:
    """Orders that rest by the records; with --history, --from or --to also what became of those that do not."""
    reading = reading_of(config, data_dir, wait_s, "live_orders orders", of_fleet=of_fleet)
    asked = reading.asked(target_words(targets, groups, everything), since, until)
    if history or since is not None or until is not None:
        [rows] = reading.ask(record_questions.order_history(asked, lines))
        print_rows(rows, style or "table", empty="no order changed in that span", in_time=True)
        return
    [found] = reading.ask(record_questions.open_orders(asked))
    rows = _of_now(reading, asked, found, of_fleet=of_fleet)
    print_rows(rows, style or "table", sums=("value",), empty="no order rests")


@click.command(epilog=example("fills alice -f"))
@reading_options()
@lines_option(20)
@click.option(
    "-f", "--follow", "follows", is_flag=True, help="Print new ones too, until Ctrl-C: none twice, none missed."
)
def fills(
    config: str | None,
    data_dir: str | None,
    targets: Sequence[str],
    groups: Sequence[str],
    everything: bool,
    of_fleet: bool,
    since: datetime | None,
    until: datetime | None,
    style: str | None,
    wait_s: float,
    lines: int,
    follows: bool,
) -> None:
    """Trades, the newest ones; with -f those that come, as soon as they are in the database."""
    reading = reading_of(config, data_dir, wait_s, "corrected_executions", of_fleet=of_fleet)
    asked = reading.asked(target_words(targets, groups, everything), since, until)
    if follows and of_fleet:
        raise click.UsageError("expected -f or --fleet, got both: follow the fills of one host, the one that trades")
    if follows:
        with contextlib.suppress(KeyboardInterrupt):
            follow(reading.ask, asked, lines, style or "table")
        return
    [rows] = reading.ask(record_questions.fills(asked, lines))
    shown = [_without_seq(row) for row in rows]
    sums = ("value", "fee", "realised")
    print_rows(shown, style or "table", sums=sums, empty="no fill is recorded in that span", in_time=True)


def _without_seq(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "seq"}


def reading_of(config: str | None, data_dir: str | None, wait_s: float, names: str, *, of_fleet: bool) -> Reading:
    """The records of this host, or for the time of the command what all hosts have shipped of the tables and views of
    these names, and of those that say which accounts there are. Raises CommandError."""
    limits = Limits(wait_s=wait_s, timeout_s=60.0)
    if of_fleet:
        from supervisor.cli.fleet_records import shipped_records

        shipped = shipped_records(config, data_dir, limits.timeout_s, f"run_events {names}")
        return Reading(click.get_current_context().with_resource(shipped), limits)
    return Reading(data_directory(data_dir, config), limits, find_config(config))


def _of_now(reading: Reading, asked: Asked, rows: list[Row], *, of_fleet: bool) -> list[Row]:
    """Without the accounts that another host of a fleet has: what this one has recorded last of them is of the past."""
    if of_fleet:
        return rows
    gone, is_sure = accounts_elsewhere(reading.place)
    named = set() if asked.addressed is None else {each.account for each in asked.addressed}
    concerned = {str(row["account"]) for row in rows} & gone.keys() | named & gone.keys()
    for account in sorted(concerned):
        command = click.get_current_context().info_name
        do = pasteable(f"{command} {account} --fleet", config=reading.config)
        click.echo(f"note: {account}: {gone[account]}; `{do}` asks the records of all hosts", err=True)
    return [row for row in rows if not is_sure or row["account"] not in gone]
