"""Which failure a code, an HTTP status or an exception of the transport is (`gridbot.exchange.failures`).

Numbers decide, texts never, except for 10001, Bybit's catch-all, whose meaning is only in its text. This module needs
no pybit: its exceptions are known by their class name and the attributes they carry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from gridbot.bybit.carrier import CarrierError, NoAnswer, NotSent, Unusable
from gridbot.bybit.ret_codes import OUTCOMES_BY_CODE, RET_CODES
from gridbot.core.strict_numbers import whole_or_none
from gridbot.doors.plain_text import one_line
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error

__all__ = ["classify", "from_http_status", "from_ret_code", "scrub"]


# What the texts of 10001 say (docs/bybit.md 4.4), in lower case; anything else is a wrong parameter.
_TEXTS_OF_10001 = (
    (re.compile("position idx"), ErrorKind.RESYNC),
    (re.compile("openapi sign params error"), ErrorKind.AUTH),
    (re.compile("not modified"), ErrorKind.NOOP),
    (re.compile(r"(buy|sell): ?\[.*\] invalid"), ErrorKind.RETRY),  # a market order that meets nothing
)

UNKNOWN = "; gridbot does not know this code"
LONGEST_TEXT = 10_000
"""Characters of a text of the exchange that are looked through."""

_HTTP_KINDS = {
    400: ErrorKind.PARAM,
    401: ErrorKind.AUTH,
    403: ErrorKind.IP_BAN,
    404: ErrorKind.PARAM,
    405: ErrorKind.PARAM,
    429: ErrorKind.AMBIGUOUS,
}

# 10004 echoes the text that was signed (to the end: a body holds brackets of its own), 10001 the authentication
# headers, key and all.
_SIGNED_TEXT = re.compile(r"origin_string.*", re.IGNORECASE | re.DOTALL)
_ECHOES = re.compile(r"(api_?key|api_?signature|sign(?:ature)?|secret)(\s*[\[(:=]\s*)[^\])\s,]*", re.IGNORECASE)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Remove what the exchange echoes of keys and signatures, and each of `secrets` literally; on one line, and cut."""
    text = text[:LONGEST_TEXT]
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return one_line(_ECHOES.sub(r"\1\2***", _SIGNED_TEXT.sub("origin_string[***]", text)))


def from_ret_code(code: int, text: str, *, secrets: Iterable[str] = ()) -> ExchangeError:
    """Error for a `retCode` (or the `code` of a batch item) other than 0.

    An unknown code counts as AMBIGUOUS: look first. That it is unknown is said, by its text and by `is_unknown`.
    """
    kind = RET_CODES.get(code, ErrorKind.AMBIGUOUS)
    if code == 10001:
        lowered = text.lower()
        kind = next((kind for marker, kind in _TEXTS_OF_10001 if marker.search(lowered)), kind)
    message = scrub(text, secrets) or "refused without a text"
    is_unknown = code not in RET_CODES
    return make_error(
        message + UNKNOWN if is_unknown else message,
        kind,
        outcome=OUTCOMES_BY_CODE.get(code),
        ret_code=code,
        is_unknown=is_unknown,
    )


def from_http_status(status: int, text: str, *, secrets: Iterable[str] = ()) -> ExchangeError:
    """Error for an HTTP status other than 200; 5xx and unknown ones leave the outcome open."""
    kind = _HTTP_KINDS.get(status, ErrorKind.AMBIGUOUS)
    if kind is ErrorKind.IP_BAN:
        text = "too many requests from this address, or a country Bybit does not serve: nothing is sent for ten minutes"
    return make_error(scrub(text, secrets), kind, http_status=status)


def classify(exc: BaseException, *, secrets: Iterable[str] = ()) -> ExchangeError:
    """Sort an exception of pybit or of the carrier; an `ExchangeError` comes back as it is.

    Anything unexpected is AMBIGUOUS, with the name of its class: it happened around a request that may have reached the
    exchange.
    """
    if isinstance(exc, ExchangeError):
        return exc
    name = type(exc).__name__
    if name == "InvalidRequestError":  # retCode other than 0; pybit keeps it in status_code
        return from_ret_code(_as_int(exc, "status_code"), str(getattr(exc, "message", "")), secrets=secrets)
    if name == "FailedRequestError":
        return _from_failed_request(exc, secrets)
    if isinstance(exc, CarrierError):
        return _from_carrier(exc)
    if isinstance(exc, json.JSONDecodeError):
        return make_error("expected JSON, got something else", ErrorKind.AMBIGUOUS)
    return make_error(f"{name} during a request", ErrorKind.AMBIGUOUS)


def _as_int(exc: BaseException, attribute: str) -> int:
    return whole_or_none(getattr(exc, attribute, None)) or 0


def _from_failed_request(exc: BaseException, secrets: Iterable[str]) -> ExchangeError:
    """HTTP status other than 200; pybit also makes up 409 (no JSON) and 400 (its retries ran out), without headers."""
    status, message = _as_int(exc, "status_code"), str(getattr(exc, "message", ""))
    if getattr(exc, "resp_headers", None) is None:
        return make_error(f"the answer could not be used: {scrub(message, secrets)}", ErrorKind.AMBIGUOUS)
    return from_http_status(status, "the exchange answered with an HTTP error", secrets=secrets)


def _from_carrier(exc: CarrierError) -> ExchangeError:
    """Whether the request can have reached the exchange decides."""
    if isinstance(exc, NotSent):
        return make_error(f"no connection to the exchange ({exc})", ErrorKind.RETRY)
    if isinstance(exc, NoAnswer):
        return make_error(str(exc), ErrorKind.AMBIGUOUS)
    what = "the answer could not be used" if isinstance(exc, Unusable) else "no answer"
    return make_error(f"{what}: {exc}", ErrorKind.AMBIGUOUS)
