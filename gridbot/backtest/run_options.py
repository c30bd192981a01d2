"""What a backtest assumes of exchange and network, beside the configuration. Values only."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import Any

from gridbot.paper.settings import MatchingModel

__all__ = ["Latency", "Options"]


@dataclass(frozen=True, slots=True)
class Latency:
    """One way, in ms: from `least` to `most`, drawn evenly; fixed where both are the same."""

    least: float
    most: float

    @classmethod
    def parse(cls, text: str) -> Latency:
        """Of "20" or "5-40". ValueError says what was expected."""
        low, dash, high = text.partition("-")
        try:
            least = float(low)
            most = float(high) if dash else least
        except ValueError:
            raise ValueError(f"expected milliseconds such as 20, or a range such as 5-40, got {text!r}") from None
        return cls(least, most)

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most <= 60_000:
            raise ValueError(f"expected 0 to 60000 ms, the smaller first, got {self.least:g}-{self.most:g}")

    def __str__(self) -> str:
        return f"{self.least:g}" if self.least == self.most else f"{self.least:g}-{self.most:g}"

    @property
    def is_fixed(self) -> bool:
        """Whether nothing is drawn."""
        return self.least == self.most

    def us(self, draw: random.Random) -> int:
        """In µs, drawn where it is a range."""
        if self.least == self.most:
            return round(self.least * 1000)
        return round(draw.uniform(self.least, self.most) * 1000)


def _ms(milliseconds: float) -> Latency:
    return Latency(milliseconds, milliseconds)


@dataclass(frozen=True, slots=True)
class Options:
    """`request`: to the exchange; `answer`: back; `push`: its private streams, after `paper.ack_delay_ms`.

    `ticker_ms`: of prices; fixed, since what is between two prices is jumped over. `seed` draws the others where they
    are ranges, and whether a fill's order or its execution comes first. `matching`: None takes the configuration's.
    `sample_s`: at most so often the wallet, each leg and each price are recorded without having changed by a fill;
    of a span longer than two days a leg at most 3,000 times.
    `every_tick`: look at each price; the records are the same, only slower (it is there to prove that).
    """

    matching: MatchingModel | None = None
    request: Latency = field(default_factory=lambda: _ms(10))
    answer: Latency = field(default_factory=lambda: _ms(10))
    push: Latency = field(default_factory=lambda: _ms(10))
    ticker_ms: float = 10
    seed: int = 1
    sample_s: float = 60.0
    every_tick: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.ticker_ms <= 60_000:
            raise ValueError(f"ticker_ms: expected 0 to 60000, got {self.ticker_ms:g}")
        if not self.sample_s >= 1:
            raise ValueError(f"sample_s: expected 1 or more, got {self.sample_s:g}")

    @classmethod
    def with_latency(cls, latency: Latency, **others: Any) -> Options:
        """The same latency for every way; prices have its mean."""
        mean = (latency.least + latency.most) / 2
        return cls(request=latency, answer=latency, push=latency, ticker_ms=mean, **others)

    def as_json(self) -> dict[str, Any]:
        """As it is kept with the results."""
        ways = {name: str(getattr(self, name)) for name in ("request", "answer", "push")}
        plain = asdict(self) | {f"{name}_ms": ways[name] for name in ways}
        return {name: value for name, value in plain.items() if name not in ways} | {
            "matching": None if self.matching is None else self.matching.value
        }
