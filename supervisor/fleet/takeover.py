"""What a new holder of an account begins with: the documents that the former one left in the database, as files.

When another host had the account in between, what lies here of an earlier time is set aside as a whole: it is older
than what that host did. The journal stays, for the database; its records have lower numbers than those of this holder
(`first_number`), so nothing is made of them.

Whether what lies here is the newest is not told by the name of the former holder alone: that may be an earlier run of
this host that died before it had put anything in place. So the last holder that began here is written down with it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import orjson

from gridbot.atomic_file import write_atomic
from gridbot.lease.record_floor import first_number
from gridbot.private_files import make_directory
from gridbot.state.brought_state import write_brought
from supervisor.fleet.fleet_store import Document

__all__ = ["begin_here"]

log = logging.getLogger("supervisor")

HOLDER = "holder.json"
"""In the account's state: the epoch of the holder that began with it last."""


def begin_here(data_dir: Path, me: str, account: str, epoch: int, previous: str, documents: Sequence[Document]) -> None:
    """Make the account's state ready for its holder number `epoch`. Raises OSError.

    Nothing changes when nobody else had it: then what lies here is the newest there is. It may be called again after it
    failed half-way.
    """
    state = data_dir / "state" / account
    newest = max((each.epoch for each in documents), default=0)
    if previous and (previous != me or _begun(state) < newest):
        aside = state.with_name(f"{account}.before-{epoch}")
        if state.exists() and not aside.exists():
            state.rename(aside)
            log.info("%s: another host had it meanwhile; what lay here is set aside as %s", account, aside)
        make_directory(state)
        for each in documents:
            write_brought(state / each.name, each.body, first_number(epoch))
    write_atomic(state / HOLDER, orjson.dumps({"epoch": epoch}))


def _begun(state: Path) -> int:
    """The last holder that began with this state; 0 when that is not known."""
    try:
        found = orjson.loads((state / HOLDER).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return 0
    epoch = found.get("epoch") if isinstance(found, dict) else None
    return epoch if isinstance(epoch, int) else 0
