"""The status for all who look: one question a second, changes once, and what those get who do not read."""

from __future__ import annotations

import asyncio
import threading

import orjson
import pytest

from supervisor.control.control_client import NotRunning
from supervisor.web import status_feed
from supervisor.web.status_feed import MOST_VIEWERS, MOST_WAITING, StatusFeed, TooMany

from .page_kit import recorded


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(status_feed, "POLL_S", 0.02)
    monkeypatch.setattr(status_feed, "LINGER_S", 0.0)
    monkeypatch.setattr(status_feed, "FIRST_S", 60.0)


class Supervisor:
    """Answers with another equity each time."""

    def __init__(self) -> None:
        self.asked = 0
        self.gone = False
        self.lock = threading.Lock()

    def __call__(self):
        with self.lock:
            self.asked += 1
            if self.gone:
                raise NotRunning("no supervisor runs")
            model = recorded()
            model["accounts"][0]["equity"] = str(self.asked)
            return model


def told(message):
    fields = dict(line.split(b": ", 1) for line in message.strip().split(b"\n"))
    return fields[b"event"].decode(), orjson.loads(fields[b"data"]), int(fields[b"id"])


async def test_each_viewer_gets_the_whole_and_then_what_changed_and_all_of_them_cost_one_question(quick):
    ask = Supervisor()
    feed = StatusFeed(ask, asyncio.get_running_loop().time)
    viewers = [feed.messages() for _ in range(5)]
    for viewer in viewers:
        event, document, _ = told(await anext(viewer))
        assert event == "status"
        assert document["model"]["accounts"][1]["account"] == "bob"
    before = ask.asked
    second = [told(await anext(viewer)) for viewer in viewers]
    assert {event for event, _, _ in second} == {"change"}
    assert all(document == [[["accounts", 0, "equity"], str(version)]] for _, document, version in second)
    assert ask.asked - before <= 2
    for viewer in viewers:
        await viewer.aclose()
    assert feed.viewers == 0
    while feed._poll is not None and not feed._poll.done():  # nobody looks: nobody asks
        await asyncio.sleep(0.01)
    asked = ask.asked
    await asyncio.sleep(0.05)
    assert ask.asked == asked


async def test_whoever_does_not_read_gets_the_whole_model_again(quick):
    ask = Supervisor()
    feed = StatusFeed(ask, asyncio.get_running_loop().time)
    slow, quick_one = feed.messages(), feed.messages()
    await anext(slow)
    await anext(quick_one)
    for _ in range(MOST_WAITING + 3):
        await anext(quick_one)
    event, document, version = told(await anext(slow))
    assert event == "status"
    assert document["model"]["accounts"][0]["equity"] == str(version)
    await slow.aclose()
    await quick_one.aclose()


async def test_a_supervisor_that_is_gone_is_told_with_the_age_of_what_is_shown(quick):
    ask = Supervisor()
    feed = StatusFeed(ask, asyncio.get_running_loop().time)
    viewer = feed.messages()
    await anext(viewer)
    ask.gone = True
    while (message := told(await anext(viewer)))[0] == "change":
        pass
    event, document, _ = message
    assert event == "beat"
    assert document["problem"] == "no supervisor runs"
    assert document["age_s"] >= 0
    ask.gone = False
    while told(await anext(viewer))[0] != "change":
        pass
    assert feed.problem == ""
    await viewer.aclose()


async def test_before_the_first_answer_there_is_no_model_and_no_age(quick):
    ask = Supervisor()
    ask.gone = True
    feed = StatusFeed(ask, asyncio.get_running_loop().time)
    assert await feed.current() is None
    assert feed.age_s is None
    viewer = feed.messages()
    assert told(await anext(viewer))[:2] == ("beat", {"age_s": None, "problem": "no supervisor runs"})
    ask.gone = False
    while (message := told(await anext(viewer)))[0] == "beat":
        pass
    event, document, _ = message
    assert event == "status", "the whole of it: there was nothing that could change"
    assert document["model"]["accounts"]
    assert told(await anext(viewer))[0] == "change"
    await viewer.aclose()


async def test_viewers_are_bounded(quick):
    feed = StatusFeed(Supervisor(), asyncio.get_running_loop().time)
    viewers = [feed.messages() for _ in range(MOST_VIEWERS)]
    for viewer in viewers:
        await anext(viewer)
    with pytest.raises(TooMany):
        await anext(feed.messages())
    await viewers[0].aclose()
    again = feed.messages()
    await anext(again)
    for viewer in (*viewers, again):
        await viewer.aclose()
