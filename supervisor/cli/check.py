"""`gridbot-supervisor check`: everything about a configuration that can be known without starting or connecting."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from gridbot.command_line import pasteable
from gridbot.commands.wording import closest
from gridbot.config.cap_warnings import cap_warnings, dead_man_warnings
from gridbot.config.errors import ConfigError
from gridbot.config.ladder_report import LadderReport, ladder_report
from gridbot.config.ladder_warnings import ladder_warnings
from gridbot.config.layers import layer_warnings
from gridbot.config.loading import load_file
from gridbot.config.models import GridbotConfig
from gridbot.config.paths import find_config
from gridbot.config.route_warnings import route_warnings
from gridbot.config.secret_files import secret_file_warnings
from gridbot.config.setting_warnings import setting_warnings
from gridbot.core.strict_numbers import amount_or_none
from supervisor.cli.ladder_text import ladder_lines
from supervisor.cli.machine_checks import machine_cautions, machine_failures
from supervisor.cli.options import example, place_options
from supervisor.cli.sentence_lines import wrapped
from supervisor.exit_codes import ExitCode
from supervisor.status.screen_width import screen_width
from supervisor.store.left_behind import left_behind

__all__ = ["check"]


def _pairs(_: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, Decimal]:
    """`NAME=NUMBER` options as a mapping."""
    found: dict[str, Decimal] = {}
    for value in values:
        name, _equals, number = value.partition("=")
        amount = amount_or_none(number)
        if not name or not amount:
            raise click.BadParameter(f"expected {parameter.metavar} with a positive number, got {value!r}")
        found[name.strip()] = amount
    return found


@click.command(epilog=example("check -c conf/gridbot.yaml --price BTCUSDT=60000"))
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
        file = load_file(path, data_dir=data_dir)
    except ConfigError as error:
        _refuse(error, as_json)
        sys.exit(ExitCode.CONFIG)
    loaded = file.config
    _require_known("--price", prices, {strategy.symbol for strategy in loaded.strategies}, "a symbol")
    _require_known("--wallet", wallets, {account.name for account in loaded.accounts}, "an account")
    reports = [ladder_report(loaded, strategy, prices, wallets) for strategy in loaded.strategies]
    failures = list(machine_failures(loaded))
    cautions = [
        *layer_warnings(file.written),
        *secret_file_warnings(file, path),
        *setting_warnings(loaded),
        *ladder_warnings(reports),
        *cap_warnings(loaded, reports),
        *route_warnings(loaded),
        *dead_man_warnings(loaded),
        *machine_cautions(loaded),
        *left_behind(loaded),
    ]
    impossible = any(report.problem for report in reports)
    if as_json:
        click.echo(json.dumps(_as_json(path, loaded, reports, failures, cautions), indent=2))
    else:
        _print(path, loaded, reports, failures, cautions)
    sys.exit(ExitCode.CONFIG if impossible else ExitCode.REFUSED if failures else ExitCode.OK)


def _require_known(option: str, named: Mapping[str, Decimal], known: Collection[str], what: str) -> None:
    """A name that the file does not have is a mistake of the command line."""
    for name in named:
        if name not in known:
            meant = closest(name, sorted(known))
            hint = f"; did you mean {meant}?" if meant else ""
            raise click.UsageError(f"{option}: expected {what} of the configuration, got {name!r}{hint}")


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


def _of_host(path: Path, config: GridbotConfig) -> str:
    """Its accounts are not in its file, and this command asks no database."""
    return (
        f"host {config.fleet.host} of fleet {config.fleet.name}. Accounts and strategies are in the fleet's database, "
        f"and were checked when they were pushed: `{pasteable('fleet config show', config=path)}` prints them, "
        f"`{pasteable('doctor', config=path)}` looks at them from here"
    )


def _print(
    path: Path, config: GridbotConfig, reports: list[LadderReport], failures: list[str], cautions: list[str]
) -> None:
    width = screen_width()
    accounts = ", ".join(f"{account.name} ({account.environment})" for account in config.accounts)
    lines = [
        *wrapped(f"{path}: {_of_host(path, config) if config.fleet.is_host else accounts}", width),
        *wrapped(f"data directory: {config.storage.data_dir}", width),
    ]
    if reports:
        lines += wrapped(
            "A Buy level opens long and a Sell level short; each also closes the other once there is a position.", width
        )
    for report in reports:
        lines += ["", *_report_lines(report, width)]
    problems = [*failures, *(report.problem for report in reports if report.problem)]
    lines.append("")
    lines += [click.style(line, fg="yellow") for text in cautions for line in wrapped(f"warning: {text}", width)]
    lines += [click.style(line, fg="red") for text in problems for line in wrapped(f"error: {text}", width)]
    if not problems and config.fleet.is_host and not reports:
        lines.append(click.style("ok: the host can start", fg="green"))
    elif not problems:
        count = len(reports)
        warned = f"; {_count(len(cautions), 'warning')} above" if cautions else ""
        text = f"ok: {count} strateg{'ies' if count != 1 else 'y'} can start{warned}"
        lines.append(click.style(text, fg="yellow" if cautions else "green"))
    click.echo("\n".join(lines))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _report_lines(report: LadderReport, width: int) -> Iterator[str]:
    strategy = report.strategy
    mode = "shadow, sends nothing" if strategy.shadow_mode else report.environment.value
    name = f"{strategy.account}/{strategy.strat_id}"
    first, *more = wrapped(f"{name}  {strategy.symbol}  {mode}  {report.summary}  amount {strategy.amount}", width)
    yield click.style(name, bold=True) + first.removeprefix(name) if first.startswith(name) else first
    yield from more
    if report.price is not None:
        tick = f"  tick {report.instrument.tick_size:f}" if report.instrument else ""
        wallet = f"  wallet {report.wallet:f} USDT" if report.wallet is not None else ""
        yield from wrapped(f"price {report.price:f} ({report.price_source}){tick}{wallet}", width)
    if report.rows:
        yield from ladder_lines(report, width)
    for total in report.totals:
        share = f", {total.notional / report.wallet:.2f} of the wallet" if report.wallet else ""
        size = f"{total.size:f} {strategy.symbol.removesuffix('USDT')}"
        orders = f"{total.direction}: {total.orders} opening orders"
        yield from wrapped(f"{orders}, {size}, {total.notional:.2f} USDT{share}", width)
    for note in report.notes:
        yield from wrapped(f"note: {note}", width)
