"""Warnings on files with secrets in them that others of this machine can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gridbot.config.fleet_models import FleetConfig
from gridbot.config.loading import LoadedFile
from gridbot.config.variables import variables_in
from gridbot.doors.plain_text import one_line

__all__ = ["open_to_others", "secret_file_warnings"]

SHORTEST: Final = 8
"""Characters of a secret that is looked for in the text of the configuration file."""
ROOT: Final = 0


def secret_file_warnings(file: LoadedFile, path: Path, environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """One sentence for each such file: the configuration with a secret written into it, files of keys, NAME_FILE.

    `path` is the configuration's own.
    """
    for named, what in _files(file, path, environ):
        if who := open_to_others(named):
            yield f"{what}, {one_line(str(named))}: {who} can read or change it; chmod 600 {one_line(str(named))}"


def open_to_others(path: Path) -> str:
    """Who else can read or change a file, in words; "" when nobody can, and when it is not there.

    A directory that they cannot enter keeps them out. What root and its group may says nothing, since root may all:
    the group of a file that systemd hands over is root's.
    """
    try:
        found = path.stat()
        above = [parent.stat().st_mode for parent in path.resolve().parents]
    except OSError:
        return ""
    if all(mode & stat.S_IXOTH for mode in above) and found.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return "every user of this machine"
    may_enter = all(mode & (stat.S_IXGRP | stat.S_IXOTH) for mode in above)
    if may_enter and found.st_gid != ROOT and found.st_mode & (stat.S_IRGRP | stat.S_IWGRP):
        return f"the group {_group_name(found.st_gid)}"
    return ""


def _group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _files(file: LoadedFile, path: Path, environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    texts = (*file.written.document.raw.values(), *file.written.filled.values())
    secrets = [secret for secret in file.config.secrets() if len(secret) >= SHORTEST]
    if any(secret in text for text in texts for secret in secrets):
        yield path, "the configuration has secrets written into it"
    for name in dict.fromkeys(name for text in texts for name in variables_in(text)):
        if name not in environ and (named := environ.get(f"{name}_FILE")):
            yield Path(named), f"the file that {name}_FILE names"
    for account in file.config.accounts:
        for key in ("api_key_file", "api_secret_file"):
            if (named_file := getattr(account, key)) is not None:
                yield named_file, f"{key} of account {account.name}"
    for key in ("tls_key", "metrics_token_file"):
        if (named_file := getattr(file.config.web, key)) is not None:
            yield named_file, f"web.{key}"
    yield from _of_host(file.config.fleet)


def _of_host(fleet: FleetConfig) -> Iterator[tuple[Path, str]]:
    """What a host of a fleet reads beside its file: the database's DSN, the seed of paper accounts, keys."""
    for key in ("dsn_file", "paper_seed_file"):
        if fleet.is_host and (named := getattr(fleet, key)) is not None:
            yield named, f"fleet.{key}"
