"""Secrets of paper accounts: random per data directory, and each process gets its own only."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import (
    SEED_FILE,
    control_token,
    forget_variables,
    knowing_only,
    of_account,
    paper_seed,
    with_paper_secrets,
)


def config(*accounts: dict[str, Any]) -> GridbotConfig:
    given = accounts or (
        {"name": "alice"},
        {"name": "bob"},
        {"name": "erin", "api_key": "own", "api_secret": "own-secret"},
    )
    return GridbotConfig.model_validate({"environment": "paper", "accounts": list(given)})


def secrets_of(settings: GridbotConfig) -> list[str]:
    return [account.api_secret.get_secret_value() for account in settings.accounts]


def test_they_are_random_in_each_directory_and_stay_the_same_in_one(tmp_path: Path) -> None:
    here, there = paper_seed(tmp_path / "here"), paper_seed(tmp_path / "there")
    first, second = with_paper_secrets(config(), here), with_paper_secrets(config(), there)
    assert not set(secrets_of(first)[:2]) & set(secrets_of(second)[:2])
    assert len({*secrets_of(first), control_token(here), control_token(there)}) == 5
    assert all(len(secret) == 36 for secret in secrets_of(first)[:2])
    assert secrets_of(with_paper_secrets(config(), paper_seed(tmp_path / "here"))) == secrets_of(first)
    assert secrets_of(first)[2] == "own-secret"
    assert secrets_of(config()) == ["", "", "own-secret"], "not to be guessed from a name"


def test_the_seed_is_for_its_user_alone_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        seed = paper_seed(tmp_path / "data")
    finally:
        os.umask(before)
    path = tmp_path / "data" / SEED_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == [SEED_FILE]
    path.chmod(0o644)
    assert paper_seed(tmp_path / "data") == seed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_seed_that_is_no_seed_or_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / SEED_FILE
    for text in ("", "sesame", "ab" * 31):
        path.write_text(text)
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            paper_seed(tmp_path)
    other = tmp_path / "other"
    path.rename(other)
    path.symlink_to(other)
    with pytest.raises(OSError, match="symbolic link"):
        paper_seed(tmp_path)


def test_a_process_knows_the_accounts_it_is_for() -> None:
    settings = with_paper_secrets(config(), b"seed")
    only = knowing_only(settings, "bob")
    assert [account.api_key.get_secret_value() for account in only.accounts] == ["", "paper-bob", ""]
    assert secrets_of(only) == ["", secrets_of(settings)[1], ""]
    assert not any(knowing_only(settings).secrets())


def test_a_worker_is_given_its_own_keys_and_strategies_and_who_else_there_is() -> None:
    trades = [
        {"strat_id": f"{name}-btc", "account": name, "symbol": "BTCUSDT", "amount": "q0.1"} for name in ("alice", "bob")
    ]
    plain = GridbotConfig.model_validate(
        {
            **config().model_dump(include={"accounts": {"__all__": {"name"}}}),
            "environment": "paper",
            "strategies": trades,
        }
    )
    settings = with_paper_secrets(plain, b"seed")
    own = of_account(settings, "bob")
    assert own.accounts == knowing_only(settings, "bob").accounts
    assert list(own.strategies) == settings.strategies_of("bob")
    assert len(own.strategies) == 1
    assert (own.neighbours("bob"), own.cap_scopes()) == (settings.neighbours("bob"), settings.cap_scopes())


def test_variables_with_a_secret_or_a_part_of_one_are_forgotten() -> None:
    settings = config({"name": "alice", "environment": "testnet", "api_key": "k" * 18, "api_secret": "a-long-middle-z"})
    environ = {
        "ALICE_API_KEY": "k" * 18,
        "COPY": "export=a-long-middle-z",
        "PART": "long-middle",
        "SHLVL": "1",
        "A": "z",
        "HOME": "/root",
    }
    assert sorted(forget_variables(settings, environ)) == ["ALICE_API_KEY", "COPY", "PART"]
    assert environ == {"SHLVL": "1", "A": "z", "HOME": "/root"}
