"""`gridbot-supervisor secret`: key and secret of an account in the system keyring; never an argument, never shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from gridbot.command_line import pasteable
from gridbot.commands.wording import did_you_mean, one_of
from gridbot.config.paths import find_config
from gridbot.doors.plain_text import one_line
from supervisor.cli.known_fleet import configured_fleet, says_keyring
from supervisor.cli.options import example, place_options
from supervisor.cli.plain_output import print_lines
from supervisor.cli.value_completion import complete_accounts
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["secret"]

LONGEST: Final = 8192
"""Characters of a value, as of one in a file."""


@click.group(epilog=example("secret set alice"))
def secret() -> None:
    """Key and secret of an account in the system keyring (`keyring: true` in the configuration, docs/secrets.md)."""


@secret.command("set", epilog=example("secret set alice"))
@place_options()
@click.argument("account", shell_complete=complete_accounts)
def store(config: str | None, data_dir: str | None, account: str) -> None:
    """Store key and secret of ACCOUNT: asked for without an echo, or from standard input.

    Standard input has the key in its first line and the secret, or an RSA private key in PEM, after it. What was stored
    before is replaced; `restart` the account to use it. Exit code 7: the keyring cannot be used, or a value is none.
    """
    path = _known(config, account)
    is_typed = _is_typed()
    if is_typed:
        _asked("get", _entries(account))  # before anybody types a secret that cannot be kept
    values = _typed(account) if is_typed else _piped()
    _fit(values)
    words = [word for pair in zip(_entries(account), values, strict=True) for word in pair]
    backend, _ = _asked("set", words)
    said = [f"{account}: key and secret are in the system keyring ({backend})"]
    if not says_keyring(path, os.environ, account):
        said.append(f"{account} does not use them yet: write `keyring: true` in its section of {one_line(str(path))}")
    print_lines(said)


@secret.command("check", epilog=example("secret check alice"))
@place_options()
@click.argument("account", shell_complete=complete_accounts)
def look(config: str | None, data_dir: str | None, account: str) -> None:
    """Say whether key and secret of ACCOUNT are in the system keyring. Exit code 9: one of them is not."""
    _known(config, account)
    backend, values = _asked("get", _entries(account))
    names = ("key", "secret")
    print_lines(
        [
            f"{account}: {name} {'is' if value else 'is not'} in the system keyring ({backend})"
            for name, value in zip(names, values, strict=True)
        ]
    )
    raise SystemExit(ExitCode.OK if all(values) else ExitCode.NOTHING)


@secret.command("remove", epilog=example("secret remove alice"))
@place_options()
@click.argument("account", shell_complete=complete_accounts)
def remove(config: str | None, data_dir: str | None, account: str) -> None:
    """Remove key and secret of ACCOUNT from the system keyring, also of an account that is in no configuration.

    A worker that runs keeps them until its restart.
    """
    backend, _ = _asked("remove", _entries(account))
    print_lines([f"{account}: key and secret are not in the system keyring ({backend}) any more"])


def _entries(account: str) -> list[str]:
    from gridbot.config.system_keyring import entries_of

    return entries_of(account)


def _asked(do: str, words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The backend's name, and the values. Raises CommandError."""
    from gridbot.config.system_keyring import TYPING_S, Trouble, ask_keyring

    try:
        answer = ask_keyring(do, words, os.environ, TYPING_S)
    except Trouble as why:
        raise CommandError(str(why), ExitCode.REFUSED) from None
    return answer.backend, answer.values


def _known(config: str | None, account: str) -> Path:
    """The configuration, which has this account. Raises CommandError and click.UsageError."""
    from gridbot.config.errors import ConfigError

    path = find_config(config)
    try:
        names = [member.account for member in configured_fleet(path, os.environ)]
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    if account not in names:
        there = one_of(names) or "an account in the configuration"
        raise click.UsageError(f"expected {there}, got {one_line(account)!r}{did_you_mean(account, names)}")
    return path


def _is_typed() -> bool:
    return sys.stdin.isatty()


def _typed(account: str) -> tuple[str, str]:
    return (
        click.prompt(f"API key of {account} (not shown)", hide_input=True, err=True).strip(),
        click.prompt(f"API secret of {account} (not shown)", hide_input=True, err=True).strip(),
    )


def _piped() -> tuple[str, str]:
    key, _, rest = sys.stdin.read(2 * LONGEST + 2).partition("\n")
    return key.strip(), rest.strip()


def _fit(values: tuple[str, str]) -> None:
    """Raises CommandError for what can be no key, without a part of it."""
    from gridbot.exchange.rsa_keys import is_rsa_key, key_problem, one_text

    for name, value in zip(("API key", "API secret"), values, strict=True):
        what = f"one line with the {name}" if name == "API key" else "the API secret after the line of the key"
        if not value:
            raise CommandError(f"expected {what}, got nothing; nothing was stored", ExitCode.REFUSED)
        if len(value) > LONGEST:
            much = f"more than {LONGEST} characters"
            raise CommandError(f"expected {what}, got {much}; nothing was stored", ExitCode.REFUSED)
        if is_rsa_key(value) and "-----END" not in value:
            do = f"give both by standard input: (echo KEY; cat alice.pem) | {pasteable('secret set ACCOUNT')}"
            raise CommandError(f"expected a whole private key, got only its beginning; {do}", ExitCode.REFUSED)
        if is_rsa_key(value):
            if (wrong := key_problem(one_text(value))) is not None:
                raise CommandError(f"expected {wrong[0]}, got {wrong[1]}; {wrong[2]}", ExitCode.REFUSED)
        elif not value.isprintable() or " " in value:
            raise CommandError(f"expected {what}, got blanks or more lines; nothing was stored", ExitCode.REFUSED)
