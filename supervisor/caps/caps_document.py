"""The document `fleet_caps.json`: what a later supervisor has to know of the caps of fleet and groups. Pure.

A host of a fleet on PostgreSQL has none: there the database knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridbot.core.strict_numbers import saved_decimal
from supervisor.caps.cap_scope import CapScope, restored
from supervisor.caps.notional_shares import Shares

__all__ = ["document_of", "read_document"]

VERSION: Final = 1


def document_of(scopes: Mapping[str, CapScope], shares: Mapping[str, Shares]) -> dict[str, Any]:
    """JSON-able."""
    return {
        "version": VERSION,
        "scopes": {name: scope.to_document() for name, scope in scopes.items()},
        "lent": {
            name: {
                account: str(each.lent(account)) for account, member in each.members.items() if member.bound is not None
            }
            for name, each in shares.items()
        },
    }


def read_document(
    document: Mapping[str, Any], scopes: Mapping[str, CapScope], shares: Mapping[str, Shares]
) -> tuple[dict[str, CapScope], dict[str, Shares]]:
    """What `document_of` wrote, for the scopes there are now. KeyError, TypeError, ValueError, AttributeError or
    ArithmeticError for anything else."""
    if document["version"] != VERSION:
        raise ValueError(f"expected version {VERSION}, got {document['version']!r}")
    found = {
        name: restored(name, scope.caps, scope.accounts, document["scopes"][name])
        for name, scope in scopes.items()
        if name in document["scopes"]
    }
    lent = {}
    for name, bounds in document["lent"].items():
        if name in shares:
            known = {str(account): saved_decimal(bound) for account, bound in bounds.items()}
            lent[name] = Shares(shares[name].members, known)
    return found, lent
