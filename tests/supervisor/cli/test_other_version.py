"""Commands of this version against a supervisor of an earlier one, which runs on after a `git pull`.

`landed_statuses.json` has what supervisors of two landed versions answered to `{"op": "status"}`: the real programs of
these commits, on two strategies of a paper account. The refusals below are theirs, too.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from gridbot.version import __version__
from supervisor.cli import main as cli_module
from supervisor.control.control_server import ControlServer
from supervisor.status.other_version import as_ours, is_other
from supervisor.status.program_revision import REVISION, revision_of
from tests.case_table import case_table

STATUSES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "landed_statuses.json").read_text())
UNKNOWN = "unknown request {}: expected ping, status, stop, restart or worker"
NOT_TOLD = ["fleet", "requests", "caps", "web", "notify", "telegram"]
OURS = f"gridbot {__version__}" + (f" of revision {REVISION}" if REVISION else "")


class Earlier:
    """What a supervisor of an earlier version answers; `status` may be replaced."""

    def __init__(self) -> None:
        self.status: Any = None

    async def answer(self, request: dict[str, Any], who: str) -> dict[str, Any]:
        match request["op"]:
            case "ping":
                return {"ok": True, "pid": 30731, "version": "0.1.0", "state": "running"}
            case "status":
                return {"ok": True, "status": self.status}
            case "worker" if request["name"] == "resume":
                return {"ok": True, "delivered": True, "result": "2 active"}
            case "worker":
                return {"ok": False, "error": f"expected pause, resume or reconcile, got {request['name']!r}"}
            case other:
                return {"ok": False, "error": UNKNOWN.format(repr(other))}


@pytest.fixture
def earlier(tmp_path):
    """It listens in `tmp_path`."""
    loop, supervisor = asyncio.new_event_loop(), Earlier()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = ControlServer(tmp_path, supervisor.answer)
    asyncio.run_coroutine_threadsafe(server.open(), loop).result(10)
    yield supervisor
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """Runs a line as the console script does; its exit code, and what it printed to either stream."""
    (tmp_path / "logs").mkdir()
    monkeypatch.setenv("COLUMNS", "160")

    def run(line):
        monkeypatch.setattr(sys, "argv", ["gridbot-supervisor", *shlex.split(line), "--data-dir", str(tmp_path)])
        with pytest.raises(SystemExit) as end:
            cli_module.main()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


def restart(version: str) -> str:
    own = STATUSES[version]["supervisor"]
    at = f"--data-dir {own['data_dir']}"
    return (
        f"`gridbot-supervisor stop {at}`, then `gridbot-supervisor start --detach -c {own['config']} {at}` starts this"
    )


@pytest.mark.parametrize("version", STATUSES)
def test_every_command_answers_or_says_which_version_runs_and_what_restarts_it(version, earlier, typed):
    """`status` ended with "unexpected KeyError: 'order_entry'", `alerts` with 'incidents', 'acked'."""
    earlier.status = STATUSES[version]
    told = (
        "The supervisor that runs is another version: gridbot 0.1.0 of an earlier revision, running since 2026-11-30 "
        f"20:03 UTC; this program is {OURS}. {restart(version)} one"
    )
    untold = [*NOT_TOLD, *(["incidents"] if version == "a1c99c4" else [])]
    for line in ("status", "status alice", "status alice/alice-btc"):
        code, out, _ = typed(line)
        assert code == 0, out
        assert f"! {told}. It does not tell of {', '.join(untold)}\n" in out
        assert [row.split()[:5] for row in out.splitlines() if row.startswith("alice ")] == [
            ["alice", "RUNNING", "healthy", "active", "-"]
        ]
    code, out, _ = typed("status --json")
    model = json.loads(out)
    assert (code, model["accounts"][0]["order_entry"], model["accounts"][0]["groups"]) == (0, None, [])
    assert model["accounts"][0]["equity"] == STATUSES[version]["accounts"][0]["equity"]
    assert model["untold"] == untold
    code, out, err = typed("alerts")
    assert (code, told in err) == (0, True)
    if version == "a1c99c4":
        assert "which alerts are open is not told" in out
    else:
        assert "alice-eth.max_orders_per_minute: more than 80 % used" in out
    assert typed("metrics")[0] == 0
    assert typed("ping") == (0, "running: gridbot 0.1.0, pid 30731\n", "")
    code, out, _ = typed("why")
    assert (code, " ".join(out.split()).startswith(f"alice: {UNKNOWN.format(repr('why'))}. {told}")) == (5, True)
    assert typed("resume alice")[:2] == (0, "alice: 2 active\n"), "what the other one knows it still does"
    code, _, err = typed("kill alice --expect 1")
    own = STATUSES[version]["supervisor"]
    direct = f"kill --direct -c {own['config']} --data-dir {own['data_dir']}"
    assert code == 2
    assert err == (
        f"gridbot-supervisor: expected pause, resume or reconcile, got 'kill'. {told}; between the two "
        f"`gridbot-supervisor {direct}` with the same targets needs none\n"
    )
    assert told in typed("kill alice --dry-run")[2]
    code, _, err = typed("alerts mute stale_price --for 1h")
    assert (code, err) == (2, f"gridbot-supervisor: {UNKNOWN.format(repr('mute'))}. {told}\n")


def test_an_answer_that_cannot_be_read_is_no_fault_of_ours_while_another_version_runs(earlier, typed, tmp_path):
    earlier.status = {**STATUSES["a1c99c4"], "accounts": [{"name": "alice"}]}
    code, _, err = typed("status")
    assert code == 7
    assert err.startswith("gridbot-supervisor: expected an answer of this version, got one that it cannot read (")
    assert restart("a1c99c4") in err
    assert "Traceback" in (tmp_path / "logs" / "gridbot-error.log").read_text()
    earlier.status["supervisor"] = {**earlier.status["supervisor"], "version": __version__, "revision": REVISION}
    assert as_ours(earlier.status) is earlier.status, "our own is read as it is"


@case_table(
    ("about", "other"),
    [
        ({"version": __version__}, True),
        ({"version": __version__, "revision": REVISION}, False),
        ({"version": __version__, "revision": ""}, False),
        ({"version": "99.0", "revision": REVISION}, True),
        ({"version": __version__, "revision": "0badc0de"}, bool(REVISION)),
    ],
)
def test_a_version_is_another_one_by_its_revision(about, other):
    assert is_other(about) is other


def test_the_revision_is_the_commit_of_a_checkout_or_what_was_installed(tmp_path):
    git, commit = tmp_path / ".git", "1a164840" + 32 * "0"
    assert revision_of(tmp_path) == ""
    record = tmp_path / f"gridbot-{__version__}.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("gridbot/version.py,sha256=abc,1\n")
    wheel = revision_of(tmp_path)
    record.write_text("gridbot/version.py,sha256=abd,1\n")
    assert wheel.startswith("wheel-")
    assert revision_of(tmp_path) not in (wheel, "")
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(f"{commit}\n")
    assert revision_of(tmp_path) == "1a164840"
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{commit} refs/heads/main\n")
    assert revision_of(tmp_path) == "1a164840"
    (git / "refs" / "heads" / "main").write_text("f25e6bd2" + 32 * "0" + "\n")
    assert revision_of(tmp_path) == "f25e6bd2"
    own, tree = git / "worktrees" / "t", tmp_path / "tree"
    own.mkdir(parents=True)
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {own}\n")
    (own / "HEAD").write_text("ref: refs/heads/main\n")
    (own / "commondir").write_text("../..\n")
    assert revision_of(tree) == "f25e6bd2"
