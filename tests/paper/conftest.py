"""Fixtures of the paper exchange's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.paper.support import ALICE, Inbox, Venue, eventually, manual_config, venue_of


@pytest.fixture
def venue() -> Iterator[Venue]:
    """A manual market in hedge mode, limits off, everything published at once."""
    with venue_of(manual_config()) as running:
        yield running


@pytest.fixture
def private(venue: Venue) -> Iterator[Inbox]:
    """Alice's private stream, subscribed to everything."""
    inbox = Inbox()
    socket = venue.websocket("private", ALICE)
    socket.order_stream(inbox)
    socket.execution_stream(inbox)
    socket.position_stream(inbox)
    socket.wallet_stream(inbox)
    account = venue.server.exchange.accounts["alice"]
    eventually(lambda: account.listening == {"order", "execution", "position", "wallet"})
    yield inbox
    socket.exit()
