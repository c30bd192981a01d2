"""Whether people can be told of alerts, and ask by Telegram. No address and no token is in a finding. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gridbot.doctor.findings import Finding, Verdict

__all__ = ["BotFacts", "LineFacts", "line_findings", "telegram_finding"]

NOT_ASKED = "not asked whether it can be reached (--reach)"


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One address: `name` is its route's, with a number where there are several, or "ping"; `service` such as `tgram`.

    `wrong`: why it cannot be used at all. `reached`: None when nobody asked, else whether it answered; `why` not.
    """

    name: str
    service: str
    wrong: str = ""
    reached: bool | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class BotFacts:
    """The bot. `name` is what the Bot API calls it, "" where nobody asked; `why` it did not say so."""

    users: int
    commanders: int
    name: str = ""
    why: str = ""


def line_findings(lines: Iterable[LineFacts]) -> Iterator[Finding]:
    """`messages`, one for each address."""
    for line in lines:
        about = f"notify/{line.name}"
        what = "the ping" if line.name == "ping" else "the message"
        if line.wrong:
            yield Finding("messages", Verdict.REFUSED, line.wrong, about)
        elif line.reached is None:
            yield Finding("messages", Verdict.OK, f"{line.service}: its address can be read; {NOT_ASKED}", about)
        elif line.reached:
            yield Finding("messages", Verdict.OK, f"{line.service}: {what} has arrived", about)
        else:
            do = "compare the address with what its service gave you, and look whether this machine gets there"
            text = f"{line.service}: expected {what} to arrive, got: {line.why}; {do}"
            yield Finding("messages", Verdict.REFUSED, text, about)


def telegram_finding(bot: BotFacts) -> Finding:
    """`telegram`."""
    users = f"{bot.users} user{'' if bot.users == 1 else 's'}, {bot.commanders} of them may give commands"
    if bot.why:
        text = f"expected the Bot API to know the bot, got: {bot.why}"
        return Finding("telegram", Verdict.REFUSED, text, "telegram")
    if not bot.name:
        return Finding("telegram", Verdict.OK, f"the token has its form; {users}; {NOT_ASKED}", "telegram")
    return Finding("telegram", Verdict.OK, f"the Bot API knows the token as @{bot.name}; {users}", "telegram")
