"""What `doctor` says of addresses and of the bot, and what it asks with --reach: no secret is in any of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gridbot.config.models import GridbotConfig
from gridbot.config.route_warnings import route_warnings
from gridbot.doctor.findings import Verdict
from gridbot.doctor.message_findings import BotFacts, telegram_finding
from supervisor.cli.main import cli
from supervisor.notify.apprise_door import UNREADABLE
from tests.supervisor.notify.post_office import post_office
from tests.supervisor.telegram.bot_server import BOT, TOKEN, bot_server

HOOK, PING = "hook-token-0123456789", "ping-token-0123456789"


def test_addresses_and_bot_are_read_and_with_reach_asked_without_being_shown(tmp_path: Path) -> None:
    with post_office() as office, bot_server() as bot:
        urls = [office.url(HOOK), f"json://u:{HOOK}@127.0.0.1:9/{HOOK}", f"nonsense://{HOOK}"]
        ping = f"http://127.0.0.1:{office.port}/{PING}"
        users = [{"id": 7, "role": "flatten"}, {"id": 8}]
        telegram = {"enabled": True, "token": TOKEN, "api": bot.api, "users": users}
        path = tmp_path / "g.yaml"

        def examined(*words: str) -> tuple[str, dict[str, tuple[str, str]]]:
            document = {
                "accounts": [{"name": "alice", "environment": "paper"}],
                "notify": {"routes": [{"name": "phone", "urls": urls}], "ping_url": ping},
                "telegram": telegram,
            }
            path.write_text(json.dumps(document))
            done = CliRunner().invoke(cli, ["doctor", "-c", str(path), "--data-dir", str(tmp_path), "--json", *words])
            rows = json.loads(done.stdout)["findings"]
            found = [row for row in rows if row["check"] in ("messages", "telegram")]
            return done.output, {row["about"]: (row["verdict"], row["text"]) for row in found}

        output, rows = examined("--offline")
        unreadable = ("refused", f"nonsense: {UNREADABLE}")
        not_asked = "not asked whether it can be reached (--reach)"
        assert rows == {
            "notify/phone.1": ("ok", f"json: its address can be read; {not_asked}"),
            "notify/phone.2": ("ok", f"json: its address can be read; {not_asked}"),
            "notify/phone.3": unreadable,
            "notify/ping": ("ok", f"ping: its address can be read; {not_asked}"),
            "telegram": ("ok", f"the token has its form; 2 users, 1 of them may give commands; {not_asked}"),
        }
        assert (office.asked, bot.asked) == ([], []), "nothing has left this machine"
        shown, rows = examined("--reach")
        assert rows["notify/phone.1"] == ("ok", "json: the message has arrived")
        assert rows["notify/phone.2"][0] == "refused"
        assert "got: the service could not be reached, or refused it; compare" in rows["notify/phone.2"][1]
        assert rows["notify/phone.3"] == unreadable
        assert rows["notify/ping"] == ("ok", "ping: the ping has arrived")
        assert rows["telegram"][1].startswith(f"the Bot API knows the token as @{BOT}; 2 users")
        assert [method for method, _ in bot.asked] == ["getMe"], "it takes nobody's updates"
        assert [letter["title"] for letter in office.letters] == ["gridbot: test"]
        office.status, telegram["token"] = 500, "123456789:" + "w" * 35
        again, rows = examined("--reach")
        assert "got: the service answered HTTP 500" in rows["notify/phone.1"][1]
        assert "got: it answered HTTP 500" in rows["notify/ping"][1]
        assert "got: the Bot API refuses the token (HTTP 401)" in rows["telegram"][1]
    for secret in (HOOK, PING, TOKEN.partition(":")[2], "w" * 35):
        assert secret not in output + shown + again


def test_who_may_command_and_both_flags() -> None:
    found = telegram_finding(BotFacts(1, 0))
    assert (found.verdict, found.text.partition(";")[0]) == (Verdict.OK, "the token has its form")
    assert "1 user, 0 of them may give commands" in found.text
    done = CliRunner().invoke(cli, ["doctor", "--reach", "--offline"])
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"accounts": ["al*"], "groups": ["night"]}, []),
        ({"accounts": ["alcie"]}, ["no account fits `alcie`"]),
        ({"accounts": ["a*", "x?"], "groups": ["nigth"]},
         ["no account fits `x?`", "no account has the label `nigth`"]),
        ({}, []),
    ],
)  # fmt: skip
def test_a_route_for_nobody_is_a_warning(route: dict[str, list[str]], said: list[str]) -> None:
    accounts = [{"name": "alice", "environment": "paper", "groups": ["night"]}]
    routes = [{"name": "phone", "urls": ["json://x"], **route}]
    config = GridbotConfig.model_validate({"accounts": accounts, "notify": {"routes": routes}})
    assert list(route_warnings(config)) == [
        f"notify route phone: {each}, so no alert takes it for that" for each in said
    ]
