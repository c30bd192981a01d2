"""The section `telegram` of `gridbot.yaml`: the bot that is asked and given commands by Telegram, and by whom.

The token is a secret that the protocol puts into addresses: `secrets` has it whole, and its part after the colon.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from gridbot.config.errors import expected
from gridbot.config.fields import Model, Seconds

__all__ = ["ROLES", "TelegramConfig", "TelegramUser"]

ROLES = ("see", "operate", "flatten")
"""Each may what those before it may."""
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{8,100}\Z")
_API = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._/-]*)?\Z", re.IGNORECASE)


def _token(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and not _TOKEN.match(value.get_secret_value()):
        raise expected(
            "a token as @BotFather gives it, `NUMBER:LETTERS`",
            "write it as ${VARIABLE}; docs/telegram.md says how to get one",
            got="something else, which is not shown",
        )
    return value


def _api(value: str) -> str:
    if not _API.match(value):
        raise expected("an address such as https://api.telegram.org", "leave it out")
    if not value.lower().startswith("https://") and not _is_loopback(urlsplit(value).hostname or ""):
        raise expected(
            "an address that begins with https://, or one of this machine",
            "without TLS whoever listens on the way reads the token",
        )
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


Token = Annotated[SecretStr, AfterValidator(_token)]
ApiAddress = Annotated[str, AfterValidator(_api)]
Role = Literal["see", "operate", "flatten"]


class TelegramUser(Model):
    """Somebody who may talk to the bot. Whoever is not listed gets no answer."""

    id: int = Field(ge=1, lt=1 << 52, description="Number of the user; the log has it when somebody unknown writes.")
    role: Role = Field(
        "see", description="see: what is asked; operate: also pause, reduce, cancel, resume, mute; flatten: all."
    )


def _each_once(users: tuple[TelegramUser, ...]) -> tuple[TelegramUser, ...]:
    ids = [user.id for user in users]
    twice = next((each for place, each in enumerate(ids) if each in ids[:place]), None)
    if twice is not None:
        raise expected("each id of a user once", "remove one of the two", got=f"{twice} twice")
    return users


class TelegramConfig(Model):
    """Questions and commands by Telegram (docs/telegram.md). Off by default; no trade waits for it."""

    enabled: bool = Field(False, description="Whether there is such a bot, and a process for it.")
    token: Token = Field(SecretStr(""), description="Token of the bot, as ${VARIABLE}.")
    users: Annotated[tuple[TelegramUser, ...], AfterValidator(_each_once)] = Field(
        (), description="Who may talk to it, in a private chat alone."
    )
    api: ApiAddress = Field(
        "https://api.telegram.org", description="Address of the Bot API; https, but for one of this machine."
    )
    poll: Seconds = Field(25.0, ge=1, le=50, description="Seconds for which a question for news waits at the Bot API.")

    @model_validator(mode="after")
    def _is_whole(self) -> TelegramConfig:
        if self.enabled and not self.token.get_secret_value():
            raise expected("a `token`", "write it as ${VARIABLE}; @BotFather gives one", got="none", key="token")
        if self.enabled and not self.users:
            raise expected("`users`: who may talk to the bot", "add one: `- {id: 123456789}`", got="none", key="users")
        return self

    def secrets(self) -> list[str]:
        """The token, and its secret part."""
        token = self.token.get_secret_value()
        return [token, token.partition(":")[2]] if token else []
