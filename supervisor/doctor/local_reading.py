"""What this machine and the data directory know of an account: who has its key, and which order ids are reserved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridbot.config.account_models import AccountConfig
from gridbot.doctor.doctor_facts import Local
from gridbot.doctor.stranger_findings import adopted_of
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.state.key_lock import KeyShare, key_holder

__all__ = ["local_of"]


def local_of(
    account: AccountConfig,
    data_dir: Path,
    process: Mapping[str, Any] | None,
    paper_url: str | None,
    share: KeyShare | None = None,
) -> Local:
    """`share`: as which host of a fleet we would have the key. `process` is that of the account's worker as the
    supervisor shows it, None where no supervisor runs.

    Looking for a holder takes the key's locks for a moment: so nobody looks while our own worker has them, or may soon.
    """
    holder = ""
    if process is None or (process.get("pid") is None and process.get("state") in ("FATAL", "STOPPED")):
        holder = key_holder(account.api_key.get_secret_value(), paper_url or str(account.environment), share)
    state = data_dir / "state" / account.name
    return Local(holder, _next_number(state), _adopted(state))


def _adopted(state: Path) -> frozenset[str]:
    """Orders that our records know for ours though their ids do not say so (`gridbot/records/open_orders.py`)."""
    try:
        document = read_json((state / "ledger.json").read_bytes())
    except (OSError, JsonMistake):
        return frozenset()
    return adopted_of(document)


def _next_number(state: Path) -> int | None:
    """The end of the block of numbers that is reserved (`gridbot/state/generation_file.py`).

    None without a file, and for one that says nothing: the worker then begins at the clock.
    """
    try:
        document = read_json((state / "generation.json").read_bytes())
    except (OSError, JsonMistake):
        return None
    found = document.get("next") if isinstance(document, dict) else None
    return found if type(found) is int and found > 0 else None
