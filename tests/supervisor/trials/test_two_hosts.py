"""Two hosts of a fleet and one account, a few seeds of many: `python -m supervisor.trials.two_hosts --seeds 200`."""

from __future__ import annotations

import pytest

from gridbot.lease.lease_watch import LeaseWatch
from supervisor.trials.two_hosts import ACCOUNT, main, run_seed
from tests.examples import USUAL, examples

SEEDS = [2, 3, *range(200, 200 + examples(40) // 8 - 5)]
"""Both have holders that are cut off while they trade: in one the worker's check is what saves it, in the other one the
documents are what its successor needs."""


@pytest.mark.parametrize("seed", SEEDS)
def test_no_epochs_overlap_and_every_execution_counts_once(seed, monkeypatch):
    if examples(USUAL) <= USUAL:  # the trouble is as long as ever; a takeover takes 16 s
        monkeypatch.setattr("supervisor.trials.two_hosts.CALM_S", 40.0)
    trial = run_seed(seed)
    assert trial.findings == []
    assert trial.took > 50
    assert trial.database.tables.leases[ACCOUNT].epoch > 1


def test_a_worker_that_does_not_ask_for_its_lease_is_found_out(monkeypatch):
    monkeypatch.setattr(LeaseWatch, "may_send", lambda self: True)
    monkeypatch.setattr("supervisor.trials.two_hosts.CALM_S", 5.0)
    found = {invariant for invariant, _ in run_seed(2).findings}
    assert found & {"one-epoch", "one-key"}


def test_the_command_says_what_it_found(monkeypatch, capsys):
    monkeypatch.setattr("supervisor.trials.two_hosts.TROUBLE_S", 5.0)
    monkeypatch.setattr("supervisor.trials.two_hosts.CALM_S", 20.0)
    assert main(["--seeds", "1", "--first", "9"]) == 0
    assert capsys.readouterr().out.startswith("1 seeds, 1 holders, ")
