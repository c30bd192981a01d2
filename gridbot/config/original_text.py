"""The text of the file that `config migrate` writes, with comments. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gridbot.config.original_keys import Fate
from gridbot.config.original_migration import Finding, Migration, NewAccount, NewStrategy
from gridbot.doors.plain_text import one_line

__all__ = ["text_of_file", "told_together"]

_PLAIN = re.compile(r"[A-Za-z0-9$.][A-Za-z0-9_.${}-]*\Z")
_NULL = frozenset({"null", "Null", "NULL"})
COLUMN: Final = 40
"""Where comments behind values begin, as far as there is room."""
TOLD: Final = (Fate.DIFFERS, Fate.NO_EQUAL, Fate.IGNORED)


def text_of_file(migration: Migration, source: str, home: str = "data-gridbot") -> str:
    """The new file, with a data directory of its own: `home`, apart from the records of the demo.

    `source` is the name of the old one. Of no use when the migration has problems.
    """
    return "\n".join([*_lines(migration, source), "", f"storage: {{data_dir: {json.dumps(home)}}}", ""])


def told_together(findings: Sequence[Finding]) -> list[tuple[Finding, list[str]]]:
    """Findings that say the same once, with where they hold: what differs first, what is the same last."""
    found: dict[tuple[object, ...], tuple[Finding, list[str]]] = {}
    for finding in findings:
        same = (finding.key, finding.old, finding.given, finding.outcome)
        found.setdefault(same, (finding, []))[1].append(finding.where)
    order = list(Fate)
    return sorted(found.values(), key=lambda each: (order.index(each[0].outcome.fate), not each[0].given))


def _lines(migration: Migration, source: str) -> Iterator[str]:
    yield f"# Made from {one_line(source, 80)} by config migrate. What has no equal here is told in comments;"
    yield "# docs/configuration.md has every key. Have it checked before you start."
    yield ""
    real = [account.name for account in migration.accounts if account.keys.get("environment") == "mainnet"]
    if real:
        yield f"# Real money: {', '.join(real)}. Nothing starts until you set this to true."
        yield "allow_mainnet: false"
        yield ""
    yield from _about(migration, "the file", "")
    for key, value in migration.root.items():
        yield f"{key}: {_scalar(value)}"
    yield ""
    yield "accounts:"
    for account in migration.accounts:
        yield from _account(migration, account)
    yield "" if migration.strategies else "strategies: []"
    if migration.strategies:
        yield "strategies:"
    for strategy in migration.strategies:
        yield from _strategy(migration, strategy)


def _account(migration: Migration, account: NewAccount) -> Iterator[str]:
    yield from _entry(account.keys, "name")
    if account.loss_limit:
        yield "    caps:"
        yield _behind(f"      session_loss_limit: {_scalar(account.loss_limit)}", "of the account")
    yield from _about(migration, account.name, "    ", own=("name", "api_key", "api_secret", "testnet"))


def _strategy(migration: Migration, strategy: NewStrategy) -> Iterator[str]:
    yield from _entry(strategy.keys, "strat_id")
    if strategy.caps:
        yield "    caps:"
        for key, value in strategy.caps.items():
            yield f"      {key}: {value}"  # made by us: a number, `off` or `null`
    yield from _about(migration, strategy.strat_id, "    ")


def _entry(keys: Mapping[str, str], first: str) -> Iterator[str]:
    yield f"  - {first}: {_scalar(keys[first])}"
    for key, value in keys.items():
        if key != first:
            yield f"    {key}: {_scalar(value)}"


def _about(migration: Migration, where: str, indent: str, own: Sequence[str] = ()) -> Iterator[str]:
    """Comments about the keys that the old file had here and that are not simply taken over."""
    for finding in migration.findings:
        outcome = finding.outcome
        is_here = finding.where == where and (not own or finding.key in own or outcome.fate is Fate.IGNORED)
        if is_here and finding.given and outcome.fate in TOLD:
            ours = f" -> {outcome.ours}" if outcome.ours else ""
            yield f"{indent}# {finding.key}: {finding.old}{ours}: {outcome.fate}: {outcome.note}"


def _behind(line: str, comment: str) -> str:
    return f"{line.ljust(COLUMN)}  # {comment}"


def _scalar(text: str) -> str:
    return text if _PLAIN.match(text) and text not in _NULL else json.dumps(text)
