"""`gridbot-supervisor config migrate`: a file of ours from the original bot's YAML, and what has no equal here."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gridbot.command_line import pasteable
from gridbot.config.errors import ConfigError, Problem
from gridbot.config.paths import text_of
from gridbot.doors.plain_text import printable
from gridbot.private_files import open_private
from supervisor.cli.options import example, place_options
from supervisor.cli.sentence_lines import wrapped
from supervisor.exit_codes import CommandError, ExitCode, unwritable
from supervisor.status.screen_width import screen_width

if TYPE_CHECKING:
    from gridbot.config.original_migration import Finding, Migration

__all__ = ["migrate"]

PLACEHOLDER: Final = "set-later"


@click.command(epilog=example("config migrate old/gridbot.yaml -o conf/gridbot.yaml"))
@place_options("Not needed: nothing runs.")
@click.argument("old", type=click.Path(path_type=Path), metavar="OLD.yaml")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="NEW.yaml", help="Write the new file here.")
@click.option("--json", "as_json", is_flag=True, help="The same as one JSON object, with the text of the new file.")
def migrate(config: str | None, data_dir: str | None, old: Path, out: Path | None, as_json: bool) -> None:
    """Make a file of ours from the original bot's YAML, and say what becomes of each of its keys.

    Secrets are not copied: the new file names variables. Nothing is written without -o, and no file is replaced. Exit
    code 0: the new file passes `check` once its variables are set. 4: the old file is not one that the original would
    start with. 7: NEW.yaml is there already. 8: something is left to do in the new file, and the text says what.
    """
    from gridbot.config.original_migration import migrated
    from gridbot.config.original_text import text_of_file
    from gridbot.config.yaml_nodes import read_document

    try:
        migration = migrated(read_document(text_of(old), os.environ))
        if migration.problems:
            raise ConfigError(str(old), migration.problems)
    except ConfigError as error:
        _refuse(error, as_json=as_json)
        sys.exit(ExitCode.CONFIG)
    text = text_of_file(migration, old.name, f"data-{(out or old).stem}")
    left = _left_to_do(text, migration)
    if out is not None:
        _write(out, text)
    if as_json:
        click.echo(json.dumps(_document(old, out, text, migration, left), indent=2))
    else:
        click.echo("\n".join(_told(old, out, migration, left)))
    sys.exit(ExitCode.DIFFERS if left else ExitCode.OK)


def _left_to_do(text: str, migration: Migration) -> list[Problem]:
    """What `check` would say of the new file once its variables are set."""
    from gridbot.config.loading import load_config

    environ = {**{name: f"{PLACEHOLDER}-{name}" for name in migration.variables}, **os.environ}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gridbot.yaml"
        with open_private(path, "x") as file:
            file.write(text)
        try:
            load_config(path, environ=environ)
        except ConfigError as error:
            return error.problems
    return []


def _write(path: Path, text: str) -> None:
    try:
        with open_private(path, "x") as file:
            file.write(text)
    except FileExistsError:
        there = f"expected a name that no file has, got {printable(str(path))}, which is there; choose another"
        raise CommandError(there, ExitCode.REFUSED) from None
    except OSError as error:
        raise unwritable(error) from None


def _refuse(error: ConfigError, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"ok": False, "old": error.file, "problems": _rows(error.problems)}, indent=2))
        return
    click.echo(str(error), err=True)
    click.echo("nothing is written: correct what is named, or name the original bot's own file", err=True)


def _rows(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    return [{"line": p.line, "key": p.key, "expected": p.expected, "got": p.got, "do": p.do} for p in problems]


def _unset(migration: Migration) -> list[str]:
    return [name for name in migration.variables if not (os.environ.get(name) or os.environ.get(f"{name}_FILE"))]


def _document(old: Path, out: Path | None, text: str, migration: Migration, left: list[Problem]) -> Mapping[str, Any]:
    return {
        "ok": not left,
        "old": str(old),
        "new": None if out is None else str(out),
        "text": text,
        "keys": [_row(finding) for finding in migration.findings],
        "variables": migration.variables,
        "variables_to_set": _unset(migration),
        "plain_secrets": migration.plain_secrets,
        "problems": _rows(left),
    }


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "key": finding.key,
        "where": finding.where,
        "value": finding.old,
        "given": finding.given,
        "becomes": str(finding.outcome.fate),
        "ours": finding.outcome.ours,
        "written": finding.outcome.written,
        "note": finding.outcome.note,
    }


def _told(old: Path, out: Path | None, migration: Migration, left: list[Problem]) -> list[str]:
    width = screen_width()
    lines = [*_table(migration, width), ""]
    for secret in migration.plain_secrets:
        lines += wrapped(f"warning: {old} spells out {secret}; delete that file when you are done, or its key", width)
    unset = _unset(migration)
    if unset:
        lines += wrapped(f"set before you start: {', '.join(unset)} (or NAME_FILE, a file with the value)", width)
    for problem in left:
        text = f"{problem.key}: expected {problem.expected}, got {problem.got}; {problem.do}"
        lines += wrapped(f"left to do: {text}", width)
    accounts, grids = len(migration.accounts), len(migration.strategies)
    counts = f"{accounts} account{'' if accounts == 1 else 's'}, {grids} strateg{'y' if grids == 1 else 'ies'}"
    if out is None:
        return [*lines, *wrapped(f"{counts}; nothing is written: -o NEW.yaml writes the new file", width)]
    then = pasteable("check", config=str(out))
    return [*lines, *wrapped(f"{counts}; written: {out}; next `{then}`", width)]


def _table(migration: Migration, width: int) -> list[str]:
    """Each old key, in blocks by what becomes of it; keys that the file does not have in brackets."""
    from gridbot.config.original_text import told_together

    lines: list[str] = []
    block, rows = None, dict[tuple[object, ...], tuple[str, list[str]]]()
    for finding, where in told_together(migration.findings):
        outcome = finding.outcome
        value = f": {finding.old}" if finding.old else ""
        written = f" = {outcome.written}" if outcome.written else ""
        to = f" -> {outcome.ours}{written}" if outcome.ours else ""
        places = f" ({', '.join(where)})" if where != ["the file"] else ""
        tail = f"{to}{places}{f'; {outcome.note}' if outcome.note else ''}"
        alone = finding.key if finding.given else ""
        rows.setdefault((outcome.fate, finding.given, alone, tail), (tail, []))[1].append(f"{finding.key}{value}")
    for (fate, given, _, _), (tail, keys) in rows.items():
        if fate is not block:
            block = fate
            lines += [*([""] if lines else []), click.style(str(fate), bold=True)]
        names = ", ".join(keys)
        lines += wrapped(f"  {names if given else f'[{names}]'}{tail}", width)
    return lines
