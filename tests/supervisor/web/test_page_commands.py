"""Commands of the page: the table of the command line, what is dangerous in two steps, and each attack on that."""

from __future__ import annotations

import asyncio
import json

import pytest

from gridbot.commands.command_table import COMMANDS
from supervisor.remote import command_forms
from supervisor.remote.confirmations import MOST_WAITING, Confirmations
from supervisor.remote.prepared_command import GOOD_S
from supervisor.web import command_door
from supervisor.web.logins import Session, make_code
from tests.supervisor.cli.test_adoption_table import answer as adopt_answer

from .page_kit import PageKit, recorded

WHO = "web:peter as bot@host"


async def entered(kit: PageKit) -> dict[str, str]:
    """The login of peter; commands are allowed."""
    kit.allow_commands()
    return await kit.login("peter as bot@host")


def given(kit: PageKit) -> list[dict[str, object]]:
    """What the supervisor was asked to do, without times."""
    return [{key: value for key, value in each.items() if key not in ("until_s", "wait_s")} for each in kit.given]


async def test_what_is_harmless_is_given_at_once_to_each_target_with_who(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await entered(kit)
        code, told = await kit.command(
            mine, command="pause", targets=["a*/*", "bob"], args={"reason": "<b>", "cancel": True}
        )
        assert (code, told["step"], told["done"], told["not_done"]) == (200, "done", len(told["rows"]), 0)
        asked = sorted(given(kit), key=lambda each: json.dumps(each, sort_keys=True))
        args = {"reason": "<b>", "cancel": True}
        alice = [s["strat_id"] for s in recorded()["accounts"][0]["strategies"]]
        wanted = [
            {"op": "worker", "account": name, "name": "pause", "args": {**args, **more}, "who": WHO}
            for name, more in [("bob", {}), *(("alice", {"strategy": strategy}) for strategy in alice)]
        ]
        assert asked == sorted(wanted, key=lambda each: json.dumps(each, sort_keys=True))
        kit.given.clear()
        kit.answers["mute"] = {"ok": False, "error": "expected an open alert"}
        code, told = await kit.command(mine, command="mute", args={"what": "x", "period": "2h"})
        assert (code, told["rows"][0]["ok"], told["rows"][0]["text"]) == (200, False, "expected an open alert")
        assert given(kit) == [{"op": "mute", "what": "x", "period": "2h", "who": WHO}]
        kit.given.clear()
        code, told = await kit.command(mine, command="restart", targets=["writer", "alice"])
        assert [each["child"] for each in given(kit)] != []
        assert {each["child"] for each in given(kit)} == {"writer", "alice"}


async def test_what_is_dangerous_is_shown_first_and_given_by_a_second_step(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await entered(kit)
        code, first = await kit.command(mine, command="flatten", everything=True, args={"reason": "night"})
        assert (code, first["step"], first["accounts"], first["targets"]) == (200, "confirm", 2, ["alice", "bob"])
        assert all("would" in row for row in first["rows"])
        assert kit.given == [], "nothing was given yet"
        code, told = await kit.command(mine, token=first["token"], accounts=2)
        assert (code, told["done"]) == (200, 2)
        assert [(each["name"], each["args"], each["who"]) for each in kit.given] == [
            ("flatten", {"reason": "night"}, WHO)
        ] * 2


async def test_each_dangerous_command_of_the_table_takes_two_steps_and_only_looks_on_a_dry_run(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await entered(kit)
        kit.answers["reload"] = {"ok": True, "asks": [], "lines": ["x"], "left_open": [], "plan": "p", "result": "r"}
        for command in (each for each in COMMANDS if each.dangerous):
            targets = {"targets": ["alice"]} if command.for_worker else {}
            args = {"args": {"as_of": "1"}} if command.name == "correct" else {}
            code, first = await kit.command(mine, command=command.name, **targets, **args)
            assert (code, first["step"]) == (200, "confirm"), command.name
            code, dry = await kit.command(mine, command=command.name, dry_run=True, **targets, **args)
            assert (code, dry["step"], "token" in dry) == (200, "shown", False)
        assert [each for each in kit.given if not each.get("dry_run")] == []


async def test_a_reload_carries_out_what_was_shown_and_a_stop_ends(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await entered(kit)
        told = {"asks": ["alice"], "lines": ["alice goes"], "left_open": ["bob"], "plan": "abc"}
        kit.answers["reload"] = {"ok": True, **told, "result": "applied"}
        _, first = await kit.command(mine, command="reload", args={"leave_positions": True})
        assert (first["accounts"], first["lines"], first["left_open"]) == (1, ["alice goes"], ["bob"])
        _, told = await kit.command(mine, token=first["token"], accounts=1)
        assert told["rows"][0]["text"] == "applied"
        asked = [(each.get("dry_run"), each.get("plan"), each["leave_positions"]) for each in kit.given]
        assert asked == [(True, None, True), (None, "abc", True)]
        _, first = await kit.command(mine, command="stop", args={"mode": "cancel"})
        _, told = await kit.command(mine, token=first["token"], accounts=2)
        assert (kit.given[-1]["op"], kit.given[-1]["mode"], told["done"]) == ("stop", "cancel", 1)


async def test_what_adopt_has_found_is_words_and_rows(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await entered(kit)
        kit.answers["worker"] = {"ok": True, "result": adopt_answer() + "; the disk did not take holds.json"}
        _, first = await kit.command(mine, command="adopt", targets=["alice"])
        _, told = await kit.command(mine, token=first["token"], accounts=1)
        [row] = told["rows"]
        assert row["text"] == "1 would be adopted; the disk did not take holds.json"
        [part] = row["parts"]
        assert part["head"] == "btc on BTCUSDT"
        assert len(part["rows"]) == 2
        assert all(len(cells) == len(row["columns"]) for cells in part["rows"])
        assert part["lines"][-1].startswith("12 wanted and absent")
        kit.answers["worker"] = {"ok": True, "result": "no {such} strategy} here"}
        _, first = await kit.command(mine, command="adopt", targets=["alice"])
        _, told = await kit.command(mine, token=first["token"], accounts=1)
        assert (told["rows"][0]["text"], told["rows"][0]["parts"]) == ("no {such} strategy} here", [])


async def test_nothing_is_given_while_the_configuration_does_not_allow_it(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await kit.login()
        for document in (
            {"command": "pause", "targets": ["alice"]},
            {"command": "nothing"},
            {"token": "x", "accounts": 1},
        ):
            code, told = await kit.command(mine, **document)
            assert code == 403
            assert "web.allow_commands is off" in told
        kit.allow_commands()
        _, first = await kit.command(mine, command="kill", targets=["alice"])
        kit.allow_commands(allowed=False)
        assert (await kit.command(mine, token=first["token"], accounts=1))[0] == 403, "switched off in between"
        kit.model = None
        assert (await kit.command(mine, command="pause", targets=["alice"]))[0] == 503
        assert kit.given == []


async def test_a_second_step_counts_once_for_its_login_for_a_minute_with_the_right_number(tmp_path, monkeypatch):
    now_s = [1000.0]
    monkeypatch.setattr(command_door, "Confirmations", lambda clock: Confirmations(lambda: now_s[0]))
    async with PageKit(tmp_path) as kit:
        mine, other = await entered(kit), await kit.login()

        async def first() -> str:
            return str((await kit.command(mine, command="flatten", everything=True))[1]["token"])

        token = await first()
        assert (await kit.command(other, token=token, accounts=2))[0] == 409, "another login's"
        assert (await kit.command(mine, token=token, accounts=2))[0] == 200, "which has not used it up"
        done = len(kit.given)
        assert (await kit.command(mine, token=token, accounts=2))[0] == 409, "once"
        token = await first()
        both = await asyncio.gather(*(kit.command(mine, token=token, accounts=2) for _ in range(5)))
        assert sorted(code for code, _ in both) == [200, 409, 409, 409, 409], "also when it comes five times at once"
        assert len(kit.given) == 2 * done
        token = await first()
        now_s[0] += GOOD_S + 0.1
        assert (await kit.command(mine, token=token, accounts=2))[0] == 409, "too late"
        kit.given.clear()
        token = await first()
        code, told = await kit.command(mine, token=token, accounts=1)
        assert (code, "expected 2 accounts, got 1" in told) == (409, True)
        assert (await kit.command(mine, token=token, accounts=2))[0] == 409, "a wrong number uses it up"
        [declined] = given(kit)
        assert (declined["op"], declined["name"], declined["args"], declined["who"]) == (
            "declined", "flatten", {"targets": "alice bob"}, WHO
        )  # fmt: skip
        for wrong in ("", "x" * 43, token[:-1], f"{token} "):
            assert (await kit.command(mine, token=wrong, accounts=2))[0] == 409
        token = await first()
        for more in ({}, {"accounts": True}, {"accounts": "2"}, {"accounts": 2.0}, {"accounts": 2, "command": "kill"}):
            assert (await kit.command(mine, token=token, **more))[0] == 422
        await kit.status("POST", "/api/logout", mine)
        assert (await kit.command(mine, token=token, accounts=2))[0] == 401
        assert len(kit.given) == 1


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "expected pause, reduce"),
        ({"command": "Pause"}, "did you mean pause"),
        ({"command": ["pause"]}, "expected pause, reduce"),
        ({"command": "pause"}, "got none"),
        ({"command": "pause", "targets": ["nobody"]}, "expected an account (alice, bob), got 'nobody'"),
        ({"command": "pause", "targets": "alice"}, "expected a list of texts in targets"),
        ({"command": "pause", "targets": [7]}, "expected a list of texts in targets"),
        ({"command": "pause", "targets": ["alice"], "everything": 1}, "true or false in everything"),
        ({"command": "pause", "targets": ["alice"], "everything": True}, "--all alone"),
        ({"command": "pause", "groups": ["nothing"]}, "no account has any"),
        ({"command": "pause", "targets": ["alice"], "expect": 1}, "in a command, got 'expect'"),
        ({"command": "pause", "targets": ["alice"], "args": []}, "expected args as an object"),
        ({"command": "pause", "targets": ["alice"], "args": {"cancel": "yes"}}, "true or false for cancel"),
        ({"command": "pause", "targets": ["alice"], "args": {"cancle": True}}, "did you mean cancel"),
        ({"command": "pause", "targets": ["alice"], "args": {"strategy": "x"}}, "got 'strategy'"),
        ({"command": "pause", "targets": ["alice"], "args": {"reason": "x" * 201}}, "reason"),
        ({"command": "flatten", "targets": ["alice"], "args": {"band": "1000"}}, "band"),
        ({"command": "flatten", "targets": ["alice"], "args": {"band": -1}}, "expected text for band"),
        ({"command": "flatten", "targets": ["alice"], "args": {"market_after": "1e9"}}, "market_after"),
        ({"command": "mute", "args": {"what": "x", "period": "1y"}}, "period"),
        ({"command": "ack", "args": {"alert": "x" * 81}}, "alert"),
        ({"command": "ack", "args": {}}, "expected alert"),
        ({"command": "ack", "targets": ["alice"], "args": {"alert": "x"}}, "expected no targets"),
        ({"command": "stop", "args": {"mode": "burn"}}, "keep, cancel, flatten"),
        ({"command": "correct", "targets": ["alice", "bob"], "args": {"as_of": "1"}}, "one account at a time"),
        ({"command": "reconcile", "targets": ["alice/alice-btc"]}, "acts on whole accounts"),
        ({"command": "restart", "targets": ["web"]}, "expected an account"),
        ({"command": "restart", "targets": ["alice"], "args": {"child": "bob"}}, "no args"),
        ({"command": "reload", "args": {"variables": {"ALICE_API_KEY": "hush-hush-7"}}}, "got 'variables'"),
        ({"command": "reload", "args": {"plan": "x"}}, "got 'plan'"),
        ({"command": "worker", "name": "kill"}, "expected pause, reduce"),
        ({"command": "declined"}, "expected pause, reduce"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)  # fmt: skip
async def test_what_is_wrong_is_refused_and_recorded_without_what_may_be_a_secret(tmp_path, document, words):
    async with PageKit(tmp_path) as kit:
        code, told = await kit.command(await entered(kit), **document)
        assert code == 422
        assert words in told
        assert {each["op"] for each in kit.given} <= {"declined"}
        assert "hush-hush-7" not in json.dumps(kit.given)
        name = document.get("command")
        if name in [command.name for command in COMMANDS]:
            assert [(each["name"], each["who"], each["why"] in told) for each in kit.given] == [(name, WHO, True)]


async def test_a_command_is_a_small_json_of_this_page_and_nothing_else(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await entered(kit)
        pause = {"command": "pause", "targets": ["alice"]}
        body = json.dumps(pause).encode()
        as_json = {"Content-Type": "application/json"}

        async def code(headers: dict[str, str], data: bytes = body, path: str = "/api/command") -> int:
            return await kit.status("POST", path, headers, data=data)

        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            assert await code({**mine, **as_json, "Origin": origin}) == 403
        for site in ("cross-site", "same-site", "none"):
            assert await code({**mine, **as_json, "Sec-Fetch-Site": site}) == 403
        assert await code({**mine, **as_json, "Host": "evil.example"}) == 403
        assert await code(as_json) == 401
        assert await code({"Cookie": mine["Cookie"], **as_json}) == 401, "what a form of another page could send"
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
            assert await code({**mine, "Content-Type": kind}) == 415
        assert await code({**mine, **as_json}, b"{" * 100) == 400
        assert await code({**mine, **as_json}, b"[" * 10_000 + b"]" * 2) == 400
        assert await code({**mine, **as_json}, b'"\xff"') == 400
        assert await code({**mine, **as_json}, b"[]") == 422
        assert await code({**mine, **as_json}, json.dumps({**pause, "args": {"reason": "x" * 20_000}}).encode()) == 413
        assert await code({**mine, **as_json}, b"", "/api/command?command=pause&targets=alice") == 400
        assert await kit.status("GET", "/api/command?command=pause&targets=alice", mine) == 405
        assert await kit.status("PUT", "/api/command", {**mine, **as_json}, data=body) == 405
        assert kit.given == []
        assert await code({**mine, **as_json, "Origin": f"http://{kit.host}"}) == 200


async def test_no_more_than_a_few_commands_wait_at_once_and_one_begun_ends_without_its_browser(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine, go_on = await entered(kit), asyncio.Event()
        answer = kit._answer

        async def slow(request, who):
            if request["op"] == "worker":
                await go_on.wait()
            return await answer(request, who)

        kit._control._handler = slow
        asked = [
            asyncio.create_task(kit.command(mine, command="pause", targets=["bob"]))
            for _ in range(command_door.MOST_AT_WORK)
        ]
        while len(kit.server._commands._at_work) < command_door.MOST_AT_WORK:
            await asyncio.sleep(0.01)
        assert (await kit.command(mine, command="pause", targets=["bob"]))[0] == 503
        assert await kit.status("GET", "/api/status", mine) == 200, "the page itself goes on"
        for each in asked[1:]:
            each.cancel()
        go_on.set()
        assert (await asked[0])[0] == 200
        while kit.server._commands._at_work:
            await asyncio.sleep(0.01)
        assert len(kit.given) == command_door.MOST_AT_WORK


async def test_the_forms_are_the_table_without_what_targets_and_supervisor_give(tmp_path):
    async with PageKit(tmp_path) as kit, kit.request("GET", "/api/commands", await kit.login()) as answer:
        forms = {each["name"]: each for each in await answer.json()}
    assert list(forms) == [command.name for command in COMMANDS]
    assert [forms[command.name]["dangerous"] for command in COMMANDS] == [command.dangerous for command in COMMANDS]
    fields = {field["name"] for form in forms.values() for field in form["fields"]}
    assert fields.isdisjoint({"strategy", "variables", "plan", "child", "dry_run"})
    assert forms["stop"]["fields"][1]["choices"] == ["keep", "cancel", "flatten"]
    assert forms["restart"]["takes_targets"]
    assert not forms["stop"]["takes_targets"]
    assert command_forms.known_arguments(COMMANDS[0], {"reason": "x", "strategy": "y", "z": 1}) == {"reason": "x"}
    assert command_forms.known_arguments(COMMANDS[0], None) == {}


def test_only_so_many_first_steps_are_kept_and_those_of_a_login_that_is_over_are_not():
    firsts: Confirmations[int] = Confirmations(lambda: 0.0)
    mine, other = (Session(name, name, name, 0.0, 0.0) for name in ("a", "b"))
    tokens = [firsts.give(mine, number) for number in range(MOST_WAITING + 1)]
    assert [firsts.take(mine, token) for token in tokens] == [None, *range(1, MOST_WAITING + 1)]
    token = firsts.give(other, 7)
    for number in range(MOST_WAITING + 1):
        firsts.give(mine, number)
    assert firsts.take(other, token) == 7, "who asks a lot takes no room from others"
    token = firsts.give(other, 7)
    other.is_over = True
    assert firsts.take(other, token) is None


async def test_a_login_is_called_by_who_has_made_its_code(tmp_path):
    async with PageKit(tmp_path) as kit:
        kit.allow_commands()
        for who, told in (("", "web:unknown"), ("a\nb\x1b" + "x" * 200, "web:a\\nb\\x1b")):
            kit.given.clear()
            await kit.command(await kit.login(who), command="reconcile", targets=["bob"])
            assert kit.given[0]["who"].startswith(told)
            assert len(kit.given[0]["who"]) < 110
    assert make_code(tmp_path, "x")
