"""Secrets of every kind are planted: nothing that a real run wrote has one, though its workers crash telling them."""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import sys
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

import duckdb
import psutil
import pytest
from Crypto.PublicKey import RSA

from benchmarks.parts.own_supervisor import child_rows
from gridbot.config.loading import load_config
from gridbot.config.paper_secrets import SEED_FILE, control_token, paper_seed, with_paper_secrets
from tests.config.keyring_backends import BACKENDS, ROOT
from tests.supervisor.notify.post_office import post_office

from .conftest import Session, wait_for
from .secret_search import found_in, process_bytes, written

SHORT = {
    "API secret in a variable": "planted-env-secret-000001",
    "API secret in a file that a variable names": "planted-envfile-secret-02",
    "API secret in the configuration": "planted-inline-secret-003",
    "API key": "PLANTEDKEY000000004",
    "API key in the system keyring": "PLANTEDKEYRINGKEY04b",
    "API secret in the system keyring": "planted-keyring-secret-04c",
    "API key in a credential of systemd": "PLANTEDCREDENTIAL04d",
    "API secret in a credential of systemd": "planted-credential-secret-4e",
    "password of an address": "planted-password-0000005",
    "token of an address": "planted-hook-token-000006",
    "token of the ping": "planted-ping-token-000007",
    "token of a bot": "1234567890:AA-planted-bot-token-abcdefghijklmn",
    "token of metrics": "planted-metrics-token-0008",
}
"""Those that a test can write; an RSA key, the seed, a login and what follows from them are made."""

CONFIG = """
environment: paper
accounts:
  - {{name: alice, api_secret_file: {place}/alice.pem}}
  - {{name: bob, api_secret: "${{BOB_SECRET}}"}}
  - {{name: carol, api_secret: planted-inline-secret-003}}
  - {{name: erin}}
  - {{name: dora, environment: testnet, api_key_file: {place}/dora.key, api_secret: "${{DORA_SECRET}}"}}
  - {{name: frank, environment: testnet, keyring: true}}
  - name: grace
    environment: testnet
    api_key_file: ${{CREDENTIALS_DIRECTORY}}/grace.key
    api_secret_file: ${{CREDENTIALS_DIRECTORY}}/grace.secret
strategies:
  - {{strat_id: a, account: alice, symbol: BTCUSDT, grid_count: 12, grid_step: 0.1, amount: x0.0115}}
  - {{strat_id: b, account: bob, symbol: BTCUSDT, grid_count: 12, grid_step: 0.1, amount: x0.0115}}
paper: {{market: {{source: synthetic, seed: 20, symbols: {{BTCUSDT: {{price: 60000}}}}}}}}
supervisor: {{restart: {{max_restarts: 1, backoff_initial: 0.2}}}}
logging: {{level: DEBUG}}
web: {{port: 0, metrics_token_file: {place}/metrics.token}}
notify:
  routes: [{{name: phone, urls: ["${{HOOK}}"], level: warning}}]
  gather: 0
  after_restart: 0
  retry_initial: 0.2
  ping_url: http://127.0.0.1:{port}/ping/planted-ping-token-000007
  ping_period: 5
telegram: {{enabled: true, token: "${{BOT}}", api: "http://127.0.0.1:{port}", users: [{{id: 7, role: flatten}}]}}
"""

CRASHES = '''
"""Workers die once of an error that tells the secrets of their account; the live ones, without an exchange, always."""
import os, pathlib, sys
import logging

def plant():
    import gridbot.worker.entry as entry

    run = entry._run

    async def crash(spec, *rest):
        account = spec.settings.account(spec.account)
        mark = pathlib.Path(os.environ["CRASHED"], spec.account)
        live = ("dora", "frank", "grace")
        if spec.account in live or (spec.account in ("alice", "bob") and not mark.exists()):
            mark.touch()
            told = f"planted crash {account.api_key.get_secret_value()} {account.api_secret.get_secret_value()}"
            logging.getLogger("gridbot.worker").error("before it: %s", told, extra={"more": {"deep": [told]}})
            raise RuntimeError(told)
        return await run(spec, *rest)

    entry._run = crash

if "fork_server" in " ".join(sys.orig_argv):  # workers come from there; those who ask the keyring import none of it
    plant()
'''


def planted(session: Session, place: Path, environ: dict[str, str]) -> dict[str, str]:
    """All secrets of the run by their kinds."""
    seed = paper_seed(session.data_dir)
    config = with_paper_secrets(load_config(session.config, environ=environ, data_dir=session.data_dir), seed)
    made = {
        "RSA key": (place / "alice.pem").read_text().strip(),
        "seed of the paper accounts": seed.hex(),
        "control token of the paper exchange": control_token(seed),
        "paper secret that was made": config.account("erin").api_secret.get_secret_value(),
    }
    return SHORT | made


def fills_of(session: Session, account: str) -> int:
    return int(session.sql(f"SELECT count(*) AS n FROM fills WHERE account = '{account}'")[0]["n"])


def log_in(session: Session, url: str) -> dict[str, str]:
    """A code that was used, one that was not, the cookie and the page's key of a session."""
    codes = []
    for _ in range(2):
        shown = session.ask("open", "--print").stdout.split()
        codes.append(next(word for word in shown if word.count("-") == 3 and word.isupper()))
    form = urllib.parse.urlencode({"code": codes[0]}).encode()
    with urllib.request.urlopen(f"{url}/login", form, timeout=60) as answer:
        cookie = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
        key = answer.read().decode().partition('name="page-key" content="')[2].partition('"')[0]
    assert len(cookie) > 16
    assert len(key) > 16
    return {"login code": codes[0], "login code that waits": codes[1], "cookie": cookie, "key of the page": key}


@pytest.mark.system
def test_nothing_that_a_run_wrote_has_a_secret(gridbot, tmp_path, monkeypatch):
    place, hook, crashed = tmp_path / "keys", tmp_path / "hook", tmp_path / "crashed"
    credentials, keyring = tmp_path / "credentials", tmp_path / "keyring"
    for each in (place, hook, crashed, credentials, keyring):
        each.mkdir(mode=0o700)
    (hook / "sitecustomize.py").write_text(CRASHES)
    (place / "alice.pem").write_text(RSA.generate(2048).export_key().decode())
    (place / "dora.key").write_text(SHORT["API key"])
    (place / "dora.secret").write_text(SHORT["API secret in a file that a variable names"])
    (place / "metrics.token").write_text(SHORT["token of metrics"])
    for kind, part in (("key", "api_key"), ("secret", "api_secret")):
        (credentials / f"grace.{kind}").write_text(SHORT[f"API {kind} in a credential of systemd"])
        backend = {"PYTHON_KEYRING_BACKEND": f"{BACKENDS}.Files", "KEYRING_TEST_PLACE": str(keyring)}
        (keyring / f"gridbot+frank+{part}").write_text(SHORT[f"API {kind} in the system keyring"])
    for path in (*place.iterdir(), *credentials.iterdir()):
        path.chmod(0o600)
    with post_office() as office:
        session = gridbot.prepare(CONFIG.format(place=place, port=office.port))
        names = {
            "BOB_SECRET": SHORT["API secret in a variable"],
            "BOT": SHORT["token of a bot"],
            "DORA_SECRET_FILE": str(place / "dora.secret"),
            "HOOK": office.url(SHORT["token of an address"]).replace("//", f"//me:{SHORT['password of an address']}@"),
        }
        environment = {**session.environment(), **names, **backend, "CRASHED": str(crashed)}
        environment["CREDENTIALS_DIRECTORY"] = str(credentials)
        environment["PYTHONPATH"] = os.pathsep.join([str(hook), environment["PYTHONPATH"], str(ROOT)])
        monkeypatch.setattr(session, "environment", lambda: environment)
        process = session.launch()
        wait_for(lambda: process.poll() is not None or session.peek(), "the supervisor", session.tail)
        assert process.poll() is None, session.tail()

        def has_gone_on(status):
            rows = {row["account"]: row["process"]["state"] for row in status["accounts"]}
            given_up = rows["dora"] == rows["frank"] == rows["grace"] == "FATAL"
            return given_up and rows["alice"] == rows["bob"] == "RUNNING" and status["web"]["url"]

        status = session.wait(has_gone_on, "alice and bob after their crash, the live ones given up")
        wait_for((session.data_dir / "gridbot.duckdb").exists, "the database")  # workers may be sooner than the writer
        for account in ("alice", "bob"):
            wait_for(functools.partial(fills_of, session, account), f"fills of {account}, signed with its key")
        wait_for(lambda: any("dora" in str(letter) for letter in office.letters), "a message about dora")
        wait_for(lambda: any(path.startswith("/ping/") for path in office.asked), "the ping")
        wait_for(lambda: any(path.startswith("/bot") for path in office.asked), "the bot: its addresses have its token")
        secrets = planted(session, place, environment) | log_in(session, status["web"]["url"])

        outputs = tmp_path / "outputs"
        outputs.mkdir()
        for name, words in {
            "status": ("status", "--json"), "config": ("config", "show", "--running"), "metrics": ("metrics",),
            "check": ("check",), "alerts": ("alerts", "list", "--json"), "logs": ("logs", "--all", "-n", "3000"),
            "doctor": ("doctor", "--offline"), "bundle": ("bundle", str(tmp_path / "running.zip"), "--offline"),
        }.items():  # fmt: skip
            done = session.ask(*words)
            assert done.exit_code in (0, 6), (words, done.output)
            (outputs / name).write_text(done.output)
        pids = {name: row["pid"] for name, row in child_rows(session.status()).items() if row["pid"]}
        pids |= {part: session.status()[part]["process"]["pid"] for part in ("web", "notify")}
        supervisor = psutil.Process(session.status()["supervisor"]["pid"])
        others = {f"child {each.pid}": each.pid for each in supervisor.children(recursive=True)}  # the fork server, too
        known = list(process_bytes(pids | others, "cmdline", "environ"))
        assert {f"environ of {name}" for name in ("writer", "paper", "web", "notify")} <= {where for where, _ in known}
        known += process_bytes({"supervisor": supervisor.pid}, "cmdline")
        assert found_in(iter(known), secrets) == []
        session.stop()
        letters = json.dumps(office.letters)
    session.ask("bundle", str(tmp_path / "stopped.zip"), "--offline")

    state_home = session.data_dir.parent / "state-home"
    archives = [tmp_path / "running.zip", tmp_path / "stopped.zip"]
    everything = list(written(session.data_dir, session.console, state_home, outputs, *archives))
    found = [
        (name, where)
        for name, where in found_in(iter([*everything, ("letters", letters.encode())]), secrets)
        if (name, Path(where).name) != ("seed of the paper accounts", SEED_FILE)
    ]
    assert found == []
    crash = (session.data_dir / "logs" / "crash.log").read_text()
    assert crash.count("RuntimeError: planted crash") >= 3, "it was told, without what it told"
    for account in ("dora", "frank", "grace"):
        log = (session.data_dir / "logs" / f"worker-{account}.jsonl").read_text()
        assert "before it: planted crash" in log, account
    assert any(b"planted crash" in data for where, data in everything if "running.zip:" in where)
    for archive in archives:
        assert archive.stat().st_mode & 0o077 == 0
        has = {name.partition("/")[2] for name in zipfile.ZipFile(archive).namelist()}
        wanted = {"README.txt", "versions.json", "configuration.json", "doctor.json", "logs/crash.log"}
        wanted |= {"logs/worker-alice.jsonl", "logs/supervisor.jsonl", "records/executions.csv"}
        assert wanted <= has
        assert ("status.json" in has) is (archive.name == "running.zip")
        assert any(name.startswith("state/alice/") for name in has)


def test_the_search_finds_a_secret_wherever_it_is_written(tmp_path):
    secrets = {"short": "a planted & secret", "key": RSA.generate(1024).export_key().decode()}
    for name, secret in secrets.items():
        home = tmp_path / name
        home.mkdir()
        (home / "plain.log").write_text(f"... {secret} ...")
        (home / "line.jsonl").write_text(json.dumps({"message": secret}))
        (home / "address.log").write_text(f"http://x/{urllib.parse.quote(secret, safe='')}")
        (home / "packed.gz").write_bytes(gzip.compress(secret.encode()))
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("member", secret)
        (home / "bundle.zip").write_bytes(archive.getvalue())
        with duckdb.connect(str(home / "records.duckdb")) as con:
            con.execute("CREATE TABLE notes AS SELECT ? AS text FROM range(5000)", [secret])
        found = found_in(written(home), {name: secret})
        places = {Path(where.removeprefix(str(home))).name.partition(":")[0] for _, where in found}
        assert places == {"plain.log", "line.jsonl", "address.log", "packed.gz", "bundle.zip", "records.duckdb"}
        assert found_in(written(home), {"other": "another secret"}) == []
    (tmp_path / "half.log").write_text(secrets["key"].splitlines()[3])
    assert found_in(written(tmp_path / "half.log"), secrets) == [("key", str(tmp_path / "half.log"))]
    me = psutil.Popen([sys.executable, "-c", "input()", "in-an-argument"], env={"X": "in-a-variable"}, stdin=-1)
    try:
        planted = {"argument": "in-an-argument", "variable": "in-a-variable"}
        found = wait_for(lambda: found_in(process_bytes({"it": me.pid}, "cmdline", "environ"), planted), "its start")
        assert {name for name, _ in found} <= {"argument", "variable"}
        wait_for(
            lambda: len(found_in(process_bytes({"it": me.pid}, "cmdline", "environ"), planted)) == 2, "both of them"
        )
    finally:
        me.communicate(b"\n")
