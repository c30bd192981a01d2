"""The one error that the exchange raises: a Bybit return code with its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ApiError"]


class ApiError(Exception):
    """A refusal as the client sees it; HTTP 200 unless `http_status` says otherwise.

    A few carry a `result`, or `extra` fields in `retExtInfo`.

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
