"""`gridbot-supervisor init`: a few questions, or flags, and a first configuration file that `check` accepts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gridbot.command_line import pasteable
from gridbot.core.strict_numbers import amount_or_none, whole_or_none
from gridbot.doors.plain_text import printable
from gridbot.exchange.environment import Environment
from supervisor.cli.options import example, place_options
from supervisor.cli.plain_output import print_json, print_lines
from supervisor.exit_codes import WRITABLE_HINT, CommandError, ExitCode

if TYPE_CHECKING:
    from gridbot.config.first_answers import Answers, Draft

__all__ = ["init"]

FORMAT: Final = 1
REAL_MONEY: Final = "real money"
KEYS: Final = ("variables", "files")
QUESTIONS: Final = {
    "environment": "Where to trade: paper (built in, no keys), demo, testnet, or mainnet (real money)",
    "real_money": f"Type '{REAL_MONEY}' to send orders with it; Enter only watches and sends nothing",
    "symbol": "What to trade, a USDT perpetual",
    "price": "What it costs now, about (USDT)",
    "wallet": "Money in the account (USDT)",
    "levels": "Levels of the grid, half above the price and half below",
    "step": "Percent between two levels (two fees cost 0.04)",
    "amount": "Each order: USDT, x0.05 of the wallet, or q0.01 coins",
    "keys": "Where keys are: in environment variables, or in files that variables name",
}
"""By the field of `Answers`, in their order."""


@click.command(epilog=example("init conf/gridbot.yaml"))
@place_options("Data directory that the file is to name [default: data-NAME by the file's name].")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--environment", metavar="WHERE", help="paper, demo, testnet or mainnet [default: paper].")
@click.option("--real-money", is_flag=True, help="On mainnet: send orders. Without it the grid only watches.")
@click.option("--account", metavar="NAME", help="Name of the account [default: main].")
@click.option("--symbol", help="USDT perpetual [default: BTCUSDT].")
@click.option("--price", metavar="USDT", help="What it costs, about, to work out sizes; it is not written.")
@click.option("--wallet", metavar="USDT", help="Money in the account; only on paper it is written.")
@click.option("--levels", metavar="NUMBER", help="Levels of the grid [default: 20, fewer for a small wallet].")
@click.option("--step", metavar="PERCENT", help="Percent between levels [default: 0.2].")
@click.option("--amount", metavar="SIZE", help="Of an order: USDT, x0.05 of the wallet, or q0.01 coins.")
@click.option("--keys", metavar="WAY", help="variables or files: what is said about keys [default: variables].")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: take the proposal for what no option says.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="What was written, and what to do next, as JSON.")
def init(
    config: str | None, data_dir: str | None, file: str | None, yes: bool, force: bool, as_json: bool, **given: Any
) -> None:
    """Ask a few questions and write a first configuration file, with a remark at each key.

    Options answer questions before they are asked; without a terminal nothing is asked. No secret is asked for or
    written: the file names variables. FILE: that of -c, else conf/gridbot.yaml. Exit code 7: the file is there.
    """
    from gridbot.config.first_text import text_of_draft

    path = _place(file or config)
    if path.exists() and not force:
        _refuse_existing(path)
    if not path.parent.is_dir():
        raise click.UsageError(
            f"expected a directory that is there, got {printable(str(path.parent))!r}; make it first"
        )
    ask = not yes and sys.stdin.isatty()
    draft = _interview(path, data_dir, {name: value for name, value in given.items() if value}, ask=ask)
    _write(path, text_of_draft(draft, _next(path)), force=force)
    if as_json:
        print_json(_document(draft, path))
    else:
        print_lines(_told(draft, path))


def _place(named: str | None) -> Path:
    if named:
        return Path(named)
    return Path("conf/gridbot.yaml") if Path("conf").is_dir() else Path("gridbot.yaml")


def _interview(path: Path, data_dir: str | None, given: Mapping[str, Any], *, ask: bool) -> Draft:
    """The answers, each checked as soon as it is there. Raises UsageError for options that are wrong or missing."""
    from gridbot.config.first_answers import Answers
    from gridbot.config.first_file import draft_of

    home = f"data-{path.stem}" if data_dir is None else os.path.abspath(data_dir)
    answers = _with(Answers(), "data_dir", home, path)
    if "account" in given:
        answers = _option(answers, "account", given, path)
    missing: list[str] = []
    for name, question in QUESTIONS.items():
        if name in given:
            answers = _option(answers, name, given, path)
        elif not _matters(name, answers):
            continue
        elif ask:
            answers = _asked(answers, name, question, path)
        elif _proposed(answers, name, path) is None:
            missing.append(f"--{name}")
    if missing:
        listed = " and ".join(missing)
        raise click.UsageError(f"expected {listed}, got nothing, and there is no terminal to ask at; name {listed}")
    return draft_of(answers, path)


def _matters(name: str, answers: Answers) -> bool:
    """Whether a question is worth asking after those before it."""
    if name == "real_money":
        return answers.environment is Environment.MAINNET
    return name not in ("keys", "price") or answers.environment is not Environment.PAPER


def _proposed(answers: Answers, name: str, path: Path) -> str | None:
    """What is taken when nobody says anything; None when that has to be said."""
    from gridbot.config.first_answers import known_price
    from gridbot.config.first_file import completed

    if name in ("environment", "symbol", "keys"):
        return str(getattr(answers, name))
    if name == "real_money":
        return ""
    if name == "price":
        price = known_price(answers.symbol)
        return None if price is None else f"{price:f}"
    value = getattr(completed(answers, path), name)
    return None if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


def _asked(answers: Answers, name: str, question: str, path: Path) -> Answers:
    proposal = _proposed(answers, name, path)
    found: Answers = click.prompt(
        question,
        default=proposal,
        show_default=bool(proposal),
        value_proc=lambda text: _with(answers, name, text, path),
        err=True,
    )
    return found


def _option(answers: Answers, name: str, given: Mapping[str, Any], path: Path) -> Answers:
    """The answers with what an option says. Raises BadParameter."""
    value = REAL_MONEY if name == "real_money" else str(given[name])
    try:
        return _with(answers, name, value, path)
    except click.BadParameter as error:
        raise click.UsageError(f"--{name.replace('_', '-')}: {error.message}") from None


def _with(answers: Answers, name: str, text: str, path: Path) -> Answers:
    """The answers with one more. Raises BadParameter with what is wrong with it."""
    from gridbot.config.first_file import fault_of

    changed = replace(answers, **{name: READ.get(name, str)(str(text).strip())})
    if (fault := fault_of(changed, path)) is not None:
        raise click.BadParameter(printable(fault))
    return changed


def _of_type(name: str, text: str) -> str:
    """What a type of `gridbot.config.fields` takes: what it does not take must not become YAML of ours."""
    from pydantic import TypeAdapter, ValidationError

    from gridbot.config import fields

    try:
        return str(TypeAdapter[str](getattr(fields, name)).validate_python(text))
    except ValidationError as error:
        said = error.errors(include_url=False)[0].get("ctx", {})
        raise click.BadParameter(f"expected {said.get('what')}, got `{text[:40]}`; {said.get('do')}") from None


def _number(text: str) -> Decimal:
    number = amount_or_none(text)
    if not number:
        raise click.BadParameter(f"expected a number above zero, got {text[:40]!r}; write digits with a point")
    return number


def _levels(text: str) -> int:
    number = whole_or_none(text)
    if number is None:
        raise click.BadParameter(f"expected a whole number, got {text[:40]!r}; write digits only")
    return number


def _environment(text: str) -> Environment:
    try:
        return Environment(text.lower())
    except ValueError:
        raise click.BadParameter(f"expected paper, demo, testnet or mainnet, got {text[:40]!r}; choose one") from None


def _real_money(text: str) -> bool:
    if text.lower() not in ("", REAL_MONEY):
        raise click.BadParameter(f"expected '{REAL_MONEY}' or nothing, got {text[:40]!r}; write one of them")
    return bool(text)


def _keys(text: str) -> Any:
    from gridbot.config.first_answers import KeysBy

    if text not in KEYS:
        raise click.BadParameter(f"expected {' or '.join(KEYS)}, got {text[:40]!r}; never write a key itself")
    return KeysBy(text)


READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "environment": _environment,
    "real_money": _real_money,
    "account": lambda text: _of_type("Name", text),
    "symbol": lambda text: _of_type("Symbol", text.upper()),
    "price": _number,
    "wallet": _number,
    "levels": _levels,
    "step": _number,
    "amount": lambda text: _of_type("Amount", text),
    "keys": _keys,
}


def _write(path: Path, text: str, *, force: bool) -> None:
    """The whole file or none, for its user alone. Raises CommandError."""
    from gridbot.atomic_file import write_atomic
    from gridbot.private_files import open_private

    try:
        if force:
            write_atomic(Path(os.path.realpath(path)), text.encode())  # a link keeps leading to it
            return
        with open_private(path, "x") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        _refuse_existing(path)
    except OSError as error:
        got = printable(f"{error.strerror or error} at {path}")
        text = f"expected a file that can be written, got: {got}; {WRITABLE_HINT}"
        raise CommandError(text, ExitCode.REFUSED) from None


def _refuse_existing(path: Path) -> None:
    name = printable(str(path))
    text = f"expected a name that no file has, got {name}, which is there; choose another, or say --force to replace it"
    raise CommandError(text, ExitCode.REFUSED)


def _exports(draft: Draft) -> list[str]:
    """The lines of a shell that give the process its keys."""
    from gridbot.config.first_answers import KeysBy, variables

    files = draft.answers.keys is KeysBy.FILES
    return [
        f"export {name}_FILE=/path/of/its/file" if files else f"export {name}=..." for name in variables(draft.answers)
    ]


def _next(path: Path) -> list[str]:
    return [pasteable(words, config=path) for words in ("check", "doctor", "start --detach")]


def _document(draft: Draft, path: Path) -> dict[str, Any]:
    answers = draft.answers
    return {
        "format": FORMAT,
        "file": str(path),
        "environment": answers.environment.value,
        "account": answers.account,
        "strategy": answers.strategy,
        "sends_orders": not answers.watches,
        "warnings": list(draft.warnings),
        "set_first": _exports(draft),
        "next": _next(path),
    }


def _told(draft: Draft, path: Path) -> list[str]:
    answers = draft.answers
    orders = f"{answers.levels} levels {answers.step} % apart, {answers.amount} an order"
    lines = [f"wrote {path}: {answers.account} on {answers.environment}, {answers.symbol}, {orders}"]
    for total in draft.report.totals if draft.report else ():
        lines.append(
            f"{total.direction}: {total.orders} opening orders, worth {total.notional:.2f} USDT when all have filled"
        )
    if answers.watches:
        lines.append("it watches (shadow_mode: true): nothing is sent until that line says false")
    lines += [f"warning: {warning}" for warning in draft.warnings]
    if exports := _exports(draft):
        lines += ["set its keys where you start it; they stand in no file of ours:", *(f"  {line}" for line in exports)]
    return [*lines, "next:", *(f"  {line}" for line in _next(path))]
