"""What an API key may do, from where, and for how long. Pure."""

from __future__ import annotations

from typing import Final

from gridbot.doctor.doctor_facts import Unread
from gridbot.doctor.findings import Finding, Verdict
from gridbot.exchange.requests import ApiKeyInfo

__all__ = ["EXPIRES_SOON_DAYS", "key_findings"]

EXPIRES_SOON_DAYS: Final = 14
NEEDED: Final = ("Order", "Position")
OK, WARNING, REFUSED = Verdict.OK, Verdict.WARNING, Verdict.REFUSED


def key_findings(account: str, key: ApiKeyInfo | Unread, *, allows_withdrawals: bool) -> list[Finding]:
    """`key`, `withdrawals` and `key_binding`."""
    if isinstance(key, Unread):
        return [Finding("key", WARNING, f"what the key may do is not known: {key.text}", account)]
    return [
        Finding("key", *_may(key), account),
        Finding("withdrawals", *_withdrawals(key, allows=allows_withdrawals), account),
        Finding("key_binding", *_binding(key), account),
    ]


def _may(key: ApiKeyInfo) -> tuple[Verdict, str]:
    missing = [name for name in NEEDED if name not in key.contract_trade]
    if key.read_only:
        return REFUSED, "expected a key that may trade, got a read-only one; make one with Contract: Orders, Positions"
    if missing:
        return REFUSED, (
            f"expected the permissions Contract: Order and Position, {' and '.join(missing)} missing; change the key "
            "on Bybit"
        )
    if not key.is_unified:
        return REFUSED, "expected a unified trading account, got an older kind; upgrade the account on Bybit"
    moves = [name for name in key.wallet if name != "Withdraw"]
    if moves:
        return WARNING, (
            f"may trade, and move money to other accounts ({', '.join(moves)}), which trading does not need: take that "
            "away on Bybit"
        )
    return OK, f"may trade (Contract: Order, Position), user {key.user_id or 'not told'}"


def _withdrawals(key: ApiKeyInfo, *, allows: bool) -> tuple[Verdict, str]:
    if not key.can_withdraw:
        return OK, "the key cannot withdraw"
    if allows:
        return WARNING, "the key can withdraw money, which allow_withdraw_permission allows: whoever has it has it all"
    return REFUSED, (
        "expected a key that cannot withdraw money, this one can; take that permission away on Bybit, or set "
        "`allow_withdraw_permission: true` in the account; until then its worker does not start"
    )


def _binding(key: ApiKeyInfo) -> tuple[Verdict, str]:
    days = key.deadline_days
    expires = days is not None and days >= 0
    bound = f"bound to {_addresses(key.ips)}" if key.is_bound else "bound to no address"
    at = f" ({key.expires_at})" if key.expires_at else ""
    left = f"expires in {days} day{'' if days == 1 else 's'}{at}" if expires else "does not expire"
    text = f"{bound}, {left}"
    if expires and days is not None and days < 1:
        return REFUSED, f"{text}: renew it on Bybit today, or the account stops without its orders being withdrawn"
    if expires and days is not None and days <= EXPIRES_SOON_DAYS:
        return WARNING, f"{text}: renew it on Bybit, or bind it to this machine's address"
    if not key.is_bound:
        return WARNING, f"{text}: anybody who has it may use it; bind it to this machine's address on Bybit"
    return OK, text


def _addresses(ips: tuple[str, ...]) -> str:
    shown = ", ".join(ips[:2])
    return shown if len(ips) <= 2 else f"{shown} and {len(ips) - 2} more"
