"""`bundle`: what is in it, how large it may be, and that nothing which is broken keeps it from being made."""

from __future__ import annotations

import importlib.metadata
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gridbot.config.bundle_redaction import Redaction
from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError
from tests.store.session import make_session, write_all

FILE = "environment: paper\naccounts: [{name: alice, api_secret: %s}]\nstrategies: []\n"
SECRET = "planted-in-the-file-01"
SCRAPER = "planted-token-of-metrics-02"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A data directory with records, logs of which one has a secret that nobody hid, and state."""
    data = tmp_path / "data"
    make_session(data)
    write_all(data)
    (data / "logs").mkdir()
    for name in ("supervisor", "worker-alice"):
        (data / "logs" / f"{name}.jsonl").write_text(f"first line\n{'x' * 100} {SECRET}\n" * 500 + "last line\n")
    (data / "state" / "alice").mkdir(parents=True, exist_ok=True)
    (data / "state" / "alice" / "holds.json").write_text(json.dumps({"why": SECRET}))
    for directory, name in (("notify", "notify.json"), ("web", "metrics_token")):
        (data / directory).mkdir()
        (data / directory / name).write_text(SCRAPER)
    (tmp_path / "g.yaml").write_text(FILE % SECRET)
    return tmp_path


def packed(place: Path, *words: str) -> tuple[Result, dict[str, bytes]]:
    """What the command said, and each file of the bundle."""
    target = place / "it.zip"
    target.unlink(missing_ok=True)
    line = ["bundle", str(target), "-c", str(place / "g.yaml"), "--data-dir", str(place / "data"), "--offline", *words]
    done = CliRunner().invoke(cli, line)
    if not target.exists():
        return done, {}
    assert target.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(target) as archive:
        return done, {name.removeprefix("gridbot-bundle/"): archive.read(name) for name in archive.namelist()}


def test_it_has_what_a_report_needs_and_no_secret(place: Path) -> None:
    done, files = packed(place)
    assert done.exit_code == 0, done.output
    wanted = {"README.txt", "versions.json", "configuration.json", "doctor.json", "logs/supervisor.jsonl"}
    assert (
        wanted | {"logs/worker-alice.jsonl", "state/alice/holds.json", "notify/notify.json", "records/executions.csv"}
        <= files.keys()
    )
    installed = {each.name: each.version for each in importlib.metadata.distributions()}
    assert json.loads(files["versions.json"])["packages"] == installed
    assert not [name for name, data in files.items() for each in (SECRET, SCRAPER) if each.encode() in data]
    assert b"********\n" in files["logs/supervisor.jsonl"]
    assert files["logs/supervisor.jsonl"].endswith(b"last line\n")
    assert b"left out: status.json: no supervisor runs" in files["README.txt"]
    for name, data in files.items():
        assert name == "README.txt" or f"{len(data):>12,}  {name}\n" in done.stdout, "what is in it and how large"
    assert done.stdout.splitlines()[-1].startswith(f"{place / 'it.zip'}: ")
    values = json.loads(files["configuration.json"])["sections"][1]["values"]
    assert next(each["value"] for each in values if each["key"] == "api_secret") == "set"
    for target, said in (("it.zip", "expected a new file"), ("none/it.zip", "expected to be able to write")):
        again = CliRunner().invoke(cli, ["bundle", str(place / target), "--data-dir", str(place / "data"), "--offline"])
        assert said in str(again.exception)
        assert isinstance(again.exception, CommandError)


def test_that_of_a_fleets_host_does_not_have_the_password_of_its_database(place: Path) -> None:
    password = "0123456789abcdef0123456789abcdef"  # as `fleet demo` makes them
    (place / "dsn").write_text(f"postgresql://gridbot:{password}@127.0.0.1:1/none")
    (place / "dsn").chmod(0o600)
    (place / "g.yaml").write_text("fleet: {name: f, host: h1, dsn_file: dsn}\n")
    (place / "data" / "logs" / "supervisor.jsonl").write_text(f"to gridbot:{password}@127.0.0.1\nhost h1\n")
    done, files = packed(place)
    assert done.exit_code == 0, done.output
    assert b"host h1\n" in files["logs/supervisor.jsonl"]
    assert "configuration.json" in files
    assert [name for name, data in files.items() if password.encode() in data] == []


def test_it_is_not_larger_than_asked_and_keeps_the_newest(place: Path) -> None:
    (place / "data" / "logs" / "writer.jsonl").write_bytes(b"old\n" * 500_000 + b"newest\n")
    (place / "data" / "state" / "huge").write_bytes(bytes(3_000_000))
    done, files = packed(place, "--max-size", "1", "--rows", "2")
    assert sum(len(data) for name, data in files.items() if name != "README.txt") <= 1_000_000
    assert files["logs/writer.jsonl"].endswith(b"old\nnewest\n")
    assert "left out: state/huge: 3,000,000 bytes" in done.stdout
    assert "left out: logs/writer.jsonl: the first " in done.stdout
    assert files["records/executions.csv"].count(b"\n") == 3, "a head and two rows"


@pytest.mark.parametrize(
    ("broken", "said"),
    [("g.yaml", "doctor.json: "), ("data/gridbot.duckdb", "records: "), ("data/logs", "logs: none are in")],
)
def test_what_is_broken_costs_only_itself(place: Path, broken: str, said: str) -> None:
    path = place / broken
    if path.is_dir():
        for each in path.iterdir():
            each.unlink()
    else:
        path.write_text(FILE.replace("strategies", "nonsense") % SECRET)
    done, files = packed(place)
    assert done.exit_code == 0, done.output
    assert f"left out: {said}" in done.stdout
    assert ("configuration-refused.txt" in files) is (broken == "g.yaml")
    assert {"README.txt", "versions.json", "state/alice/holds.json"} <= files.keys()


def test_a_disk_that_is_full_leaves_no_half_of_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    done, files = packed(place)
    assert isinstance(done.exception, CommandError)
    assert "it.zip, got: No space left on device; name another file" in str(done.exception)
    assert files == {}


HIDES: dict[str, tuple[str, str]] = {
    "a bearer": ("Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
    "a bot's token": ("https://api.telegram.org/bot123456789:AAE-abcdefghijklmnopqrstuvwxyz012345/getMe", "AAE-abc"),
    "a hook of Slack": ("POST https://hooks.slack.com/services/T0/B0/abcdef", "T0/B0"),
    "a hook of Discord": ("https://discord.com/api/webhooks/1/abc-def x", "abc-def"),
    "a password of an address": ("mailtos://me:hunter22@example.com", "hunter22"),
    "a secret by its key": ('{"api_secret": "abcdef0123"}', "abcdef0123"),
    "a header": ("X-BAPI-SIGN: 0123456789abcdef", "0123456789abcdef"),
    "a private key": ("x -----BEGIN PRIVATE KEY-----\nMIIEv\n-----END PRIVATE KEY----- y", "MIIEv"),
    "a token in a query": ("GET https://ntfy.example/x?token=abcdefghijk123&y=1", "abcdefghijk123"),
    "a token by a name of its own": ('{"webhook_token": "zzzzzzzzzz99", "next": 1}', "zzzzzzzzzz99"),
    "a secret of another program": ("client_secret: qqqqqqqq88", "qqqqqqqq88"),
    "a password with a slash": ("postgres://me:pa/ssword@host/x", "ssword"),
    "half a private key": ("-----BEGIN RSA PRIVATE KEY-----\nMIIEv\n", "MIIEv"),
}


@pytest.mark.parametrize("what", HIDES)
def test_what_looks_like_a_secret_is_hidden_though_nobody_knows_it(what: str) -> None:
    text, secret = HIDES[what]
    hidden = Redaction(()).of(text.encode()).decode()
    assert secret not in hidden
    assert "********" in hidden


def test_a_line_without_end_costs_no_more_than_its_length() -> None:
    """Each of these took minutes, or hours, when a pattern could begin anywhere in it and run to its end."""
    for text in (b"a.b-" * 200_000, b"a+" * 400_000, b"api_key=" * 100_000, b"a://b:" * 100_000, b"bearer " * 100_000):
        Redaction(()).of(text)


@pytest.mark.parametrize("text", ['{"key": "api_secret", "value": "set"}', "http://127.0.0.1:8797/login", "x: ${A_B}"])
def test_what_is_none_stays(text: Any) -> None:
    assert Redaction(("short",)).of(text.encode()).decode() == text
