"""What an account's testnet has shown of order entry over WebSocket, over restarts and damaged files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridbot.exchange.environment import Environment
from gridbot.exchange.order_entry import PROVEN
from gridbot.state.documents import StateFile
from gridbot.state.state_files import StateFiles
from gridbot.worker.entry_proof import EntryProof

NAME = "order_entry.json"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[StateFiles]:
    made = StateFiles(tmp_path / "alice")
    yield made
    made.close()


def proof(files: StateFiles, environment: Environment = Environment.TESTNET) -> EntryProof:
    return EntryProof(StateFile(files, NAME), environment)


def test_testnet_counts_up_to_what_is_asked_and_mainnet_finds_it(tmp_path: Path) -> None:
    files = StateFiles(tmp_path / "alice")
    counted = proof(files)
    assert counted.acknowledged == 0
    for orders in (1, 10, 0, -3):
        counted.add(orders)
    assert counted.acknowledged == 11
    counted.add(PROVEN)
    assert counted.acknowledged == PROVEN
    assert files.close()
    later = StateFiles(tmp_path / "alice")
    assert proof(later, Environment.MAINNET).acknowledged == PROVEN
    later.close()


@pytest.mark.parametrize("environment", [each for each in Environment if each is not Environment.TESTNET])
def test_only_testnet_counts(files: StateFiles, environment: Environment) -> None:
    counted = proof(files, environment)
    counted.add(50)
    assert counted.acknowledged == 0


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"acknowledged": "100"}', '{"acknowledged": -1}', '{"acknowledged": 1e9}']
)
def test_what_is_damaged_proves_nothing(files: StateFiles, text: str) -> None:
    files.write(NAME, text.encode())
    assert proof(files, Environment.MAINNET).acknowledged == 0


def test_more_than_is_asked_is_no_number_of_ours(files: StateFiles) -> None:
    files.write(NAME, json.dumps({"acknowledged": PROVEN + 1}).encode())
    assert proof(files).acknowledged == 0
