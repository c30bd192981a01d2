"""The section `notify`: what it may say, what of it is secret, and who gets it."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from gridbot.config.errors import ConfigError
from gridbot.config.loading import load_config
from gridbot.config.models import GridbotConfig
from gridbot.config.notify import parts_of
from gridbot.config.paper_secrets import forget_variables, knowing_only
from gridbot.config.snapshots import account_snapshot
from supervisor.children.launch_plan import plan_of
from supervisor.notify.notify_entry import notify_spec
from tests.case_table import case_table

TOKEN = "123456789:AAF-token-of-nobody"
FILE = "accounts: [{name: alice, environment: paper, groups: [night]}]\nnotify: {%s}\n"
ROUTE = "routes: [{name: phone, urls: ['%s'], groups: [night]}]"
URL = "tgram://${PHONE_TOKEN}/-100123"


def read(tmp_path: Path, section: str, **environ: str) -> GridbotConfig:
    path = tmp_path / "g.yaml"
    path.write_text(FILE % section)
    return load_config(path, environ={"PHONE_TOKEN": TOKEN, **environ})


def test_its_settings_reach_the_process(tmp_path: Path) -> None:
    more = 'quiet_from: "23:00", quiet_until: "07:30", time_zone: Europe/Berlin, summary_at: "08:05", gather: 2'
    spec = notify_spec(read(tmp_path, f"{ROUTE % URL}, {more}, ping_url: 'https://x.example/${{PHONE_TOKEN}}'"))
    plan = spec.plan
    assert (plan.quiet is not None and (plan.quiet.begin, plan.quiet.end, plan.quiet.unless)) == (1380, 450, "CRITICAL")
    assert (str(plan.zone), plan.summary_at, plan.limits.gather_us) == ("Europe/Berlin", 485, 2_000_000)
    assert (plan.line_names, plan.routes[0].services, plan.groups) == (["phone"], ("tgram",), {"alice": ("night",)})
    assert spec.addresses == {"phone": f"tgram://{TOKEN}/-100123"}
    assert spec.ping_url == f"https://x.example/{TOKEN}"
    two = notify_spec(read(tmp_path, "routes: [{name: a, urls: ['json://x', 'xml://y']}]"))
    assert (two.plan.line_names, two.plan.routes[0].services) == (["a.1", "a.2"], ("json", "xml"))
    assert (two.plan.quiet, two.plan.summary_at, two.ping_url) == (None, -1, "")


def test_a_variable_with_a_line_end_of_windows_and_an_address_that_is_none(tmp_path: Path) -> None:
    assert notify_spec(read(tmp_path, ROUTE % URL, PHONE_TOKEN=f"{TOKEN}\r\n")).addresses == {
        "phone": f"tgram://{TOKEN}/-100123"
    }
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, ROUTE % "${PHONE_TOKEN}")
    (told,) = str(refused.value).splitlines()
    assert "notify.routes[0].urls[0]: expected an Apprise address" in told, "once, and not that there is none"
    assert "token-of-nobody" not in told


def test_it_is_secret_and_one_process_alone_gets_it(tmp_path: Path) -> None:
    config = read(tmp_path, ROUTE % URL)
    assert {f"tgram://{TOKEN}/-100123", "AAF-token-of-nobody"} <= {*config.secrets()}
    plan = plan_of(config, "g.yaml", console=False)
    assert plan.notify is not None
    assert TOKEN in str(notify_spec(plan.notify.args[0]).addresses)
    others = [*plan.children, plan.web]
    assert [child.name for child in others if child and TOKEN.encode() in pickle.dumps(child.args)] == []
    assert knowing_only(config, "alice").notify.routes == ()
    for shown in (repr(config), repr(notify_spec(config)), str(account_snapshot(config, "alice")), str(plan.snapshot)):
        assert "token-of-nobody" not in shown


def test_without_a_route_and_a_ping_there_is_no_process_for_it(tmp_path: Path) -> None:
    sections = ("enabled: true", f"{ROUTE % URL}, enabled: false", "ping_url: 'https://x.example'")
    plans = [plan_of(read(tmp_path, section), "g.yaml", console=False) for section in sections]
    assert [plan.notify is not None for plan in plans] == [False, False, True]


def test_its_variables_are_forgotten_and_what_only_names_a_host_is_not(tmp_path: Path) -> None:
    config = read(tmp_path, ROUTE % "json://127.0.0.1:8080/${PHONE_TOKEN}")
    environ = {"PHONE_TOKEN": TOKEN, "NO_PROXY": "127.0.0.1", "URL": f"json://127.0.0.1:8080/{TOKEN}", "HOST": "x"}
    assert sorted(forget_variables(config, environ)) == ["PHONE_TOKEN", "URL"]
    assert environ == {"NO_PROXY": "127.0.0.1", "HOST": "x"}


@case_table(
    ("address", "parts"),
    [
        ("discord://123456789012345678/abc-def_ghi.jkl-mno?x=y", ["abc-def_ghi.jkl-mno", "123456789012345678"]),
        ("sendgrid://SG.a1b2C3d4e5.f6G7h8:me@example.org/you@mail.example.org", ["SG.a1b2C3d4e5.f6G7h8"]),
        ("https://hooks.slack.com/services/T0000/B0000/XXXXXXXXXXXXXXXXXXXXXXXX", ["X" * 24]),
        ("mailtos://me:p%40ss-word@mail.example.org?to=you@example.org", ["p%40ss-word", "p@ss-word"]),
        ("json://localhost/a?key=0123456789abcdef", ["0123456789abcdef"]),
        ("json://[broken", []),
    ],
)
def test_parts_of_an_address_that_may_be_tokens(address: str, parts: list[str]) -> None:
    assert parts_of(address) == parts


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (ROUTE % "phone ${PHONE_TOKEN}", r"notify.routes\[0\].urls.*Apprise address.*not shown"),
        ("routes: [{name: a, urls: []}]", r"notify.routes\[0\].urls: expected 1 or more entries, got an empty list"),
        ("routes: [{name: a, urls: ['${NONE_SUCH}']}]", r"\A[^\n]*urls\[0\]: [^\n]*NONE_SUCH, got no such[^\n]*\Z"),
        ("routes: [{name: a, urls: ['json://x']}, {name: a, urls: ['json://y']}]", "notify.routes.*once.*`a` twice"),
        ("routes: [{name: a, urls: ['json://x'], level: info}]", r"level.*critical"),
        ("routes: [{name: a, urls: ['json://x'], accounts: ['a b']}]", r"accounts.*alice\*"),
        ("ping_url: 'ftp://x/${PHONE_TOKEN}'", r"notify.ping_url.*https://.*not shown"),
        ("time_zone: Mars/Olympus", "notify.time_zone.*Europe/Berlin"),
        ('quiet_from: "23:00"', "notify.quiet_from.*both or none"),
        ('quiet_from: "23:00", quiet_until: "23:00"', "notify.quiet_until"),
        ("quiet_from: 1380, quiet_until: 420", "notify.quiet_from"),
        ('summary_at: "8:00"', r"notify.summary_at.*\"23:00\""),
        ("per_minute: 0", "notify.per_minute"),
        ("deadline: 0", "notify.deadline"),
    ],
)
def test_what_it_may_not_say(tmp_path: Path, section: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, section)
    text = str(refused.value)
    assert re.search(problem, text, re.DOTALL), text
    assert "token-of-nobody" not in text


def test_off_is_no_time(tmp_path: Path) -> None:
    for word in ("off", '"off"', "null"):
        config = read(tmp_path, f"summary_at: {word}, quiet_from: {word}, quiet_until: {word}")
        assert (config.notify.summary_at, config.notify.quiet_from) == (None, None)
