"""What a process of an account gives to the hosts of a fleet: the next holder of the account begins with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gridbot.state.brought_state import OF_THE_HOST

__all__ = ["sharer"]


def sharer(account: str, send: Callable[[dict[str, Any]], object]) -> Callable[[str, bytes, bool], None]:
    """Takes the name of a file of state, its content, and whether it stops orders; `send` passes it to the
    supervisor, which has the account's lease."""

    def share(name: str, body: bytes, urgent: bool) -> None:
        if name not in OF_THE_HOST:
            send({"type": "document", "account": account, "name": name, "body": body, "urgent": urgent})

    return share
