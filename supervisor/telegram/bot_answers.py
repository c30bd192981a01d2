"""What an answer of the Bot API means, and how long is waited after one that is a problem. Pure.

The token stands in the address of each request. So no word of a library's error is shown, which may have the address,
and the server's own words only without the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gridbot.core.strict_numbers import amount_or_none
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import one_line

__all__ = ["LONGEST_ANSWER", "Answered", "Kind", "Problem", "Waits", "away", "read_answer"]

LONGEST_ANSWER: Final = 8 << 20
"""Bytes; a hundred updates of the longest messages have a quarter of that."""
LONGEST_WORDS: Final = 160
HIDDEN: Final = "********"


class Kind(StrEnum):
    """`TOKEN` and `CONFLICT` need somebody; `REFUSED` is about this request alone; the others pass."""

    TOKEN = "token"
    CONFLICT = "conflict"
    SLOW_DOWN = "slow down"
    REFUSED = "refused"
    AWAY = "away"
    GARBAGE = "garbage"


@dataclass(frozen=True, slots=True)
class Answered:
    """`result` is the server's word, of whatever form."""

    result: Any


@dataclass(frozen=True, slots=True)
class Problem:
    """`text` can be shown; `after_s` is how long the server asks us to wait, 0 where it does not say."""

    kind: Kind
    text: str
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds until the next question. One with a token that is wrong, or beside another program, is asked seldom."""

    token_s: float = 600.0
    conflict_s: float = 60.0
    first_s: float = 1.0
    most_s: float = 60.0
    longest_s: float = 900.0
    """Whatever the server asks for."""

    def after(self, problem: Problem, in_a_row: int) -> float:
        """After so many problems in a row, this one included."""
        if problem.kind is Kind.TOKEN:
            return self.token_s
        doubled = self.first_s * 2.0 ** min(max(in_a_row - 1, 0), 20)
        if problem.kind is Kind.CONFLICT:  # the first one may be a question of our own process that has just died
            return min(self.conflict_s, doubled)
        return min(self.longest_s, max(problem.after_s, min(self.most_s, doubled)))


def away(error: str) -> Problem:
    """Nobody answered; `error` is the kind of the failure, and no word of it."""
    return Problem(Kind.AWAY, f"the Bot API could not be reached ({error})")


def read_answer(status: int, body: bytes, secrets: tuple[str, ...] = ()) -> Answered | Problem:
    """The answer of HTTP `status`; none of the `secrets` is in what is said of it."""
    try:
        document = read_json(body, longest=LONGEST_ANSWER)
    except JsonMistake:
        document = None
    if not isinstance(document, Mapping) or not isinstance(document.get("ok"), bool):
        if status >= 500:
            return Problem(Kind.AWAY, f"the Bot API answered HTTP {status}")
        return Problem(Kind.GARBAGE, f"what answered HTTP {status} is no Bot API")
    if document["ok"]:
        return Answered(document.get("result"))
    code = document.get("error_code")
    code = code if type(code) is int else status
    said = _words(document.get("description"), secrets)
    match code:
        case 401 | 404:
            return Problem(
                Kind.TOKEN, f"the Bot API refuses the token (HTTP {code}): write the one of @BotFather{said}"
            )
        case 409:
            return Problem(
                Kind.CONFLICT, f"another program, or a webhook, takes the messages of this bot; end it{said}"
            )
        case 429:
            return Problem(Kind.SLOW_DOWN, f"the Bot API asks to slow down{said}", _after_s(document))
    if code >= 500:
        return Problem(Kind.AWAY, f"the Bot API answered HTTP {code}{said}")
    return Problem(Kind.REFUSED, f"the Bot API refused a request (HTTP {code}){said}")


def _after_s(document: Mapping[str, Any]) -> float:
    parameters = document.get("parameters")
    seconds = amount_or_none(parameters.get("retry_after")) if isinstance(parameters, Mapping) else None
    return 1.0 if seconds is None else float(seconds)


def _words(description: Any, secrets: tuple[str, ...]) -> str:
    if not isinstance(description, str) or not description:
        return ""
    for secret in secrets:
        description = description.replace(secret, HIDDEN)
    return f" ({one_line(description, LONGEST_WORDS)})"
