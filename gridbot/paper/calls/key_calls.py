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
from gridbot.paper.settings import KeyConfig

__all__ = [
    "api_limit_caps",
    "api_limits",
    "every_api_limit",
    "query_api",
    "set_api_limit",
]

DAY_MS = 24 * 3600 * 1000
Params = Mapping[str, Any]
Result = dict[str, Any]


def query_api(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    key = exchange.config.keys.get(account.name) or KeyConfig()
    bound = list(account.ips) or ["127.0.0.1"]
    names = ("Spot", "Options", "CopyTrading", "BlockTrade", "Exchange", "NFT", "Affiliate", "Earn")
    return {
        "id": str(account.uid),
        "note": account.name,
        "apiKey": account.api_key,
        "readOnly": 1 if key.read_only else 0,
        "secret": "",
        "permissions": {
            "ContractTrade": list(key.contract_trade),
            "Wallet": list(key.wallet),
            "Derivatives": ["DerivativesTrade"],
            **{name: [] for name in names},
        },
        "ips": ["*"] if key.ips == ("*",) else bound,
        "type": 1,
        "deadlineDay": -2 if account.expires_ms is None else max(0, (account.expires_ms - now_ms) // DAY_MS),
        "expiredAt": _text_of(account.expires_ms or 0),
        "createdAt": _text_of(account.opened_ms),
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


def _text_of(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
