"""Connections to a server that misbehaves at random, drawn from a seed: what holds of every request whatever happens.

Each request ends once. An answer is its own. None reaches the server twice, and none of which nothing left reaches it
at all. Afterwards nothing is open, waits or runs.

One thing no client can tell: a second answer that crosses the next request on its way. So whoever creates an order
compares the ids (`order_gateway`).
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from gridbot.bybit.carrier import Answer, CarrierError, NotSent, Outgoing
from tests.bybit.raw_server import Peer, answer, raw
from tests.bybit.support import eventually, run

REQUESTS = 60
TIMEOUT_S = 0.25


class Rogue:
    """What the server does, and which requests it has seen."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.seen: Counter[str] = Counter()

    async def __call__(self, peer: Peer) -> None:
        draw = self.draw
        if draw.random() < 0.1:  # not even a word
            return
        while request := await peer.request():
            name = request.split(b" ")[1].decode()
            self.seen[name] += 1
            whole = answer(name.encode(), *(["Connection: close"] if draw.random() < 0.1 else []))
            match draw.choices(range(8), (12, 3, 1, 1, 1, 1, 1, 1))[0]:
                case 0:
                    await peer.say(whole)
                case 1:
                    for part in (whole[:9], whole[9:-1], whole[-1:]):
                        await peer.say(part)
                        await asyncio.sleep(draw.choice((0, 0.01)))
                case 2:
                    return
                case 3:
                    await peer.say(whole[: draw.randrange(len(whole))])
                    return
                case 4:
                    await asyncio.sleep(draw.choice((0.05, 2 * TIMEOUT_S)))
                    await peer.say(whole)
                case 5:
                    await peer.say(whole + answer(b"/of/nobody"))
                case 6:
                    await peer.say(b"garbage" + whole)
                case 7:
                    await peer.say(whole)
                    await asyncio.sleep(draw.choice((0, 0.01)))
                    peer.cut()
                    return


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_server_does(seed: int) -> None:
    async def scene() -> None:
        rogue = Rogue(seed)
        draw = random.Random(f"asks:{seed}")
        told: dict[str, list[Answer | CarrierError]] = {}
        async with raw(rogue, most=5, timeout_s=TIMEOUT_S) as exchange:
            for number in range(REQUESTS):
                name = f"/{number}"
                told[name] = []
                is_order = draw.random() < 0.5
                exchange.pool.carry(
                    Outgoing("POST" if is_order else "GET", name, "", b"{}" if is_order else None, is_order),
                    TIMEOUT_S,
                    told[name].append,
                )
                if draw.random() < 0.7:
                    await asyncio.sleep(draw.choice((0, 0.002, 0.02)))
            await eventually(lambda: all(told.values()))
            exchange.pool.close()
            await eventually(lambda: not exchange.pool._open and not exchange.pool._dials)
            assert exchange.pool._timer is None or exchange.pool._timer.cancelled() or not exchange.pool._idle
        assert {name: len(outcomes) for name, outcomes in told.items()} == dict.fromkeys(told, 1)
        for name, (outcome,) in told.items():
            if isinstance(outcome, Answer):
                assert outcome.content == name.encode()
                assert rogue.seen[name] == 1
            else:
                assert rogue.seen[name] <= (0 if isinstance(outcome, NotSent) else 1), outcome
        answered = sum(isinstance(outcomes[0], Answer) for outcomes in told.values())
        assert answered > REQUESTS / 3, "a server that never answers would prove little"

    run(scene())
