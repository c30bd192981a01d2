"""The section `notify` of `gridbot.yaml`: who is told of alerts, by which service, and when nobody is.

The addresses are secrets: services put tokens into them. They are `SecretStr`, and `secrets` has what of them must
never be shown: the whole address, its password, and whatever in it is long enough to be a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import pytz
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from gridbot.config.errors import expected
from gridbot.config.fields import Groups, Model, Name, Seconds, SecondsOrOff

__all__ = ["NotifyConfig", "NotifyRoute", "parts_of"]

SHORTEST_PART = 12
"""Characters of a part of an address that may be a token; host names and words such as `services` are left alone."""
SHORTEST_PASSWORD = 6

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s]+\Z", re.IGNORECASE)
_WEB_ADDRESS = re.compile(r"https?://[^\s]+\Z", re.IGNORECASE)
_HOST = re.compile(r"(?:[a-z0-9._+-]+@)?(?:[a-z0-9-]+\.)+(?:[a-z]{2,24}|[0-9]{1,3})\Z")
"""A machine's name or number, or a mail address: no tokens, of which those of some services have dots, too."""
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]\Z")
_PATTERN = re.compile(r"[A-Za-z0-9_*?\[\]!-]{1,64}\Z")


def _address(value: SecretStr) -> SecretStr:
    if not _ADDRESS.match(value.get_secret_value()):
        raise expected(
            "an Apprise address such as `tgram://TOKEN/CHAT`",
            "write it as ${VARIABLE}; https://github.com/caronc/apprise/wiki has the form of each service",
            got="something else, which is not shown",
        )
    return value


def _web_address(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not _WEB_ADDRESS.match(value.get_secret_value()):
        raise expected(
            "an address that begins with https:// or http://", "write it as ${VARIABLE}", got="another, not shown"
        )
    return value


def _off(value: Any) -> Any:
    """A bare `off` is false in YAML; `23:00` without quotes is a number there."""
    if value is False or (isinstance(value, str) and value.strip().lower() in ("off", "none", "false")):
        return None
    return value


def _time(value: str | None) -> str | None:
    if value is not None and not _TIME.match(value):
        raise expected('a time of the day in quotes, such as "23:00", or off', "write it with both digits of the hour")
    return value


def _zone(value: str) -> str:
    try:
        pytz.timezone(value)
    except pytz.UnknownTimeZoneError:
        raise expected("a time zone such as UTC or Europe/Berlin", "write its name as in the tz database") from None
    return value


def _pattern(value: str) -> str:
    if not _PATTERN.match(value):
        raise expected("the name of an account, with * and ? where you want", "write one such as `alice*`")
    return value


Address = Annotated[SecretStr, AfterValidator(_address)]
WebAddress = Annotated[SecretStr | None, AfterValidator(_web_address)]
TimeOfDay = Annotated[str | None, BeforeValidator(_off), AfterValidator(_time)]
Zone = Annotated[str, AfterValidator(_zone)]
Pattern = Annotated[str, AfterValidator(_pattern)]
AlertLevel = Literal["warning", "error", "critical"]


class NotifyRoute(Model):
    """Whom one kind of alerts goes to. An alert takes every route that it fits."""

    name: Name = Field(description="Its name, by which status and tests call it.")
    urls: tuple[Address, ...] = Field(
        min_length=1, description="Apprise addresses, as ${VARIABLE}: each gets every message of the route."
    )
    level: AlertLevel = Field("warning", description="Least severe alert that it gets: warning, error, critical.")
    accounts: tuple[Pattern, ...] = Field((), description="Accounts, with * and ?; with `groups` none: all of them.")
    groups: Groups = Field((), description="Labels of accounts, beside `accounts`.")
    fleet: bool = Field(True, description="Whether it also gets what concerns no single account.")
    summary: bool = Field(True, description="Whether it gets the daily summary.")
    quiet: bool = Field(True, description="Whether the quiet hours hold for it.")


def _each_name_once(routes: tuple[NotifyRoute, ...]) -> tuple[NotifyRoute, ...]:
    names = [route.name for route in routes]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise expected("each name of a route once", "call one of the two otherwise", got=f"`{twice}` twice")
    return routes


class NotifyConfig(Model):
    """Messages about alerts (docs/alerts.md), by the package apprise. No trade waits for them."""

    enabled: bool = Field(
        True, description="Whether there are messages; without a route and without a ping there are none."
    )
    name: str = Field(
        "gridbot", min_length=1, max_length=40, description="What messages call this fleet; for those who have several."
    )
    routes: Annotated[tuple[NotifyRoute, ...], AfterValidator(_each_name_once)] = Field(
        (), description="Whom alerts go to."
    )
    time_zone: Zone = Field("UTC", description="Of all times here and in messages, such as Europe/Berlin.")
    quiet_from: TimeOfDay = Field(None, description='Begin of the quiet hours, such as "23:00"; off: there are none.')
    quiet_until: TimeOfDay = Field(None, description="Their end; what waited comes then, in one message.")
    quiet_unless: AlertLevel = Field("critical", description="Least severe alert that comes in quiet hours, too.")
    summary_at: TimeOfDay = Field(None, description='When the daily summary is sent, such as "08:00"; off: never.')
    gather: SecondsOrOff = Field(5.0, description="Seconds an alert waits for others, to be one message with them.")
    per_minute: int = Field(
        10, ge=1, le=600, description="Most messages a minute to one address; more share a message."
    )
    after_restart: SecondsOrOff = Field(
        60.0, description="Seconds after a start that was asked for in which only critical alerts are told at once."
    )
    deadline: Seconds = Field(30.0, le=600, description="Seconds a service may take for a message until it has failed.")
    retry_initial: Seconds = Field(5.0, description="Seconds until a message that failed is tried again, then doubled.")
    retry_max: Seconds = Field(300.0, description="Longest wait between two tries, in seconds.")
    give_up: Seconds = Field(
        86_400.0, description="Seconds after which a message that cannot be delivered is given up, and counted."
    )
    ping_url: WebAddress = Field(
        None, description="Dead man's switch: an address that is asked while the fleet is looked after. As ${VARIABLE}."
    )
    ping_period: Seconds = Field(60.0, ge=5, description="Seconds between two pings.")

    @model_validator(mode="after")
    def _hours(self) -> NotifyConfig:
        if (self.quiet_from is None) is not (self.quiet_until is None):
            raise expected("`quiet_from` and `quiet_until`, both or none", "write the other one", key="quiet_from")
        if self.quiet_from is not None and self.quiet_from == self.quiet_until:
            raise expected("quiet hours that end at another time than they begin", "correct one", key="quiet_until")
        return self

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to do for its process."""
        return self.enabled and bool(self.routes or self.ping_url)

    def secrets(self) -> list[str]:
        """Every address, and what in it may be a token."""
        addresses = [url.get_secret_value() for route in self.routes for url in route.urls]
        addresses += [] if self.ping_url is None else [self.ping_url.get_secret_value()]
        return [each for address in addresses for each in (address, *parts_of(address))]


def parts_of(address: str) -> list[str]:
    """What in an address may be a secret of its own, as it stands there and decoded: longest first, each once."""
    found = set(_parts(address))
    return sorted({*found, *map(unquote, found)}, key=lambda part: (-len(part), part))


def _parts(address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    if len(password) >= SHORTEST_PASSWORD:
        yield password
    words = [name, *host.split(":"), *re.split(r"[/:@]", parts.path), *re.split(r"[&=,]", parts.query), parts.fragment]
    yield from (word for word in words if len(word) >= SHORTEST_PART and not _HOST.match(word))
