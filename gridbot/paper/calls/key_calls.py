"""What a key may do, and how often: user/query-api and apilimit/ (docs/bybit.md 2.4). Keys here belong to one account.

Each takes (exchange, account, parameters, now) and returns `result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.validate import limit_field, text

__all__ = [
    "api_limit_caps",
    "api_limits",
    "every_api_limit",
    "query_api",
    "set_api_limit",
]

Params = Mapping[str, Any]
Result = dict[str, Any]


def query_api(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    created = datetime.fromtimestamp(account.opened_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = ("Spot", "Wallet", "Options", "CopyTrading", "BlockTrade", "Exchange", "NFT", "Affiliate", "Earn")
    return {
        "id": str(account.uid),
        "note": account.name,
        "apiKey": account.api_key,
        "readOnly": 0,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Derivatives": ["DerivativesTrade"],
            **{name: [] for name in names},
        },
        "ips": list(account.ips) or ["127.0.0.1"],
        "type": 1,
        "deadlineDay": -2,
        "expiredAt": "1970-01-01T00:00:00Z",
        "createdAt": created,
        "unified": 0,
        "uta": 1,
        "userID": account.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": account.rsa_public_key,
        "isMaster": True,
        "isFixApi": False,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def api_limits(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """apilimit/query, of the account itself."""
    if text(params, "uids", required=True) != str(account.uid):
        raise ApiError(3500153, "No permission to operate these UIDs")
    return {"list": [_limit_row(exchange, account)]}


def every_api_limit(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """apilimit/query-all; an account has no others below it."""
    limit_field(params, 1000, 1000)
    mine = text(params, "uids") in ("", str(account.uid))
    return {"list": [_limit_row(exchange, account)] if mine else [], "nextPageCursor": ""}


def api_limit_caps(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    rate = str(exchange.config.limits.orders_per_second)
    return {"list": [{"bizType": "DERIVATIVES", "totalRate": rate, "insCap": rate, "uidCap": rate}]}


def set_api_limit(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    raise ApiError(3500002, "Current user is not an institutional user")


def _limit_row(exchange: Exchange, account: Account) -> Result:
    return {"uids": str(account.uid), "bizType": "DERIVATIVES", "rate": exchange.config.limits.orders_per_second}
