"""The section `telegram`: off by default, what it may say, what of it is secret, and who gets it."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from gridbot.config.errors import ConfigError
from gridbot.config.loading import load_config
from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import forget_variables, knowing_only
from gridbot.config.snapshots import account_snapshot
from supervisor.children.launch_plan import plan_of
from supervisor.telegram.telegram_entry import telegram_spec

TOKEN = "123456789:AAF-token-of-nobody"
FILE = "accounts: [{name: alice, environment: paper}]\ntelegram: {%s}\n"
WHOLE = "enabled: true, token: '${BOT_TOKEN}', users: [{id: 7}, {id: 8, role: flatten}]"


def read(tmp_path: Path, section: str) -> GridbotConfig:
    path = tmp_path / "g.yaml"
    path.write_text(FILE % section)
    return load_config(path, environ={"BOT_TOKEN": TOKEN})


def test_it_is_off_by_default_and_its_settings_reach_the_process(tmp_path: Path) -> None:
    assert plan_of(read(tmp_path, ""), "g.yaml", console=False).telegram is None
    spec = telegram_spec(read(tmp_path, f"{WHOLE}, poll: 5, api: 'http://127.0.0.1:8081/x/'"))
    assert (spec.token, spec.bot_id, spec.poll_s) == (TOKEN, "123456789", 5.0)
    assert (spec.roles, spec.api) == ({7: "see", 8: "flatten"}, "http://127.0.0.1:8081/x")


def test_its_token_is_secret_and_one_process_alone_gets_it(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert {TOKEN, "AAF-token-of-nobody"} <= {*config.secrets()}
    plan = plan_of(config, "g.yaml", console=False)
    assert plan.telegram is not None
    assert telegram_spec(plan.telegram.args[0]).token == TOKEN
    others = [*plan.children, plan.web]
    assert [child.name for child in others if child and TOKEN.encode() in pickle.dumps(child.args)] == []
    assert knowing_only(config, "alice").telegram.users == ()
    for shown in (
        repr(config),
        repr(telegram_spec(config)),
        str(account_snapshot(config, "alice")),
        str(plan.snapshot),
    ):
        assert "token-of-nobody" not in shown
    environ = {"BOT_TOKEN": TOKEN, "BOT_URL": f"https://api.telegram.org/bot{TOKEN}/getMe", "HOST": "api.telegram.org"}
    assert sorted(forget_variables(config, environ)) == ["BOT_TOKEN", "BOT_URL"]


def test_the_example_of_the_docs_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "telegram.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "g.yaml"
    path.write_text("accounts: [{name: alice, environment: paper}]\n" + example)
    roles = telegram_spec(load_config(path, environ={"TELEGRAM_TOKEN": TOKEN})).roles
    assert roles == {123456789: "flatten", 987654321: "see"}


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("enabled: true, users: [{id: 7}]", "telegram.token.*BotFather"),
        ("enabled: true, token: '${BOT_TOKEN}'", "telegram.users.*who may talk"),
        ("token: 'my ${BOT_TOKEN}'", "telegram.token.*NUMBER:LETTERS.*not shown"),
        ("users: [{id: 7}, {id: 7, role: flatten}]", "telegram.users.*once.*7 twice"),
        ("users: [{id: 7, role: all}]", "role.*flatten"),
        ("users: [{id: -100123}]", r"users\[0\].id"),
        ("api: 'http://api.telegram.org'", "telegram.api.*https://.*reads the token"),
        ("api: 'http://127.0.0.1.example.org'", "telegram.api.*https://"),
        ("api: 'https://user:pass@x/?y'", "telegram.api.*https://api.telegram.org"),
        ("poll: 51", "telegram.poll"),
    ],
)
def test_what_it_may_not_say(tmp_path: Path, section: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, section)
    text = str(refused.value)
    assert re.search(problem, text, re.DOTALL), text
    assert "token-of-nobody" not in text
