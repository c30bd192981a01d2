"""What is asked for a first configuration file, and the whole that is made of the answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gridbot.config.ladder_report import LadderReport
from gridbot.exchange.environment import Environment
from gridbot.paper.market.instruments import LISTINGS

__all__ = ["Answers", "Draft", "KeysBy", "known_price", "variables"]


class KeysBy(StrEnum):
    """How the worker gets its keys; the file has neither."""

    VARIABLES = "variables"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known so far; None is not answered yet. Money in USDT, the step in percent."""

    environment: Environment = Environment.PAPER
    account: str = "main"
    symbol: str = "BTCUSDT"
    price: Decimal | None = None
    wallet: Decimal | None = None
    levels: int | None = None
    step: Decimal | None = None
    amount: str | None = None
    keys: KeysBy = KeysBy.VARIABLES
    real_money: bool = False
    data_dir: str = "data"

    @property
    def strategy(self) -> str:
        """The strategy's id."""
        return f"{self.account[:20]}-{self.symbol.removesuffix('USDT').lower()[:11]}"

    @property
    def watches(self) -> bool:
        """Whether it only decides and sends nothing: real money needs a word of its own."""
        return self.environment is Environment.MAINNET and not self.real_money


@dataclass(frozen=True, slots=True)
class Draft:
    """Answers without a gap, the caps that follow from them, and what `check` says of them."""

    answers: Answers
    max_notional: int = 10
    """Cap of the strategy, in wallets."""
    report: LadderReport | None = None
    warnings: tuple[str, ...] = ()


def known_price(symbol: str) -> Decimal | None:
    """USDT that a symbol which ships with the paper exchange costs there, at first."""
    listing = LISTINGS.get(symbol)
    return None if listing is None else listing.default_price


def variables(answers: Answers) -> tuple[str, ...]:
    """The environment variables that the file names: key and secret."""
    if answers.environment is Environment.PAPER:
        return ()
    stem = "".join(letter if letter.isalnum() else "_" for letter in answers.account).upper()
    stem = f"GRIDBOT_{stem}" if stem[:1] <= "9" else stem
    return f"{stem}_API_KEY", f"{stem}_API_SECRET"
