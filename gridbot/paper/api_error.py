"""The one error that the exchange raises: a Bybit return code with its text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

__all__ = ["OVER_QUOTA", "ApiError", "insufficient_balance", "permission_denied"]

OVER_QUOTA = (10006, "Too many visits. Exceeded the API Rate Limit.")
"""Code and text of the items of a batch that the request limit does not grant."""


class ApiError(Exception):
    """A refusal as the client sees it; HTTP 200 unless `http_status` says otherwise.

    A few carry a `result`, or `extra` fields in `retExtInfo`. `headers` are those of the request's quota, when it was
    counted: a refusal costs as much as a success, and says so.

    Codes and texts: docs/bybit.md 4.2 and 4.4.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        http_status: int = 200,
        result: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.http_status = http_status
        self.result = dict(result or {})
        self.extra = dict(extra or {})
        self.headers: dict[str, str] = {}


def insufficient_balance(available: Decimal, extra: Mapping[str, Any] | None = None) -> ApiError:
    """An order costs more than the account has. Both texts were seen; which stands for what is a guess."""
    text = "ab not enough for new order" if available > 0 else "CheckMarginRatio fail! InsufficientAB"
    return ApiError(110007, text, extra=extra)


def permission_denied() -> ApiError:
    """The key may not do this."""
    return ApiError(10005, "Permission denied, please check your API key permissions.")
