"""What an operator is told of a ban of our address."""

from __future__ import annotations

import pytest

from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.remedies import remedy_for


@pytest.mark.parametrize(
    ("codes", "said"), [({"ret_code": 10018}, " (retCode 10018)"), ({"http_status": 403}, " (HTTP 403)"), ({}, "")]
)
def test_a_ban_is_told_once_and_without_a_figure_that_does_not_count_down(codes: dict[str, int], said: str) -> None:
    """It said twice that the address is banned, and "silent for 412 s more" for ten minutes."""
    error = make_error("not sent: the exchange bans this address for 412 s more", ErrorKind.IP_BAN)
    error.ret_code, error.http_status = codes.get("ret_code"), codes.get("http_status")
    assert str(Ban(600.0, error)) == (
        f"the exchange bans this address{said}, no HTTP request is sent until that is over; {remedy_for(error)}"
    )


def test_a_ban_is_on_until_its_end() -> None:
    ban = Ban(600.0, make_error("x", ErrorKind.IP_BAN))
    assert (ban.is_on(599.9), ban.is_on(600.0)) == (True, False)
