"""The text of a first configuration file: YAML with a remark wherever a key matters. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gridbot.config.first_answers import Draft, KeysBy, known_price, variables
from gridbot.core.sizing import AmountRule
from gridbot.exchange.environment import Environment

__all__ = ["text_of_draft"]

WHERE: Final = {
    Environment.PAPER: "the exchange inside gridbot: no keys, no network, no money",
    Environment.DEMO: "Bybit's demo trading: mainnet prices, play money",
    Environment.TESTNET: "Bybit's testnet: play money",
    Environment.MAINNET: "real money",
}
REMARK: Final = 36
"""Column of remarks."""


def text_of_draft(draft: Draft, commands: Sequence[str] = ()) -> str:
    """The whole file; it has no secret, only the names of variables. `commands`: what to type when it is written."""
    return "\n".join([*_head(commands), *_account(draft), "", *_strategy(draft), "", *_rest(draft)]) + "\n"


def _head(commands: Sequence[str]) -> Iterator[str]:
    yield "# One account and one grid. Look at it, change what you like, then:"
    yield "#"
    yield from (f"#   {command}" for command in commands)
    yield "#"
    yield "# Every key with its default: conf/gridbot.yaml.example. Many accounts: docs/templates.md, conf/fleet.yaml."
    yield ""


def _account(draft: Draft) -> Iterator[str]:
    answers = draft.answers
    if answers.environment is Environment.MAINNET:
        yield _line("allow_mainnet: true", "without this line nothing is ever sent to mainnet")
        yield ""
    yield "# One account is one process. Its name is part of every order's identity: change it only while none rests."
    yield "accounts:"
    yield f"  - name: {_word(answers.account)}"
    yield _line(f"    environment: {answers.environment}", WHERE[answers.environment])
    named = variables(answers)
    if named:
        yield "    # The secrets are not in this file: ${NAME} is the environment variable NAME, or what stands in the"
        yield "    # file that NAME_FILE names. The key needs orders and positions of contracts, and no withdrawals."
        if answers.keys is KeysBy.FILES:
            yield f"    # Here: {named[0]}_FILE and {named[1]}_FILE name the two files."
        for key, name in zip(("api_key", "api_secret"), named, strict=True):
            yield f"    {key}: ${{{name}}}"
    if answers.environment is Environment.PAPER and answers.wallet is not None:
        yield _line(f"    balance: {answers.wallet:f}", "USDT at the start, on paper only")
    yield "    # What stops the account by itself, until an operator has looked and resumes it."
    yield "    caps:"
    yield _line("      session_loss_limit: x0.2", "a realised loss of a fifth of the wallet")
    yield _line("      max_drawdown: 25%", "a fall of the equity, open losses included, from its peak")
    yield _line("      on_breach: reduce", "then: reduce (closes only), cancel, or flatten (close all)")
    yield _line("      max_margin_ratio: 0.5", "half way to liquidation nothing more is opened")


def _strategy(draft: Draft) -> Iterator[str]:
    answers = draft.answers
    yield "# A grid buys at each level below the price and sells at each above, for a long and a short position."
    yield "strategies:"
    yield _line(f"  - strat_id: {_word(answers.strategy)}", "for ever: orders and the saved grid belong to it")
    yield f"    account: {_word(answers.account)}"
    yield f"    symbol: {answers.symbol}"
    if answers.environment is Environment.MAINNET:
        remark = "true: decides and records all, sends nothing" if answers.watches else "false: it sends orders"
        yield _line(f"    shadow_mode: {str(answers.watches).lower()}", remark)
    yield _line(f"    grid_count: {answers.levels}", "levels, half above the price and half below")
    yield _line(f"    grid_step: {answers.step:f}", "percent between them; two maker fees cost 0.04")
    yield _line(f'    amount: "{answers.amount}"', _size(draft))
    yield "    caps:"
    yield _line(
        f"      max_notional: x{draft.max_notional}", "all positions and resting opens, in wallets; closes pass"
    )
    most = 4 * (answers.levels or 0)
    yield _line(f"      max_open_orders: {most}", "resting orders, opens and closes")
    yield _line("      max_orders_per_minute: 120", "attempts to place; more means that something is wrong")


def _rest(draft: Draft) -> Iterator[str]:
    answers = draft.answers
    yield "# Database, journals, state, logs and control socket of this bot alone."
    yield f"storage: {{data_dir: {_quoted(answers.data_dir)}}}"
    if answers.environment is Environment.PAPER:
        price = answers.price or known_price(answers.symbol)
        begin = "" if price is None else f"price: {price:f}"
        yield ""
        yield "# Prices are drawn: they swing around this one, which a grid likes. Its profit on paper means nothing."
        yield f"paper: {{market: {{source: synthetic, seed: 1, symbols: {{{answers.symbol}: {{{begin}}}}}}}}}"


def _size(draft: Draft) -> str:
    amount, wallet = str(draft.answers.amount), draft.answers.wallet
    if amount.startswith("q"):
        return f"each order is {amount[1:]} {draft.answers.symbol.removesuffix('USDT')}"
    if not amount.startswith("x"):
        return f"each order is {amount} USDT"
    share = AmountRule.parse(amount).value
    worth = "" if wallet is None else f": {share * wallet:.2f} USDT of {wallet:f}"
    return f"each order is {(share * 100).normalize():f} % of the wallet{worth}"


def _line(text: str, remark: str) -> str:
    return f"{text.ljust(REMARK)} # {remark}"


def _word(text: str) -> str:
    """A name as YAML takes it; `null` would be none."""
    return f'"{text}"' if text.lower() in ("null", "~", "") or not text.isascii() else text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
