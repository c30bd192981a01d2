"""What a new holder of an account begins with: the documents that the former one left in the database, as files.

When another host had the account in between, what lies here of an earlier time is set aside as a whole: it is older
than what that host did. The journal stays, for the database; its records have lower numbers than those of this holder
(`first_number`), so nothing is made of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from gridbot.lease.record_floor import first_number
from gridbot.private_files import make_directory
from gridbot.state.brought_state import write_brought
from supervisor.fleet.fleet_store import Document

__all__ = ["begin_here"]

log = logging.getLogger("supervisor")


def begin_here(data_dir: Path, me: str, account: str, epoch: int, previous: str, documents: Sequence[Document]) -> None:
    """Make the account's state ready for its holder number `epoch`. Raises OSError.

    Nothing happens when nobody else had it: then what lies here is the newest there is. It may be called again after it
    failed half-way.
    """
    if previous in ("", me):
        return
    state = data_dir / "state" / account
    aside = state.with_name(f"{account}.before-{epoch}")
    if state.exists() and not aside.exists():
        state.rename(aside)
        log.info("%s: %s had it meanwhile; what lay here is set aside as %s", account, previous, aside)
    make_directory(state)
    for each in documents:
        write_brought(state / each.name, each.body, first_number(epoch))
