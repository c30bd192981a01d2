"""`keyring: true` of an account: key and secret are those of the system keyring. One question for all accounts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gridbot.command_line import pasteable
from gridbot.config.errors import Loc, Problem
from gridbot.config.key_files import UNREAD
from gridbot.config.system_keyring import PARTS, Answer, Trouble, ask_keyring, entries_of
from gridbot.exchange.environment import Environment

__all__ = ["asks_keyring", "with_keyring"]

_TRUE: Final = frozenset({"true", "yes", "on", "1"})


def asks_keyring(account: object) -> bool:
    """Whether an account, as it is written, takes key and secret from the keyring. One on paper needs neither."""
    if not isinstance(account, Mapping) or account.get("environment") == Environment.PAPER.value:
        return False
    return str(account.get("keyring")).lower() in _TRUE and bool(account.get("name"))


def with_keyring(
    data: dict[str, Any], file: Path, environ: Mapping[str, str], before: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """The raw data with what the keyring has. `before`: the same before files of keys were read."""
    accounts = data.get("accounts")
    asking = [i for i, account in enumerate(accounts) if asks_keyring(account)] if isinstance(accounts, list) else []
    if not asking or not isinstance(accounts, list):
        return data, []
    problems: list[Problem] = []
    filled, alone = list(accounts), list[int]()
    for index in asking:
        written = before["accounts"][index]
        beside = next((key for part in PARTS for key in (part, f"{part}_file") if written.get(key)), "")
        unread = dict.fromkeys(PARTS, f"{UNREAD}{index}")
        filled[index] = {**filled[index], **{part: filled[index].get(part) or unread[part] for part in PARTS}}
        if beside:
            problems.append(Problem(_at(index), f"`keyring` or `{beside}`", "both", "remove one of the two"))
        else:
            alone.append(index)
    try:
        names = [name for index in alone for name in entries_of(str(accounts[index]["name"]))]
        answer = ask_keyring("get", names, environ) if alone else Answer("", ())
    except Trouble as why:
        problems.append(Problem(_at(alone[0]), why.expected, why.got, why.do))
        return {**data, "accounts": filled}, problems
    for index, key, secret in zip(alone, answer.values[::2], answer.values[1::2], strict=True):
        found = dict(zip(PARTS, (key.strip(), secret.strip()), strict=True))
        if missing := [part for part, value in found.items() if not value]:
            name = str(accounts[index]["name"])
            what = f"key and secret of account {name} in the system keyring ({answer.backend})"
            do = f"store both: {pasteable(f'secret set {name}', config=file)}"
            problems.append(Problem(_at(index), what, f"no {' and no '.join(missing)}", do))
        filled[index] = {**filled[index], **{part: value for part, value in found.items() if value}}
    return {**data, "accounts": filled}, problems


def _at(index: int) -> Loc:
    return ("accounts", index, "keyring")
