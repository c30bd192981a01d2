"""What can cost money by mistake is given to more than one account only by who says how many there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gridbot.commands.command import Command
from gridbot.commands.targets import listed
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["require_confirmation"]

NOTHING_SENT = "nothing was sent"


def require_confirmation(
    command: Command, accounts: Sequence[str], expect: int | None, ask: Callable[[str], str] | None
) -> None:
    """Return when the command may be sent to these accounts. Raises CommandError (exit code 7) when not.

    `expect` is the number that was given on the command line; it has to be right for any command. `ask` shows a
    question on the terminal and returns the line that was typed; None where there is no terminal.
    """
    count, these = len(accounts), listed(accounts)
    if expect is not None:
        if expect != count:
            raise _refusal(f"expected {_accounts(expect)} (--expect), {command.name} is for {count}: {these}")
        return
    if not command.dangerous or count == 1:
        return
    if ask is None:
        what = f"expected --expect {count}, because {command.name} is for {count} accounts ({these})"
        raise _refusal(f"{what} and nobody can be asked here; add it when that is right")
    typed = ask(f"{command.name} is for {count} accounts: {these}\nType the number of accounts to go on")
    if typed.strip() != str(count):
        raise _refusal(f"expected {count}, the number of accounts, got {typed.strip()[:20]!r}")


def _accounts(count: int) -> str:
    return f"{count} account{'' if count == 1 else 's'}"


def _refusal(text: str) -> CommandError:
    return CommandError(f"{text}; {NOTHING_SENT}", ExitCode.REFUSED)
