"""The desk keeps what operators said over restarts, and forgets what is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gridbot.commands.arguments import AckArguments, MuteArguments, UnmuteArguments
from gridbot.state.documents import StateFile
from gridbot.state.state_files import StateFiles
from supervisor.process.alert_desk import AlertDesk
from tests.supervisor.status.test_alert_marks import NOW, row


class Rig:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.now = NOW
        self.rows: list[dict[str, Any]] = [row()]
        self.asked = 0
        self.files = StateFiles(home)
        self.desk = AlertDesk(self.status, lambda name: StateFile(self.files, name), lambda: self.now)
        self.desk.open()

    def status(self) -> dict[str, Any]:
        self.asked += 1
        return {"incidents": self.rows, "accounts": [{"account": "alice", "health": "healthy"}]}

    def again(self) -> Rig:
        """Another supervisor in the same place."""
        self.files.close()
        return Rig(self.home)


def test_what_was_said_outlives_the_supervisor(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    name = row()["id"]
    assert rig.desk.handlers["ack"](AckArguments(alert=name), "ann@host")["ok"]
    rig.desk.handlers["mute"](MuteArguments(what="halt", period="2h", of_account="bob"), "ann@host")
    later = rig.again()
    assert later.desk.marks == rig.desk.marks
    assert later.desk.marks.mutes["halt"].until_us == NOW + 7200 * 1_000_000
    later.desk.handlers["unmute"](UnmuteArguments(what="halt"), "bea")
    last = later.again()
    assert (list(last.desk.marks.acks), last.desk.marks.mutes) == ([name], {})
    last.files.close()


def test_what_is_over_is_forgotten_and_without_marks_nothing_is_looked_at(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.desk.look()
    assert rig.asked == 0
    rig.desk.handlers["mute"](MuteArguments(what="halt", period="1m"), "ann")
    for _ in range(3):
        rig.desk.look()
    assert rig.asked == 2
    rig.now += 60_000_000
    rig.desk.look()
    assert rig.desk.marks.mutes == {}
    rig.files.close()


def test_a_file_that_cannot_be_read_shows_all_alerts(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.files.close()
    (tmp_path / "alert_marks.json").write_text('{"acks": 7}')
    broken = rig.again()
    assert broken.desk.marks.acks == {}
    broken.files.close()
