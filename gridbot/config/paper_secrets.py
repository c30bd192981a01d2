"""Secrets of the paper exchange, from one random seed in the data directory, and who gets which secret.

A secret that follows from an account's name could be guessed by any web page that finds the port. So each data
directory has a seed (`paper.seed`, mode 0600), made at the first start; the secrets of its paper accounts and the token
of the control endpoint follow from it, and stay the same for as long as it is there.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.config.notify import NotifyConfig
from gridbot.config.telegram import TelegramConfig
from gridbot.exchange.environment import Environment
from gridbot.exchange.rsa_keys import is_rsa_key, public_half
from gridbot.private_files import make_directory, open_private

__all__ = [
    "SEED_FILE",
    "control_token",
    "forget_variables",
    "knowing_only",
    "of_account",
    "paper_seed",
    "reaching_fleet",
    "verifying_only",
    "with_paper_secrets",
]

SEED_FILE: Final = "paper.seed"
SEED_BYTES: Final = 32
SECRET_CHARS: Final = 36
SHORTEST_PART: Final = 8
"""Characters of a variable's value that make it a part of a secret, and not just a number that is in it, too."""


def paper_seed(data_dir: Path) -> bytes:
    """The seed of a data directory; made when there is none. Raises OSError, ValueError when the file has no seed."""
    path = data_dir / SEED_FILE
    make_directory(data_dir)
    with contextlib.suppress(FileExistsError), contextlib.ExitStack() as made:
        temporary = path.with_name(f"{SEED_FILE}.{os.getpid()}.tmp")
        made.callback(temporary.unlink, missing_ok=True)
        if not path.exists():
            with open_private(temporary, "w") as file:
                file.write(secrets.token_hex(SEED_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # two that begin at once agree on the one that was first
    with open_private(path, "r") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            os.fchmod(file.fileno(), 0o600)
        text = file.read().strip()
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) < SEED_BYTES:
        raise ValueError(f"expected {2 * SEED_BYTES} hexadecimal digits in {path}; remove it, and a new one is made")
    return seed


def with_paper_secrets(config: GridbotConfig, seed: bytes) -> GridbotConfig:
    """The configuration with a secret for each paper account that names none."""

    def filled(account: AccountConfig) -> AccountConfig:
        if account.environment is not Environment.PAPER or account.api_secret.get_secret_value():
            return account
        return account.model_copy(update={"api_secret": SecretStr(_derived(seed, f"account {account.name}"))})

    return config.model_copy(update={"accounts": tuple(filled(account) for account in config.accounts)})


def control_token(seed: bytes) -> str:
    """What the control endpoint of the paper exchange asks for."""
    return _derived(seed, "control")


def knowing_only(config: GridbotConfig, *names: str) -> GridbotConfig:
    """The configuration with keys and secrets of these accounts, and no others; without `notify` and `telegram`, and
    without the way to PostgreSQL."""
    nothing = {"api_key": SecretStr(""), "api_secret": SecretStr("")}
    accounts = tuple(each if each.name in names else each.model_copy(update=nothing) for each in config.accounts)
    fleet = config.fleet.model_copy(update={"dsn": SecretStr(""), "keys": {}})
    others = {"notify": NotifyConfig(), "telegram": TelegramConfig(), "fleet": fleet}
    return config.model_copy(update={"accounts": accounts, **others})


def of_account(config: GridbotConfig, name: str, bare: GridbotConfig | None = None) -> GridbotConfig:
    """What the worker of an account is given: its own keys and strategies; of the others that they exist, no more.

    `bare` is `knowing_only(config)`, for who makes many. In a fleet of fifty this is a tenth of the whole.
    """
    bare = bare or knowing_only(config)
    accounts = tuple(config.account(name) if each.name == name else each for each in bare.accounts)
    return bare.model_copy(update={"accounts": accounts, "strategies": tuple(config.strategies_of(name))})


def reaching_fleet(config: GridbotConfig) -> GridbotConfig:
    """The configuration without any key or secret but the way to PostgreSQL, for who ships records there."""
    bare = knowing_only(config)
    return bare.model_copy(update={"fleet": bare.fleet.model_copy(update={"dsn": config.fleet.dsn})})


def verifying_only(config: GridbotConfig) -> GridbotConfig:
    """The configuration with the public halves of RSA keys: who only checks signatures needs no private one."""

    def halved(account: AccountConfig) -> AccountConfig:
        secret = account.api_secret.get_secret_value()
        if not is_rsa_key(secret):
            return account
        return account.model_copy(update={"api_secret": SecretStr(public_half(secret))})

    return config.model_copy(update={"accounts": tuple(halved(account) for account in config.accounts)})


def forget_variables(config: GridbotConfig, environ: MutableMapping[str, str] = os.environ) -> list[str]:
    """Remove the variables that hold a key or a secret, or a part of one, so that no child gets them; their names."""
    known = [secret for secret in config.secrets() if len(secret) >= SHORTEST_PART]
    hosts = [secret for secret in known if "://" in secret]
    """Whole addresses, of which a part such as the host is no secret: `NO_PROXY` may have it."""

    def tells(value: str) -> bool:
        is_part = len(value) >= SHORTEST_PART and any(value in secret for secret in known if secret not in hosts)
        return is_part or any(secret in value for secret in known)

    names = [name for name, value in environ.items() if tells(value)]
    for name in names:
        del environ[name]
    return names


def _derived(seed: bytes, purpose: str) -> str:
    return hmac.digest(seed, f"gridbot paper {purpose}".encode(), "sha256").hex()[:SECRET_CHARS]
