"""A ban of our address, and what an operator is told of it. Pure; times are monotonic seconds."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.remedies import remedy_for

__all__ = ["BANNED", "Ban", "ban_of"]

BANNED: Final = "the exchange bans this address"
"""What every text about a ban has, so that who looks for one finds it."""


class Ban(NamedTuple):
    """No HTTP request may be sent until `until_s`; `error` is how the exchange said so."""

    until_s: float
    error: ExchangeError

    def is_on(self, now_s: float) -> bool:
        return now_s < self.until_s

    def __str__(self) -> str:
        """Why, without how long: that is `until_s`, and another figure each second would be another reason."""
        code, status = self.error.ret_code, self.error.http_status
        said = f" (retCode {code})" if code is not None else f" (HTTP {status})" if status is not None else ""
        return f"{BANNED}{said}, no HTTP request is sent until that is over; {remedy_for(self.error)}"


def ban_of(until_s: float, now_s: float, ret_code: int | None, http_status: int | None) -> Ban:
    """A ban that others were told of, with the code and the HTTP status that they were told."""
    error = make_error(
        f"{BANNED}, as another account was told", ErrorKind.IP_BAN, ret_code=ret_code, http_status=http_status
    )
    error.silence_s = max(0.0, until_s - now_s)
    return Ban(until_s, error)
