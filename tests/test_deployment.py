"""What conf/deploy/ has: the machine's own tools find nothing wrong, and it names what the program really has."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from supervisor.cli.main import SUMMARIES
from supervisor.exit_codes import ExitCode

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "conf" / "deploy"
UNIT = (DEPLOY / "gridbot.service").read_text(encoding="utf-8")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def settings_of(unit: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here: apt-get install systemd")
    here = UNIT.replace("/opt/gridbot/bin/gridbot-supervisor", "/bin/true")
    here = here.replace("User=gridbot", "User=root").replace("Group=gridbot", "Group=root")
    (tmp_path / "gridbot.service").write_text(here, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "gridbot.service")], capture_output=True, text=True, timeout=60
    )
    assert [line for line in (done.stdout + done.stderr).splitlines() if "gridbot.service" in line] == []


def test_the_unit_waits_as_long_as_the_program_needs() -> None:
    unit = settings_of(UNIT)
    assert unit["Type"] == "notify"
    assert unit["KillMode"] == "mixed", "the supervisor ends its processes in order"
    assert [ExitCode(int(code)) for code in unit["RestartPreventExitStatus"].split()] == [
        ExitCode.CONFIG,
        ExitCode.REFUSED,
    ]
    assert unit["ExecStart"].split()[1] in SUMMARIES
    assert int(unit["TimeoutStopSec"]) >= 90


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_built_of_files_that_are_here_and_runs_as_nobody_special() -> None:
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    ]
    assert "gridbot" in copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["gridbot"]
    assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
    assert service["stop_signal"] == "SIGTERM"
    assert service["restart"] == "unless-stopped", "`on-failure` leaves it down after a reboot"
    extras = re.findall(r'"\.\[(.*)\]"', DOCKERFILE)[0].split(",")
    assert "notify" in extras, "a section notify of the configuration works in the image"
    seen = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"]
    assert sorted(seen) == sorted(copied), "what goes to the daemon is what is copied, and no key or data"
    assert service["stop_grace_period"] == f"{settings_of(UNIT)['TimeoutStopSec']}s"
    for command in (re.findall(r"CMD (\[.*\])", DOCKERFILE)[-1], str(service["healthcheck"]["test"])):
        assert "gridbot-supervisor" in command
        assert "ping" in SUMMARIES
        assert "ping" in command
    assert re.search(r"^USER \d+$", DOCKERFILE, re.MULTILINE), "a number, which any host understands"
    assert {"gridbot-data:/data", "./gridbot.yaml:/etc/gridbot/gridbot.yaml:ro"} == set(service["volumes"])
