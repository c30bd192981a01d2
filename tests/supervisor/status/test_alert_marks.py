"""What operators say about alerts: how long it holds, and what ends it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridbot.commands.wording import CommandMistake
from supervisor.status.alert_marks import GONE_US, Ack, Marks, acknowledge, alert_id, marked, mute, pruned, unmute
from tests.case_table import case_table

NOW = 1_700_000_000_000_000
MINUTE = 60_000_000


def row(key: str = "stale_price.BTCUSDT", account: str = "alice", level: str = "ERROR", **more: Any) -> dict[str, Any]:
    values = {
        "account": account,
        "strategy": "btc",
        "child": "",
        "key": key,
        "cause": "",
        "level": level,
        "text": "old",
    }
    found = {**values, **more}
    return {**found, "id": alert_id(found)}


def test_an_alert_keeps_its_id_when_it_begins_anew_and_no_two_have_the_same() -> None:
    assert alert_id(row()) == alert_id(row(text="other", level="CRITICAL"))
    others = [row(), row(account="bob"), row(key="halt.BTCUSDT"), row(strategy="eth"), row(cause="x"), row(child="w")]
    assert len({alert_id(each) for each in others}) == len(others)
    assert all(len(each["id"]) == 6 and each["id"].isalnum() for each in others)


def test_an_acknowledgement_holds_until_it_gets_worse_or_is_over() -> None:
    marks, text = acknowledge(Marks(), [row()], row()["id"], "ann@host", NOW)
    assert text == "acknowledged until it is over or gets worse: old"
    assert marked(row(), marks, NOW)["acked"] == {"by": "ann@host", "at": "2023-11-14T22:13:20Z"}
    assert marked(row(level="WARNING"), marks, NOW)["acked"]
    assert marked(row(level="CRITICAL"), marks, NOW)["acked"] is None
    assert marked(row(account="bob"), marks, NOW)["acked"] is None
    assert pruned(marks, [row(level="CRITICAL")], [], NOW).acks == {}
    assert pruned(marks, [row()], [], NOW) is marks


def test_an_acknowledged_alert_that_is_gone_for_a_minute_is_over_but_not_while_its_worker_is_silent() -> None:
    marks, _ = acknowledge(Marks(), [row()], row()["id"], "ann", NOW)
    gone = pruned(marks, [], [], NOW + MINUTE)
    assert gone.acks[row()["id"]].gone_us == NOW + MINUTE
    assert pruned(gone, [], [], NOW + 2 * MINUTE).acks, "its worker may have been restarted"
    assert pruned(gone, [row()], [], NOW + 2 * MINUTE).acks[row()["id"]].gone_us is None
    assert pruned(gone, [], ["alice"], NOW + 9 * MINUTE).acks[row()["id"]].gone_us is None
    assert pruned(gone, [], [], NOW + MINUTE + GONE_US + 1).acks == {}


@case_table(
    ("what", "account", "silent"),
    [
        ("stale_price", "", {"alice", "bob"}),
        ("stale_price.BTCUSDT", "", {"alice", "bob"}),
        ("stale_price", "bob", {"bob"}),
        (row()["id"], "", {"alice"}),
        ("halt", "", set()),
        ("cap.btc-grid.max_notional", "", set()),
    ],
)
def test_what_a_mute_is_about_and_that_it_ends_by_itself(what: str, account: str, silent: set[str]) -> None:
    rows = [row(), row(account="bob")]
    marks, text = mute(Marks(), rows, what, account, 60, "ann", NOW)
    assert text == f"muted until 2023-11-14T22:14:20Z, {len(silent)} open now"
    assert {each["account"] for each in rows if marked(each, marks, NOW + 1)["muted_until"]} == silent
    assert not any(marked(each, marks, NOW + MINUTE)["muted_until"] for each in rows)
    assert pruned(marks, rows, [], NOW + MINUTE).mutes == {}
    assert unmute(marks, what)[0] == Marks()


def test_what_is_not_there_is_named_with_what_there_is() -> None:
    with pytest.raises(CommandMistake, match="no open alert has the id 'zzz'; open are "):
        acknowledge(Marks(), [row()], "zzz", "ann", NOW)
    with pytest.raises(CommandMistake, match="no alert is open"):
        acknowledge(Marks(), [], "zzz", "ann", NOW)
    with pytest.raises(CommandMistake, match="expected an id or a key of an alert, got 'rm -rf'"):
        mute(Marks(), [row()], "rm -rf", "", 60, "ann", NOW)
    with pytest.raises(CommandMistake, match="nothing is muted or acknowledged"):
        unmute(Marks(), "halt")
    muted, _ = mute(Marks(), [], "halt", "", 60, "ann", NOW)
    with pytest.raises(CommandMistake, match="there are halt; did you mean halt"):
        unmute(muted, "hald")


def test_the_document_comes_back_as_it_was() -> None:
    marks, _ = acknowledge(Marks(), [row()], row()["id"], "ann", NOW)
    marks, _ = mute(marks, [row()], "halt", "bob", 60, "ann", NOW)
    document = json.loads(json.dumps(marks.to_document()))
    assert Marks.from_document(document) == marks
    for wrong in ({}, {"acks": [], "mutes": {}}, {"acks": {"a": [1]}, "mutes": {}}):
        with pytest.raises((KeyError, TypeError, AttributeError, ValueError)):
            Marks.from_document(wrong)
    assert Ack("ann", NOW, "ERROR") == marks.acks[row()["id"]]
