"""`gridbot-supervisor check`: everything about a configuration that can be known without starting or connecting."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gridbot.config.errors import ConfigError
from gridbot.config.ladder_report import LadderReport, ladder_report
from gridbot.config.loading import load_config
from gridbot.config.models import GridbotConfig
from gridbot.config.paths import find_config
from gridbot.config.setting_warnings import setting_warnings
from supervisor.cli.machine_checks import machine_cautions, machine_failures
from supervisor.cli.options import place_options
from supervisor.exit_codes import ExitCode
from supervisor.store.left_behind import left_behind

__all__ = ["check"]

PIPED_WIDTH = 120


def _pairs(_: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, Decimal]:
    """`NAME=NUMBER` options as a mapping."""
    found: dict[str, Decimal] = {}
    for value in values:
        name, _equals, number = value.partition("=")
        try:
            amount = Decimal(number)
        except InvalidOperation:
            amount = Decimal(0)
        if not name or not amount.is_finite() or amount <= 0:
            raise click.BadParameter(f"expected {parameter.metavar} with a positive number, got {value!r}")
        found[name.strip()] = amount
    return found


@click.command()
@place_options("Data directory to check instead of the file's own.")
@click.option("--price", "prices", multiple=True, metavar="SYMBOL=PRICE", callback=_pairs, help="Price to build at.")
@click.option("--wallet", "wallets", multiple=True, metavar="ACCOUNT=USDT", callback=_pairs, help="Balance to size by.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object.")
def check(
    config: str | None, data_dir: str | None, prices: dict[str, Decimal], wallets: dict[str, Decimal], as_json: bool
) -> None:
    """Read the configuration, check all that can be checked offline, and print every level of every strategy.

    Nothing is started, sent or written. Exit code 0: could start. 4: the file, or a ladder, is wrong. 7: this machine
    is not ready for it (data directory, replay files).
    """
    path = find_config(config)
    try:
        loaded = load_config(path, data_dir=data_dir)
    except ConfigError as error:
        _refuse(error, as_json)
        sys.exit(ExitCode.CONFIG)
    reports = [ladder_report(loaded, strategy, prices, wallets) for strategy in loaded.strategies]
    failures = list(machine_failures(loaded))
    cautions = [*setting_warnings(loaded), *machine_cautions(loaded), *left_behind(loaded)]
    impossible = any(report.problem for report in reports)
    if as_json:
        click.echo(json.dumps(_as_json(path, loaded, reports, failures, cautions), indent=2))
    else:
        _print(path, loaded, reports, failures, cautions)
    sys.exit(ExitCode.CONFIG if impossible else ExitCode.REFUSED if failures else ExitCode.OK)


def _refuse(error: ConfigError, as_json: bool) -> None:
    if as_json:
        problems = [
            {"file": error.file, "line": p.line, "key": p.key, "expected": p.expected, "got": p.got, "do": p.do}
            for p in error.problems
        ]
        click.echo(json.dumps({"ok": False, "config": error.file, "problems": problems}, indent=2))
        return
    click.echo(str(error), err=True)
    count = len(error.problems)
    click.echo(f"{count} problem{'s' if count != 1 else ''}; nothing can start with this file", err=True)


def _as_json(
    path: Path, config: GridbotConfig, reports: list[LadderReport], failures: list[str], cautions: list[str]
) -> dict[str, Any]:
    return {
        "ok": not failures and not any(report.problem for report in reports),
        "config": str(path),
        "data_dir": str(config.storage.data_dir),
        "accounts": [{"name": a.name, "environment": a.environment.value} for a in config.accounts],
        "strategies": [report.as_json() for report in reports],
        "failures": failures,
        "warnings": cautions,
    }


def _print(
    path: Path, config: GridbotConfig, reports: list[LadderReport], failures: list[str], cautions: list[str]
) -> None:
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)
    accounts = ", ".join(f"{account.name} ({account.environment})" for account in config.accounts)
    console.print(Text(f"{path}: {accounts}"))
    console.print(Text(f"data directory: {config.storage.data_dir}"))
    console.print(
        Text("A Buy level opens long and a Sell level short; each also closes the other once there is a position.")
    )
    for report in reports:
        console.print()
        _print_ladder(console, report)
    console.print()
    for caution in cautions:
        console.print(Text(f"warning: {caution}", style="yellow"))
    for failure in [*failures, *(report.problem for report in reports if report.problem)]:
        console.print(Text(f"error: {failure}", style="red"))
    if not failures and not any(report.problem for report in reports):
        count = len(reports)
        console.print(Text(f"ok: {count} strateg{'ies' if count != 1 else 'y'} can start", style="green"))


def _print_ladder(console: Console, report: LadderReport) -> None:
    strategy = report.strategy
    mode = "shadow, sends nothing" if strategy.shadow_mode else report.environment.value
    ladder = f"{report.summary}  amount {strategy.amount}"
    name = (f"{strategy.account}/{strategy.strat_id}", "bold")
    console.print(Text.assemble(name, f"  {strategy.symbol}  {mode}  {ladder}"))
    if report.price is not None:
        tick = f"  tick {report.instrument.tick_size}" if report.instrument else ""
        wallet = f"  wallet {report.wallet} USDT" if report.wallet is not None else ""
        console.print(Text(f"price {report.price} ({report.price_source}){tick}{wallet}"))
    if report.rows:
        console.print(_table(report))
    for total in report.totals:
        share = f", {total.notional / report.wallet:.2f} of the wallet" if report.wallet else ""
        size = f"{total.size} {strategy.symbol.removesuffix('USDT')}"
        orders = f"{total.direction}: {total.orders} opening orders"
        console.print(Text(f"{orders}, {size}, {total.notional:.2f} USDT{share}"))
    for note in report.notes:
        console.print(Text(f"note: {note}"))


def _table(report: LadderReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    priced = any(row.price is not None for row in report.rows)
    for name in ("level", "side", "percent", *(("price", "size", "notional") if priced else ())):
        table.add_column(name, justify="left" if name == "side" else "right", no_wrap=True)
    reasons = any(row.reason for row in report.rows)
    if reasons:
        table.add_column("remark", overflow="fold")
    middle = len(report.rows) // 2
    for index, row in enumerate(report.rows):
        cells = [f"{middle - index:+d}" if index != middle else "0", row.side, f"{row.percent:+.3f}"]
        if priced:
            notional = "" if row.notional is None else f"{row.notional:.2f}"
            cells += [_shown(row.price), _shown(row.size), notional]
        style = {"Buy": "green", "Sell": "red"}.get(row.side, "dim")
        table.add_row(*cells, *([row.reason] if reasons else []), style=style)
    return table


def _shown(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"
