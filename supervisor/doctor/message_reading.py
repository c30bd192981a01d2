"""Reads what `doctor` says of messages and of Telegram: addresses offline, and with `reach` whether they answer.

With `reach` each address gets a test message, the ping is sent once, and the Bot API is asked who the bot is, which
takes nobody's updates. What is kept of an answer is what the processes themselves would show of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from gridbot.config.models import GridbotConfig
from gridbot.doctor.message_findings import BotFacts, LineFacts
from gridbot.doors.plain_text import one_line
from supervisor.notify.alive_ping import pinged
from supervisor.notify.apprise_door import UNREADABLE, AppriseDoor, NoApprise
from supervisor.notify.notify_entry import notify_spec
from supervisor.notify.notify_spec import NotifySpec
from supervisor.notify.trial_messages import sent_to_each
from supervisor.telegram.bot_answers import Problem
from supervisor.telegram.bot_api import BotApi

__all__ = ["bot_facts", "line_facts"]

ASK_S = 15.0


def line_facts(settings: GridbotConfig, *, reach: bool) -> list[LineFacts]:
    """Of each address of `notify`, in the order of the file, then of the ping; none where it is off."""
    if not settings.notify.is_wanted:
        return []
    spec = notify_spec(settings)
    found = list(_lines(spec, reach=reach)) if spec.addresses else []
    if not spec.ping_url:
        return found
    why = asyncio.run(pinged(spec.ping_url)) if reach else ""
    return [*found, LineFacts("ping", "ping", reached=not why if reach else None, why=why)]


def _lines(spec: NotifySpec, *, reach: bool) -> Iterator[LineFacts]:
    services = {
        name: service for route in spec.plan.routes for name, service in zip(route.lines, route.services, strict=True)
    }
    try:
        unreadable = set(AppriseDoor(spec.addresses).unreadable)
        sent = sent_to_each(spec, services.keys() - unreadable) if reach else {}
    except NoApprise as error:
        yield from (LineFacts(name, service, wrong=str(error)) for name, service in services.items())
        return
    for name, service in services.items():
        if name in unreadable:
            yield LineFacts(name, service, wrong=f"{service}: {UNREADABLE}")
        else:
            yield LineFacts(name, service, reached=not sent[name] if reach else None, why=sent.get(name, ""))


def bot_facts(settings: GridbotConfig, *, reach: bool) -> BotFacts | None:
    """None where there is no bot."""
    section = settings.telegram
    if not section.enabled:
        return None
    commanders = sum(user.role != "see" for user in section.users)
    name, why = asyncio.run(_who(section.api, section.token.get_secret_value())) if reach else ("", "")
    return BotFacts(len(section.users), commanders, name, why)


async def _who(api: str, token: str) -> tuple[str, str]:
    async with BotApi(api, token) as bot:
        got = await bot.call("getMe", {}, within_s=ASK_S)
    if isinstance(got, Problem):
        return "", got.text
    name = got.result.get("username") if isinstance(got.result, dict) else None
    return (one_line(name, 64), "") if isinstance(name, str) and name else ("", "an answer without a name")
