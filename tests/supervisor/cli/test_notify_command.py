"""`notify test`: each address once, in words, without its address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gridbot.command_line import install_line
from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError
from supervisor.notify.apprise_door import AppriseDoor
from tests.supervisor.notify.post_office import post_office

FILE = "accounts: [{name: alice, environment: paper}]\nnotify: {%s}\n"


def run(tmp_path: Path, section: str, *words: str) -> Result:
    path = tmp_path / "g.yaml"
    path.write_text(FILE % section)
    return CliRunner().invoke(cli, ["notify", "test", *words, "-c", str(path)])


def test_it_says_of_each_address_what_became_of_the_message(tmp_path: Path) -> None:
    with post_office() as office:
        routes = f"routes: [{{name: a, urls: ['{office.url('TOKEN-1')}', 'json://u:TOKEN-2@127.0.0.1:9']}}, "
        section = routes + f"{{name: b, urls: ['{office.url('x')}']}}]"
        both = run(tmp_path, section)
        assert (both.exit_code, both.output.splitlines()) == (
            7,
            ["a.1: delivered", "a.2: the service could not be reached, or refused it", "b: delivered"],
        )
        one = run(tmp_path, section, "b")
        assert (one.exit_code, one.output) == (0, "b: delivered\n")
    assert [letter["title"] for letter in office.letters] == ["gridbot: test"] * 3
    assert office.texts[-1].endswith("A test of the route b: alerts that fit it come here.")


@pytest.mark.parametrize(
    ("section", "words", "code", "text"),
    [
        ("enabled: true", (), 7, "expected notify.routes in "),
        ("routes: [{name: phone, urls: ['json://127.0.0.1:9']}]", ("phnoe",), 2, "did you mean phone?"),
        ("routes: [{name: phone, urls: ['bond://007']}]", (), 7, "phone: Apprise cannot read this address"),
    ],
)
def test_what_cannot_be_tested(tmp_path: Path, section: str, words: tuple[str, ...], code: int, text: str) -> None:
    done = run(tmp_path, section, *words)
    assert (done.exception.code if isinstance(done.exception, CommandError) else done.exit_code) == code
    assert text in done.output + str(done.exception)


def test_apprise_can_read_each_address_that_the_docs_show() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "alerts.md").read_text(encoding="utf-8")
    shown = re.findall(r"\| `(\w+://\S+)` \|", text)
    assert len(shown) == 6
    assert AppriseDoor(dict(zip(shown, shown, strict=True))).unreadable == []


def test_without_apprise_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    done = run(tmp_path, "routes: [{name: phone, urls: ['json://127.0.0.1:9']}]")
    assert f"got none; install it: {install_line('apprise')}" in done.output + str(done.exception)
