"""`api_key_file`, `api_secret_file`, RSA keys, and what is said of files that others can read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from Crypto.PublicKey import ECC, RSA

from gridbot.config.loading import load_config, load_file
from gridbot.config.paper_secrets import knowing_only, verifying_only
from gridbot.config.secret_files import open_to_others, secret_file_warnings
from gridbot.config.value_sources import account_values
from gridbot.exchange.rsa_keys import public_half

ACCOUNT = "accounts:\n  - name: alice\n    environment: testnet\n"
SECRET = "planted-secret-0123456789"


@pytest.fixture(scope="module")
def pem() -> str:
    return RSA.generate(2048).export_key().decode()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a key and a secret in files."""
    (tmp_path / "key").write_text("planted-key\n")
    (tmp_path / "secret").write_text(f"  {SECRET}\n")
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    return tmp_path


def written(place: Path, lines: str) -> Path:
    path = place / "g.yaml"
    path.write_text(ACCOUNT + lines)
    return path


def test_a_key_and_a_secret_from_files(place: Path) -> None:
    path = written(place, "    api_key_file: key\n    api_secret_file: ${PLACE}/secret\n")
    file = load_file(path, environ={"PLACE": str(place)})
    account = file.config.account("alice")
    assert (account.api_key.get_secret_value(), account.api_secret.get_secret_value()) == ("planted-key", SECRET)
    assert (account.api_key_file, account.api_secret_file) == (place / "key", place / "secret")
    assert SECRET in file.config.secrets()
    shown = {each.key: each for each in account_values(file, "alice", {})}
    assert (shown["api_secret"].value, shown["api_secret"].line) == ("set", 5)
    assert shown["api_key"].origins == ("the file key that api_key_file names",)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("    api_key: k\n    api_key_file: key\n    api_secret_file: secret\n",
         "5: accounts[0].api_key_file: expected `api_key` or `api_key_file`, got both; remove one of the two"),
        ("    api_key_file: key\n    api_secret_file: nowhere\n",
         "5: accounts[0].api_secret_file: expected a file with the value of `api_secret`, got an unreadable file "),
        ("    api_key_file: key\n    api_secret_file: .\n",
         "5: accounts[0].api_secret_file: expected a file with the value of `api_secret`, got an unreadable file "),
        ("    api_key_file: key\n    api_secret_file: $HOME/secret\n",
         "5: accounts[0].api_secret_file: expected a path, with variables as ${NAME}"),
        ("    api_key_file: key\n", "2: accounts[0].api_secret: expected api_secret for environment testnet, got noth"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_once(place: Path, refusal: Callable[..., list[str]], lines: str, said: str) -> None:
    (told,) = refusal(ACCOUNT + lines)
    assert told.startswith(said)
    assert SECRET not in told


def test_two_accounts_without_their_files_are_not_said_to_share_a_key(refusal: Callable[..., list[str]]) -> None:
    files = "    api_key_file: nowhere\n    api_secret_file: nowhere\n"
    told = refusal(ACCOUNT + files + ACCOUNT.partition("\n")[2].replace("alice", "bob") + files)
    assert [each[:3] for each in told] == ["4: ", "5: ", "8: ", "9: "]


AS_WRITTEN = {
    "a line end of Windows": b"planted-key\r\n",
    "a byte order mark, as editors of Windows write it": b"\xef\xbb\xbfplanted-key\r\n",
    "blanks": b"\n  planted-key\t\n\n",
}
NO_KEY = {
    "two lines": (b"planted-key\nplanted-key-2\n", "blanks or other signs in it, not shown"),
    "a blank": (b"planted key", "blanks or other signs in it, not shown"),
    "a letter that no header takes": ("planted-\u00fckey".encode(), "blanks or other signs in it, not shown"),
    "UTF-16, as PowerShell writes it": ("planted-key".encode("utf-16"), "(not text)"),
    "a NUL": (b"planted\0key", "blanks or other signs in it, not shown"),
    "nothing": (b" \r\n", "an empty file"),
    "too much": (b"x" * 8193, "a file of more than 8,192 bytes"),
}


def test_what_a_file_or_a_variable_may_have_around_a_key_and_what_is_none(
    place: Path, refusal: Callable[..., list[str]]
) -> None:
    by_file, by_variable = "    api_key_file: key\n", "    api_key: ${KEY}\n"
    for name, data in AS_WRITTEN.items():
        (place / "key").write_bytes(data)
        given = [(by_file, {}), (by_variable, {"KEY_FILE": str(place / "key")})]
        given += [] if data.startswith(b"\xef") else [(by_variable, {"KEY": data.decode()})]
        for lines, environ in given:
            config = load_config(written(place, lines + "    api_secret_file: secret\n"), environ=environ)
            assert config.account("alice").api_key.get_secret_value() == "planted-key", (name, lines)
    for name, (data, words) in NO_KEY.items():
        (place / "key").write_bytes(data)
        (told,) = refusal(ACCOUNT + by_file + "    api_secret_file: secret\n")
        assert words in told, name
        assert "planted" not in told.replace("planted-secret", ""), name


def test_a_file_that_would_never_end_or_loops_is_refused_at_once(
    place: Path, refusal: Callable[..., list[str]]
) -> None:
    os.mkfifo(place / "pipe")
    (place / "loop").symlink_to(place / "loop")
    (place / "link").symlink_to(place / "key")
    for name, words in {
        "pipe": "something else than a file",
        "loop": "symbolic links",
        "/dev/zero": "else than a f",
    }.items():
        (told,) = refusal(ACCOUNT + f"    api_key_file: {name}\n    api_secret_file: secret\n")
        assert words in told, name
    config = load_config(written(place, "    api_key_file: link\n    api_secret_file: secret\n"), environ={})
    assert config.account("alice").api_key.get_secret_value() == "planted-key"


def keys(pem: str) -> dict[str, tuple[str, str]]:
    """By a name: a key that cannot sign, and what came."""
    key = RSA.import_key(pem)
    return {
        "public": (key.public_key().export_key().decode(), "a public key"),
        "short": (RSA.generate(1024).export_key().decode(), "one of 1024 bits"),
        "passphrase": (key.export_key(passphrase="x", pkcs=8).decode(), "one with a passphrase"),
        "elliptic": (ECC.generate(curve="P-256").export_key(format="PEM"), "an elliptic key"),
        "cut": (pem[:300], "a key that cannot be read"),
    }


def test_an_rsa_key_that_cannot_sign_is_refused_without_a_line_of_it(
    place: Path, refusal: Callable[..., list[str]], pem: str
) -> None:
    for name, (text, came) in keys(pem).items():
        (place / "secret").write_text(text)
        (told,) = refusal(ACCOUNT + "    api_key_file: key\n    api_secret_file: secret\n")
        what = "an RSA private key in PEM, of 2048 bits or more, without a passphrase"
        assert told.startswith(f"5: accounts[0].api_secret_file: expected {what}, got {came};"), name
        assert not any(line in told for line in text.splitlines()[1:-1]), name


def test_an_rsa_key_with_either_line_end_and_who_knows_which_half(place: Path, pem: str) -> None:
    path = written(place, "    api_key_file: key\n    api_secret: ${PEM}\n")
    for text in (pem, pem + "\n", pem.replace("\n", "\\n")):
        config = load_config(path, environ={"PEM": text})
        assert config.account("alice").api_secret.get_secret_value() == pem.strip()
    assert config.has_rsa_keys
    assert {pem.strip(), *pem.splitlines()[1:-1]} <= set(config.secrets()), "also line by line"
    halved = verifying_only(config).account("alice").api_secret.get_secret_value()
    assert halved == public_half(pem)
    assert "PRIVATE" not in halved
    assert verifying_only(knowing_only(config)).account("alice").api_secret.get_secret_value() == ""


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that everybody may enter. pytest's own are closed again by each pytest that starts beside it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o711)
        yield Path(made)


def test_files_with_secrets_that_others_can_read_are_named(open_place: Path) -> None:
    place = open_place
    path = written(place, f"    api_key: ${{KEY}}\n    api_secret: {SECRET}\nweb: {{metrics_token_file: token}}\n")
    environ = {"KEY_FILE": str(place / "key"), "GRIDBOT_DATA_DIR": str(place)}
    for name in ("key", "token", "g.yaml"):
        with (place / name).open("a") as written_to:
            written_to.write("#planted-key")
        (place / name).chmod(0o600)
    file = load_file(path, environ=environ)
    assert list(secret_file_warnings(file, path, environ)) == []
    opened = [place / name for name in ("g.yaml", "key", "token")]
    for each in opened:
        each.chmod(0o644)
    found = list(secret_file_warnings(file, path, environ))
    assert [each.partition(":")[0] for each in found] == [
        f"the configuration has secrets written into it, {opened[0]}",
        f"the file that KEY_FILE names, {opened[1]}",
        f"web.metrics_token_file, {opened[2]}",
    ]
    assert all("every user of this machine can read or change it; chmod 600 /" in each for each in found)
    (place / "dsn").write_text("postgresql://h1:planted-password@127.0.0.1/fleet")
    (place / "h1.yaml").write_text("fleet: {name: night, host: h1, dsn_file: dsn}\n")
    (place / "h1.yaml").chmod(0o600)
    of_host = load_file(place / "h1.yaml", environ=environ)
    for mode, count in ((0o644, 1), (0o600, 0)):
        (place / "dsn").chmod(mode)
        told = list(secret_file_warnings(of_host, place / "h1.yaml", environ))
        assert [each.startswith(f"fleet.dsn_file, {place / 'dsn'}: every user") for each in told] == [True] * count
    place.chmod(0o700)
    assert list(secret_file_warnings(file, path, environ)) == [], "nobody else gets into the directory"
    assert open_to_others(place / "nowhere") == ""
