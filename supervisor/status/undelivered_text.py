"""Whom messages about alerts do not reach, and whether Telegram is heard, as lines of text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbot.commands.wording import counted
from gridbot.doors.plain_text import for_people

__all__ = ["undelivered_lines"]


def undelivered_lines(status: Mapping[str, Any]) -> list[str]:
    """One sentence for each address that cannot be reached, or was not for so long that messages were given up."""
    notify = for_people(status.get("notify") or {})
    lines = []
    for each in notify.get("routes") or ():
        name = f"notify: {each['route']} ({each['service']})"
        if each["problem"]:
            since = f"for {each['failing_s'] or 0:.0f} s"
            later = f"{counted(each['waiting'], 'alert')} to be told, tried again in {each['next_s'] or 0:.0f} s"
            lines.append(f"{name} cannot be told anything {since}: {each['problem']}; {later}")
        if each["given_up"]:
            lines.append(f"{name} was never told of {counted(each['given_up'], 'change')}: given up")
    ping = notify.get("ping") or {}
    if ping.get("problem"):
        lines.append(f"notify: the ping of the dead man's switch fails: {ping['problem']}")
    telegram = for_people(status.get("telegram") or {})
    if telegram.get("problem"):
        lines.append(f"telegram: nobody is heard for {telegram['failing_s'] or 0:.0f} s: {telegram['problem']}")
    return lines
