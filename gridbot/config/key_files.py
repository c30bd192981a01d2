"""`api_key_file` and `api_secret_file` of an account: the key is read from the file that they name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from gridbot.config.errors import Loc, Problem
from gridbot.config.paths import path_fault, placed
from gridbot.config.variables import value_of_file

__all__ = ["KEY_FILES", "UNREAD", "with_key_files"]

KEY_FILES: Final = MappingProxyType({"api_key_file": "api_key", "api_secret_file": "api_secret"})
"""By the key that names a file: the one whose value is in it."""
UNREAD: Final = "unread-"
"""Begins what stands for a value that could not be read, one of each account: nobody says as well that it is missing,
or that two accounts have the same."""


def with_key_files(data: dict[str, Any], root: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The raw data with what the files have. A relative path starts from `root`."""
    problems: list[Problem] = []
    if not isinstance(accounts := data.get("accounts"), list):
        return data, problems
    filled = [
        _filled(account, ("accounts", index), root, problems) if isinstance(account, dict) else account
        for index, account in enumerate(accounts)
    ]
    return {**data, "accounts": filled}, problems


def _filled(account: Mapping[str, Any], loc: Loc, root: Path, problems: list[Problem]) -> dict[str, Any]:
    filled = dict(account)
    for named, key in KEY_FILES.items():
        path = account.get(named)
        if path is None:
            continue
        place = (*loc, named)
        filled[key], problem = _read(path, account.get(key), place, key, root)
        if problem is not None:
            problems.append(problem)
            filled[named] = None
        else:
            filled[named] = str(placed(root, path))
    return filled


def _read(path: object, beside: object, place: Loc, key: str, root: Path) -> tuple[str, Problem | None]:
    unread = f"{UNREAD}{place[1]}"
    if beside:
        return unread, Problem(place, f"`{key}` or `{place[-1]}`", "both", "remove one of the two")
    if not isinstance(path, str) or not path:
        return unread, Problem(place, "the path of a file", "something else", "name the file that has the value")
    if (fault := path_fault(path)) is not None:
        return unread, Problem(place, fault[0], "another text", fault[1])
    value, why = value_of_file(str(placed(root, path)))
    if not value:
        do = "write the value into it, for your user alone (chmod 600), or name another file"
        return unread, Problem(place, f"a file with the value of `{key}`", why, do)
    return value, None
