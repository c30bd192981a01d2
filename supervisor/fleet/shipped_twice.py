"""Executions that a second holder of the account has recorded too, and corrections of them, before they are shipped.

The row that came first is the one that is shown. What it realised and cost is as the holder of the highest epoch knows
it: of its own row the difference is kept as a correction of the one that is shown, and corrections by an earlier
holder, who has not seen it, are left out. So the row with its corrections says what the exchange says, whoever recorded
what.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import orjson
import psycopg

from supervisor.fleet.record_statements import (
    AS_CORRECTION,
    CORRECTED,
    CORRECTIONS,
    FIRST_OF_ALL,
    KNOWN_NOW,
    LEFT_OUT,
    RECORDED_AGAIN,
)

__all__ = ["difference", "made_one"]

REASON: Final = "another host has recorded this execution with other figures"
_COPIED: Final = ("strategy", "symbol", "direction", "exec_id", "exec_type", "is_maker", "shadow", "exchange_ts")


def made_one(cursor: psycopg.Cursor[Any], host: str) -> None:
    """Change the rows of `incoming`, in the transaction that ships them. Raises psycopg.Error."""
    cursor.execute(FIRST_OF_ALL, {"host": host})
    corrections = cursor.execute(CORRECTIONS).fetchall()  # before those that are made here are among them
    for account, seq, exec_id, epoch, body, known_epoch, pnl, fee in cursor.execute(
        RECORDED_AGAIN, {"host": host}
    ).fetchall():
        row = {"account": account, "seq": seq}
        if epoch <= known_epoch:
            cursor.execute(LEFT_OUT, row)
            continue
        data = body["data"]
        known = {"realised_pnl": Decimal(data["realised_pnl"]), "fee": Decimal(data["fee"])}
        cursor.execute(KNOWN_NOW, {**row, **known, "epoch": epoch, "host": host, "exec_id": exec_id})
        correction = difference(body, pnl, fee)
        if correction is None:
            cursor.execute(LEFT_OUT, row)
        else:
            cursor.execute(AS_CORRECTION, {**row, "body": orjson.dumps(correction).decode()})
    for account, seq, exec_id, epoch, body, *_ in corrections:
        known_epoch, known_host = _knows(cursor, account, exec_id)
        if epoch > known_epoch or (epoch == known_epoch and host == known_host):
            data = body["data"]
            added = {"realised_pnl": Decimal(data["realised_pnl"]), "fee": Decimal(data["fee"])}
            cursor.execute(CORRECTED, {**added, "account": account, "exec_id": exec_id})
        else:
            cursor.execute(LEFT_OUT, {"account": account, "seq": seq})


def difference(body: dict[str, Any], realised_pnl: Decimal, fee: Decimal) -> dict[str, Any] | None:
    """A correction that makes figures known before those of this record of the same execution; None: they are. Pure."""
    data = body["data"]
    pnl, cost = Decimal(data["realised_pnl"]) - realised_pnl, Decimal(data["fee"]) - fee
    if not pnl and not cost:
        return None
    own = {name: data.get(name) for name in _COPIED}
    figures = {"realised_pnl": f"{pnl:f}", "fee": f"{cost:f}", "final": False, "reason": REASON}
    return {**body, "kind": "corrections", "data": {**own, **figures}}


def _knows(cursor: psycopg.Cursor[Any], account: str, exec_id: str) -> tuple[int, str]:
    """Epoch and host of whoever knows an execution best."""
    row = cursor.execute(
        "SELECT epoch, host FROM gridbot.execution_id WHERE account = %s AND exec_id = %s", (account, exec_id)
    ).fetchone()
    assert row is not None, "it was found a moment ago, and is locked"
    return int(row[0]), str(row[1])
