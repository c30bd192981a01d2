"""`keyring: true` and `secret`: the real package, with backends of `keyring_backends`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from gridbot.command_line import install_line
from gridbot.config import system_keyring
from gridbot.config.loading import load_file
from gridbot.config.system_keyring import Trouble, ask_keyring
from gridbot.config.value_sources import account_values
from supervisor.cli import secret_commands
from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError
from tests.config.keyring_backends import BACKENDS, environ_of

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "accounts:\n  - name: alice\n    environment: testnet\n"
LINE = "    keyring: true\n"
KEY, SECRET = "planted-key-0001", "planted-secret-0123456789"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in ({**environ_of(tmp_path), "PLANTED": SECRET}).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "g.yaml").write_text(ACCOUNT + LINE)
    return tmp_path


def stored(place: Path, account: str = "alice") -> None:
    (place / f"gridbot+{account}+api_key").write_text(KEY)
    (place / f"gridbot+{account}+api_secret").write_text(SECRET)


def secret(place: Path, line: str, typed: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["secret", *line.split(), "-c", str(place / "g.yaml")], input=typed)
    refused = done.exception if isinstance(done.exception, CommandError) else None
    told = " ".join((str(refused or "") + done.output).split())
    assert KEY not in told
    assert SECRET not in told
    return refused.code if refused else done.exit_code, told


def test_set_check_and_remove(place: Path) -> None:
    where = f"in the system keyring ({BACKENDS}.Files)"
    code, said = secret(place, "check alice")
    assert (code, said.count(f"is not {where}")) == (9, 2)
    assert secret(place, "set alice", f"{KEY}\n {SECRET}\n") == (0, f"alice: key and secret are {where}")
    account = load_file(place / "g.yaml", environ=os.environ).config.account("alice")
    assert (account.api_key.get_secret_value(), account.api_secret.get_secret_value()) == (KEY, SECRET)
    assert secret(place, "check alice") == (0, f"alice: key is {where} alice: secret is {where}")
    (place / "g.yaml").write_text(ACCOUNT)
    assert "write `keyring: true` in its section" in secret(place, "set alice", f"{KEY}\n{SECRET}\n")[1]
    assert secret(place, "remove alice") == (0, f"alice: key and secret are not {where} any more")
    assert secret(place, "remove alice")[0] == 0, "also when nothing is there"
    assert [file.name for file in place.iterdir()] == ["g.yaml"]


def test_what_set_refuses_stores_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for typed, told in (
        ("", "expected one line with the API key, got nothing"),
        (f"{KEY}\n", "expected the API secret after the line of the key, got nothing"),
        (f"{KEY}\n{SECRET}\nmore\n", "expected the API secret after the line of the key, got blanks or more lines"),
        (f"{KEY}\n{'x' * 8193}\n", "got more than 8192 characters"),
        (f"{KEY}\n-----BEGIN PRIVATE KEY-----\n", "got only its beginning; give both by standard input"),
        (f"{KEY}\n-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n", "expected an RSA private key in PEM"),
    ):
        code, said = secret(place, "set alice", typed)
        assert (code, told in said) == (7, True), said
    code, said = secret(place, "set alcie", f"{KEY}\n{SECRET}\n")
    assert (code, "expected alice, got 'alcie'; did you mean alice?" in said) == (2, True)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"{BACKENDS}.Broken")
    code, said = secret(place, "set alice", f"{KEY}\n{SECRET}\n")
    assert (code, "got a failure (RuntimeError)" in said) == (7, True), said
    monkeypatch.setattr(secret_commands, "_is_typed", lambda: True)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    code, said = secret(place, "set alice", f"{KEY}\n{SECRET}\n")
    assert (code, said.startswith("expected a system keyring, got no backend")) == (7, True), (
        "and nothing was asked for"
    )
    assert "not shown" not in said
    assert [file.name for file in place.iterdir()] == ["g.yaml"]


def test_config_show_and_who_is_not_asked(place: Path) -> None:
    stored(place)
    (place / "g.yaml").write_text(
        f"defaults: {{accounts: {{keyring: true}}}}\n{ACCOUNT}  - {{name: bob, environment: paper}}\n"
    )
    file = load_file(place / "g.yaml", environ=os.environ)
    shown = {each.key: each for each in account_values(file, "alice", {})}
    assert (shown["api_secret"].value, shown["api_secret"].line) == ("set", 1)
    assert shown["api_key"].origins == ("the system keyring",)
    assert SECRET in file.config.secrets()
    assert file.config.account("bob").api_key.get_secret_value() == "paper-bob"


@pytest.mark.parametrize(
    ("lines", "backend", "said"),
    [
        (LINE, f"{BACKENDS}.Files",
         f"4: accounts[0].keyring: expected key and secret of account alice in the system keyring ({BACKENDS}.Files), "
         "got no api_key and no api_secret; store both: gridbot-supervisor secret set alice -c "),
        (LINE, f"{BACKENDS}.Locked",
         "4: accounts[0].keyring: expected a system keyring that is unlocked, got a locked one"),
        (LINE, "keyring.backends.fail.Keyring",
         "4: accounts[0].keyring: expected a system keyring, got no backend of the package keyring that works here; "
         "a service has none: there use systemd's credentials, `api_key_file: ${CREDENTIALS_DIRECTORY}/NAME`"),
        (LINE, "keyring.backends.null.Keyring", "4: accounts[0].keyring: expected a system keyring, got no backend"),
        (LINE, "no.such.Backend", "4: accounts[0].keyring: expected an answer of the system keyring, got a failure ("),
        ("    api_key: k\n" + LINE, f"{BACKENDS}.Files",
         "5: accounts[0].keyring: expected `keyring` or `api_key`, got both; remove one of the two"),
    ],
    ids=["missing", "locked", "fail", "null", "unknown", "both"],
)  # fmt: skip
def test_what_is_refused_is_told_once(
    tmp_path: Path, refusal: Callable[..., list[str]], lines: str, backend: str, said: str
) -> None:
    second = "" if "api_key" in lines else ACCOUNT.partition("\n")[2].replace("alice", "carl") + LINE
    told, *others = refusal(
        ACCOUNT + lines + second + "  - {name: bob, environment: paper}\n", **environ_of(tmp_path, backend)
    )
    assert told.startswith(said)
    assert [each[:5] for each in others] == (["7: ac"] if "secret set" in said else []), "one of all, or one of each"


def test_without_the_package(tmp_path: Path, refusal: Callable[..., list[str]]) -> None:
    (tmp_path / "keyring.py").write_text("raise ImportError\n")
    environ = {**environ_of(tmp_path), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    (told,) = refusal(ACCOUNT + LINE, **environ)
    assert "expected the package keyring, got none; install it: " + install_line("keyring") in told


def test_a_keyring_that_waits_for_a_password_ends_the_question(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"got none in 0\.1 s; unlock it first"):
        ask_keyring("get", ["alice/api_key"], environ_of(tmp_path, f"{BACKENDS}.Waits"), 0.1)


def test_the_child_gets_no_other_variable_and_no_value_as_an_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs a real Python that writes down what it got."""
    spy = tmp_path / "spy.py"
    spy.write_text("import os, sys\nprint('ok', sys.argv, dict(os.environ), sep='\\0', end='')\n")
    monkeypatch.setattr(system_keyring, "_CHILD", spy)
    answer = ask_keyring("set", ["alice/api_secret", SECRET], {**environ_of(tmp_path), "PLANTED": SECRET})
    assert "KEYRING_TEST_PLACE" in answer.values[0]
    assert SECRET not in answer.backend + answer.values[0]


def test_loading_imports_no_keyring(place: Path) -> None:
    stored(place)
    code = (
        "import sys, os\nfrom gridbot.config.loading import load_config\n"
        f"load_config({str(place / 'g.yaml')!r}, environ=os.environ)\nprint('keyring' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("False\n", "")
