"""What a worker reads of the exchange again and again goes through `JobWatch`: what fails for minutes is told."""

from __future__ import annotations

import ast
from typing import get_args

from gridbot.orders import reconcile_words as words
from gridbot.worker import reconciler
from tests.house.source import MODULES, dotted, tree, walk

TASKS = {
    "gridbot.worker.jobs": 1,  # each job of the schedule: watched
    "gridbot.worker.reconciler": 1,  # each question of a comparison: watched, or its job is
    "gridbot.worker.orchestrator": 3,  # clock, look-ups: the worker ends with them; what a reload waits for
    "gridbot.worker.bounded_wait": 2,  # one wait
    "gridbot.worker.worker_session": 5,  # the reports, the start, a stop, a command that takes long, a reload
    "gridbot.worker.adoption": 1,  # one adoption, which tells the operator what it meets
    "gridbot.worker.flattening": 1,  # one flattening, which tells what it meets
    "gridbot.execution.executor": 1,  # a request for orders: `risk/passage.py`
}
"""How many kinds of tasks a module of the worker starts, and who tells what becomes of them.

A new one that asks the exchange for something again and again has to be a job, or told to `JobWatch` itself.
"""
ASKERS = {
    "gridbot.worker.adoption",
    "gridbot.worker.assembly",
    "gridbot.worker.dead_man_watch",
    "gridbot.worker.money_watch",
    "gridbot.worker.notice_watch",
    "gridbot.worker.reconcile_calls",
    "gridbot.worker.reconciler",
    "gridbot.worker.startup",
    "gridbot.worker.terms",
}
"""Who asks the exchange (`ExchangeQueries`): all of them as a job, before anything trades, or once for an operator."""


def test_tasks_of_a_worker_are_started_in_known_places() -> None:
    found = {}
    for module in MODULES:
        if module.startswith(("gridbot.worker.", "gridbot.execution.")):
            starts = [
                node
                for node in walk(tree(module))
                if isinstance(node, ast.Call) and dotted(node.func) in ("background.start", "background.awaited")
            ]
            found.update({module: len(starts)} if starts else {})
    assert found == TASKS


def test_the_exchange_is_asked_in_known_places() -> None:
    found = {
        module
        for module in MODULES
        if module.startswith("gridbot.worker.")
        for node in walk(tree(module))
        if isinstance(node, ast.Call)
        and dotted(node.func).rpartition(".")[0].rpartition(".")[2] in ("queries", "_queries", "rest")
    }
    assert found == ASKERS


def test_every_question_that_nobody_waits_for_has_words() -> None:
    """The others are asked by passes and readings of positions only, which are jobs."""
    of_jobs = {words.AskListing, words.AskPositions, words.AskWallet}
    assert reconciler.ASKED.keys() == set(get_args(words.Question)) - of_jobs
