"""Who gave a command: the user at the other end of the socket, whoever was somebody else before sudo, a remote name."""

from __future__ import annotations

import os
import pwd
import socket

import pytest

from supervisor.control import operator_name
from supervisor.control.operator_name import asked_for, before_sudo, peer_name, user_at_host
from tests.case_table import case_table

HOST = socket.gethostname()


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_name(ours) == f"{pwd.getpwuid(os.getuid()).pw_name}@{HOST}"
    assert peer_name(ours) == peer_name(None) == "", "closed, or there was none"


def test_a_user_without_a_name_and_one_that_would_have_to_be_looked_up_are_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operator_name, "_names", {})
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert user_at_host(54321) == f"user 54321@{HOST}"
    assert user_at_host(1) == f"user 1@{HOST}"
    assert user_at_host(0) == f"root@{HOST}"


@case_table(("said", "who"), [("telegram:7", "telegram:7"), (" ", "peer"), (None, "peer"), ([1], "peer")])
def test_a_client_may_say_for_whom_it_asks(said: object, who: str) -> None:
    assert asked_for(said, "peer") == who
    assert len(asked_for("x" * 10_000, "peer")) < 200


def test_behind_sudo_is_a_person() -> None:
    assert before_sudo({"SUDO_USER": "peter"}) == f"peter as {user_at_host(os.getuid())}"
    assert before_sudo({}) == before_sudo({"SUDO_USER": "root"}) == ""
