"""Addresses, keys, and that the configuration can be read where pybit is not installed."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.exchange.environment import Environment
from tests.case_table import case_table


def test_live_environments_have_bybits_addresses():
    mainnet, testnet, demo = (endpoints_for(e) for e in (Environment.MAINNET, Environment.TESTNET, Environment.DEMO))
    assert mainnet.rest == "https://api.bybit.com"
    assert mainnet.ws_private == "wss://stream.bybit.com/v5/private"
    assert testnet.rest == "https://api-testnet.bybit.com"
    assert testnet.ws_public == "wss://stream-testnet.bybit.com/v5/public/linear"
    assert demo.rest == "https://api-demo.bybit.com"
    assert demo.ws_private == "wss://stream-demo.bybit.com/v5/private"


def test_demo_listens_to_the_public_stream_of_mainnet_and_has_no_trade_stream():
    demo = endpoints_for(Environment.DEMO)
    assert demo.ws_public == endpoints_for(Environment.MAINNET).ws_public
    assert demo.ws_trade == ""


def test_paper_lives_at_the_address_it_is_given():
    paper = endpoints_for(Environment.PAPER, "http://127.0.0.1:8123/")
    assert paper.rest == "http://127.0.0.1:8123"
    assert paper.ws_public == "ws://127.0.0.1:8123/v5/public/linear"
    assert paper.ws_private == "ws://127.0.0.1:8123/v5/private"
    assert paper.ws_trade == "ws://127.0.0.1:8123/v5/trade"


def test_public_streams_of_a_paper_account_name_it_without_its_secret():
    """So that what strangers of this machine open does not count for it; a live account says nothing of the kind."""
    keys = Credentials("paper-älice", "secret of alice")
    paper = endpoints_for(Environment.PAPER, "http://127.0.0.1:8123", keys)
    assert re.fullmatch(
        r"ws://127\.0\.0\.1:8123/v5/public/linear\?key=paper-%C3%A4lice&proof=[0-9a-f]{64}", paper.ws_public
    )
    assert "secret" not in str(paper)
    assert paper.ws_public != endpoints_for(Environment.PAPER, "http://127.0.0.1:8123", Credentials("a", "b")).ws_public
    for environment in (Environment.MAINNET, Environment.TESTNET, Environment.DEMO):
        assert endpoints_for(environment, None, keys) == endpoints_for(environment)


@case_table("url", [None, "", "127.0.0.1:80", "ftp://127.0.0.1"])
def test_paper_needs_a_proper_address(url: str | None):
    with pytest.raises(ValueError, match="expected"):
        endpoints_for(Environment.PAPER, url)


@pytest.mark.parametrize("environment", [Environment.MAINNET, Environment.TESTNET, Environment.DEMO])
def test_a_live_account_cannot_be_pointed_elsewhere(environment: Environment):
    with pytest.raises(ValueError, match="only paper"):
        endpoints_for(environment, "http://127.0.0.1:8123")


def test_credentials_do_not_show_themselves():
    credentials = Credentials("the-key", "the-secret")
    for text in (repr(credentials), str(credentials), f"{credentials}"):
        assert "the-key" not in text
        assert "the-secret" not in text


def test_words_errors_and_parsing_come_without_pybit():
    code = (
        "import sys\n"
        "import gridbot.bybit.endpoints, gridbot.exchange.requests\n"
        "import gridbot.bybit.error_mapping, gridbot.bybit.parse_account\n"
        "import gridbot.bybit.watchdog, gridbot.bybit.mailbox\n"
        "import gridbot.bybit.line_choice, gridbot.bybit.ticker_merger\n"
        "assert not {'pybit', 'websocket', 'aiohttp', 'picows'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
