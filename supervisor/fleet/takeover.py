"""What a new holder of an account begins with: the documents that the former one left in the database, as files.

When another host had the account in between, what lies here of an earlier time is set aside as a whole: it is older
than what that host did. The journal stays, for the database; its records have lower numbers than those of this holder
(`first_number`), so nothing is made of them.

Whether what lies here is the newest is not told by the name of the former holder alone: that may be an earlier run of
this host that died before it had put anything in place. So the last holder that began here is written down with it.
It also shows a database that was set back, or is a new one: that grants an epoch again (`SetBack`).

A data directory can be set back, too, to a backup of yesterday or by a disk that lost what it had not synced, within
the time of one holder. Then a document in the database has a higher record number than anything that lies here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from gridbot.atomic_file import write_atomic
from gridbot.lease.record_floor import first_number
from gridbot.private_files import make_directory
from gridbot.records.journal_reader import journal_directory, newest_header
from gridbot.state.brought_state import write_brought
from supervisor.fleet.fleet_store import Document
from supervisor.fleet.lease_types import HostId

__all__ = ["HOLDER", "Begun", "SetBack", "begin_here", "begun_with"]

log = logging.getLogger("supervisor")

HOLDER = "holder.json"
"""In the account's state: the epoch of the holder that began with it last."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The last holder that began with an account's state here: 0 and empty for what is not known."""

    epoch: int = 0
    host: str = ""
    instance: str = ""


class SetBack(Exception):
    """The database grants an epoch that this host has gone by before: it has forgotten what it had granted."""


def begin_here(
    data_dir: Path, me: HostId, account: str, epoch: int, previous: str, documents: Sequence[Document]
) -> None:
    """Make the account's state ready for its holder number `epoch`. Raises OSError, SetBack.

    Nothing changes when nobody else had it: then what lies here is the newest there is. It may be called again after it
    failed half-way.
    """
    state = data_dir / "state" / account
    newest = max((each.epoch for each in documents), default=0)
    begun = begun_with(state)
    if epoch < begun.epoch or (epoch == begun.epoch and begun.instance not in ("", me.instance)):
        raise SetBack(
            f"expected a lease with an epoch above {begun.epoch}, which {account} has had here, got {epoch}:"
            " the fleet's database is a new one or an older copy; stop all hosts, give each of them fleet init, and"
            " start them again (docs/fleet-lost.md)"
        )
    if previous and (previous != me.name or begun.epoch < newest or _was_set_back(data_dir, account, begun, documents)):
        aside = state.with_name(f"{account}.before-{epoch}")
        if state.exists() and not aside.exists():
            state.rename(aside)
            log.info("%s: the fleet has newer state of it; what lay here is set aside as %s", account, aside)
        make_directory(state)
        for each in documents:
            write_brought(state / each.name, each.body, first_number(epoch))
    write_atomic(state / HOLDER, orjson.dumps({"epoch": epoch, "host": me.name, "instance": me.instance}))


def _was_set_back(data_dir: Path, account: str, begun: Begun, documents: Sequence[Document]) -> bool:
    """Whether the holder that began here last has told the database more than files and journal here know of."""
    told = {each.name: _number(each.body) for each in documents if begun.epoch and each.epoch == begun.epoch}
    known = [_number_in(data_dir / "state" / account / name) for name in told]
    if max(told.values(), default=0) <= max(known, default=0):
        return False
    header = newest_header(journal_directory(data_dir, account))
    return max(told.values()) > (0 if header is None else header.seq)


def _number_in(path: Path) -> int:
    try:
        return _number(path.read_bytes())
    except FileNotFoundError:
        return 0


def _number(body: bytes) -> int:
    """The number of a document's record; 0 for none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return 0
    number = found.get("seq") if isinstance(found, dict) else None
    return number if type(number) is int else 0


def begun_with(state: Path) -> Begun:
    """Who began with this state of an account last. Raises OSError."""
    try:
        found = orjson.loads((state / HOLDER).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return Begun()
    epoch = found.get("epoch") if isinstance(found, dict) else None
    return Begun(epoch, str(found.get("host", "")), str(found.get("instance", ""))) if type(epoch) is int else Begun()
