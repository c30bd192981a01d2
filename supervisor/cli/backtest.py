"""`gridbot-supervisor backtest`: what the strategies of a configuration would have done on the market of the past."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from gridbot.command_line import pasteable
from gridbot.commands.wording import counted
from gridbot.config.paths import data_directory, find_config
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import one_line
from supervisor.cli.backtest_extra import need_backtest_extra
from supervisor.cli.data_commands import market_to_read
from supervisor.cli.options import example, load_or_refuse, place_options
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridbot.backtest.result import Result
    from gridbot.backtest.run_sums import Progress

__all__ = ["backtest"]

MATCHING = ("queue", "touch", "through")
MAX_SEED = 2**63 - 1
"""What the results can keep of it."""


@click.group(
    invoke_without_command=True,
    epilog=example("backtest -c conf/gridbot.yaml --from 2026-09-01 --to 2026-09-30 --set grid_step=0.3"),
)
@place_options("Where market data and results are [default: of the configuration].")
@click.option("--from", "from_", metavar="DATE", help="First day or moment, UTC.")
@click.option("--to", metavar="DATE", help="Last day, with all of it, or a moment, UTC.")
@click.option("--account", metavar="NAME", help="Only this account [default: each, one after the other].")
@click.option("--strategy", metavar="NAME", help="Only this strategy.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Try another setting; may be repeated.")
@click.option("--matching", type=click.Choice(MATCHING), help="When an order fills [default: paper.matching].")
@click.option("--latency", default="10", show_default=True, metavar="MS", help="Each way, such as 20 or 5-40.")
@click.option("--seed", type=click.IntRange(0, MAX_SEED), default=1, show_default=True, help="Of what is drawn.")
@click.option("--market", metavar="DIR", help="Where market data is [default: market in the data directory].")
@click.option("--name", default="", help="What the results are called [default: time and process id].")
@click.option("--every-tick", is_flag=True, help="Look at each price. Slow, and the same in the end.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def backtest(context: click.Context, /, **given: Any) -> None:
    """Run the strategies of the configuration on market data of the past, by the modules that trade.

    Nothing is sent and nothing that runs is touched. The results are records as a running bot has them, in one DuckDB
    file below backtests/ in the data directory. Ctrl-C leaves what there is. Exit code 4: the configuration, or a
    setting to try, is wrong. 7: there is no market data for it.
    """
    if context.invoked_subcommand is None:
        _run(given)


@backtest.command("list", epilog=example("backtest list"))
@place_options()
def list_runs(config: str | None, data_dir: str | None) -> None:
    """List the results, the newest first."""
    need_backtest_extra()
    from gridbot.backtest.run_file import summaries

    rows = summaries(data_directory(data_dir, config))
    if not rows:
        click.echo("no backtest has been run here")
    for row in rows:
        if "error" in row:
            click.echo(f"{row['name']}: {row['error']}")
            continue
        end = "" if row["finished"] else f", process {row['process']} runs it" if row["process"] else ", broken off"
        click.echo(
            f"{row['name']}  {row['from_ts']:%Y-%m-%d %H:%M} to {row['to_ts']:%Y-%m-%d %H:%M}  "
            f"{', '.join(row['accounts'])}  {counted(row['fills'], 'fill')}{end}{_tried(row)}"
        )


def _tried(row: Mapping[str, Any]) -> str:
    """The settings that a run had instead of the file's: by these runs are told apart."""
    try:
        options = read_json(row.get("options") or "{}")
    except JsonMistake:
        return ""
    overrides = options.get("overrides") if isinstance(options, dict) else None
    return "".join(f"  {one_line(str(each), 80)}" for each in overrides) if isinstance(overrides, list) else ""


def _run(given: dict[str, Any]) -> None:
    for option in ("from_", "to"):
        if given[option] is None:
            raise click.UsageError(f"expected --{option.strip('_')} DATE, such as --{option.strip('_')} 2026-09-01")
    loaded = load_or_refuse(find_config(given["config"]), given["data_dir"])
    need_backtest_extra()
    from gridbot.backtest.backtest_run import run
    from gridbot.backtest.cannot_run import AskedWrongly, CannotRun
    from gridbot.backtest.mark_feed import DayRefusedHere
    from gridbot.backtest.run_options import Latency, Options
    from gridbot.config.errors import ConfigError
    from gridbot.market.market_error import MarketError
    from gridbot.market.market_root import Market
    from gridbot.paper.settings import MatchingModel

    matching = given["matching"]
    try:
        options = Options.with_latency(
            Latency.parse(given["latency"]),
            matching=None if matching is None else MatchingModel(matching),
            seed=given["seed"],
            every_tick=given["every_tick"],
        )
    except ValueError as error:
        raise click.UsageError(f"--latency: {error}") from None
    root = market_to_read(given["market"], loaded.storage.data_dir / "market")
    bar = _Bar(shown=not given["quiet"] and sys.stderr.isatty())
    try:
        result = run(
            loaded,
            Market(root),
            from_=given["from_"],
            to=given["to"],
            account=given["account"],
            strategy=given["strategy"],
            overrides=given["overrides"],
            options=options,
            name=given["name"],
            on_progress=bar.show,
        )
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    except AskedWrongly as error:
        raise click.UsageError(str(error)) from None
    except (CannotRun, DayRefusedHere, MarketError) as error:
        raise CommandError(str(error), ExitCode.REFUSED) from None
    finally:
        bar.end()
    _tell(result)
    result.close()
    if not result.summary["finished"]:
        sys.exit(ExitCode.FORCED)


class _Bar:
    """A line with the simulated date and the rate, on a terminal."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._began_s = self._told_s = 0.0

    def show(self, progress: Progress) -> None:
        """Draw it again, at most ten times a second."""
        if not self._shown:
            return
        import time
        from datetime import UTC, datetime

        now_s = time.monotonic()
        self._began_s = self._began_s or now_s
        if now_s - self._told_s < 0.1:
            return
        self._told_s = now_s
        part = (progress.now_us - progress.from_us) / (progress.to_us - progress.from_us)
        day = datetime.fromtimestamp(progress.now_us / 1e6, UTC)
        rate = progress.ticks / max(0.1, now_s - self._began_s)
        filled = round(20 * part)
        line = f"[{'#' * filled}{'.' * (20 - filled)}] {part:4.0%} {progress.account} {day:%Y-%m-%d %H:%M}"
        click.echo(f"\r{line}  {rate:,.0f} ticks/s  {progress.fills} fills\033[K", err=True, nl=False)

    def end(self) -> None:
        """Remove the line."""
        if self._shown:
            click.echo("\r\033[K", err=True, nl=False)


PROFITS = """
    SELECT account, strategy, shadow, count(*) FILTER (exec_type = 'Trade'), sum(realised_pnl),
        sum(fee) FILTER (exec_type <> 'Funding'), sum(fee) FILTER (exec_type = 'Funding')
    FROM executions GROUP BY ALL ORDER BY ALL"""
BALANCES = """
    SELECT account, first(wallet_balance ORDER BY seq), last(wallet_balance ORDER BY seq), last(equity ORDER BY seq)
    FROM wallets GROUP BY account ORDER BY account"""


def _tell(result: Result) -> None:
    summary = result.summary
    rate = summary["ticks"] / max(0.001, summary["wall_s"])
    click.echo(
        f"{summary['name']}: {summary['from_ts']:%Y-%m-%d %H:%M} to {summary['to_ts']:%Y-%m-%d %H:%M} UTC, "
        f"{summary['ticks']:,} trades in {summary['wall_s']:.1f} s ({rate:,.0f}/s), {summary['looks']:,} looks"
    )
    for account, strategy, shadow, fills, realised, fees, funding in result.sql(PROFITS):
        money = f"realised {_usdt(realised)}, fees {_usdt(fees)}, funding {_usdt(funding)}"
        of = f"{account} {strategy}" + (" (shadow, not in the wallet)" if shadow else "")
        click.echo(f"  {of}: {counted(fills, 'fill')}, {money}")
    for account, begin, end, equity in result.sql(BALANCES):
        click.echo(f"  {account}: wallet {_usdt(begin)} -> {_usdt(end)}, equity {_usdt(equity)}")
    _tell_warnings(summary["warnings"])
    question = pasteable("sql 'FROM fills LIMIT 10'", data_dir=result.path)
    click.echo(f"results: {result.path}\nask them: {question}")


def _tell_warnings(warnings: Sequence[str]) -> None:
    for text in warnings[:20]:
        click.echo(f"  warning: {text}")
    if len(warnings) > 20:
        click.echo(f"  and {len(warnings) - 20} more warnings, in the table backtests")


def _usdt(amount: Decimal | None) -> str:
    return f"{amount or 0:,.2f}"
