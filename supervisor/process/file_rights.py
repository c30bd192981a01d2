"""Who may read and write what is in the data directory, settled before a child starts.

Everything of ours is for this user alone. What an earlier version made for all to read is tightened; what cannot be is
told. `storage.group` opens the database and the logs, and nothing else, for a group to read: the directory itself and
`logs` get the group and give it to what is made in them.
"""

from __future__ import annotations

import grp
import os
import shlex
import stat
from collections.abc import Iterator
from glob import escape
from pathlib import Path

from gridbot.logging_setup import log_path
from gridbot.private_files import PRIVATE_DIRECTORY, SHARED, SHARED_DIRECTORY, make_directory, open_to_group, tighten
from gridbot.store.reading import database_path
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["settle_rights"]

OURS = ("journal", "state", "logs", "paper*", "*.lock", "*.writer", "exports")
"""In a data directory, beside the database and its copies. What else is there belongs to somebody else."""


def settle_rights(data_dir: Path, group: str | None = None, paper_state: Path | None = None) -> list[str]:
    """Tighten, then open to the group; what an operator has to be told, in words.

    Raises CommandError when there is no such group or it cannot be given the files, OSError when the directory cannot
    be made.
    """
    gid = _gid(group) if group is not None else None
    make_directory(data_dir)
    left = [problem for path in _of_ours(data_dir, paper_state) for problem in tighten(path)]
    if gid is not None:
        try:
            _share(data_dir, gid)
        except OSError as error:
            text = f"expected storage.group to be a group of this user, got {group}: {error}"
            raise CommandError(text, ExitCode.CONFIG) from None
    elif stat.S_IMODE(data_dir.stat().st_mode) == SHARED_DIRECTORY:  # a group had it until now
        data_dir.chmod(PRIVATE_DIRECTORY)
    told = []
    if left:
        told.append(f"others can reach what is private, and that cannot be changed: {'; '.join(left[:5])}")
    if data_dir.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        told.append(
            f"others can replace the files in {data_dir}, and so lift a loss limit: its mode lets them write; "
            f"`chmod go-w {shlex.quote(str(data_dir))}` ends that"
        )
    return told


def _of_ours(data_dir: Path, paper_state: Path | None) -> Iterator[Path]:
    database = database_path(data_dir)
    for pattern in (*OURS, f"{database.stem}*"):
        yield from data_dir.glob(pattern)
    if paper_state is not None:  # it may lie among files that are none of ours
        yield from paper_state.parent.glob(escape(paper_state.name))
        yield from paper_state.parent.glob(f"{escape(paper_state.name)}.*")


def _share(data_dir: Path, gid: int) -> None:
    logs = log_path("", data_dir).parent
    make_directory(logs)
    for directory in (data_dir, logs):
        open_to_group(directory, gid)
    database = database_path(data_dir)
    for path in (database, database.with_name(f"{database.name}.wal"), *logs.iterdir()):
        if path.is_file() and not path.is_symlink():
            os.chown(path, -1, gid)
            path.chmod(SHARED)


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        text = f"expected storage.group to be a group of this machine, got {group}; `getent group` lists them"
        raise CommandError(text, ExitCode.CONFIG) from None
