"""A first configuration file: whatever is answered is refused with a sentence, or `check` accepts what is written."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbot.config.first_answers import Answers, KeysBy, variables
from gridbot.config.first_file import SmallWallet, draft_of, fault_of
from gridbot.config.first_text import text_of_draft
from gridbot.config.ladder_report import ladder_report
from gridbot.config.loading import load_text
from gridbot.exchange.environment import Environment
from gridbot.paper.market.instruments import LISTINGS
from tests.examples import examples

PATH = Path("conf/mine.yaml")


def money(least: str, most: str) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(least), Decimal(most), places=2)


ANSWERS = st.builds(
    Answers,
    environment=st.sampled_from(list(Environment)),
    account=st.sampled_from(["main", "a-1", "007", "null", "no", "x" * 32]),
    symbol=st.sampled_from(sorted(LISTINGS)),
    wallet=money("1", "1000000"),
    levels=st.none() | st.integers(2, 120),
    step=st.none() | money("0.01", "3"),
    amount=st.none() | st.sampled_from(["x0.05", "100", "q1", "q0.001", "x9", "1"]),
    keys=st.sampled_from(list(KeysBy)),
    real_money=st.booleans(),
)


@given(ANSWERS)
@example(Answers(symbol="DOGEUSDT", wallet=Decimal(15), step=Decimal("1.13")))
@settings(max_examples=examples(30), deadline=None)
def test_whatever_passes_is_a_file_that_can_start(answers: Answers) -> None:
    if fault_of(answers, PATH) is not None:
        return
    draft = draft_of(answers, PATH)
    text = text_of_draft(draft)
    environ = {name: f"value-of-{name}" for name in variables(answers)}
    config = load_text(text, PATH, environ=environ).config
    (account,), (strategy,) = config.accounts, config.strategies
    assert (account.name, account.environment) == (answers.account, answers.environment)
    assert strategy.shadow_mode is (answers.environment is Environment.MAINNET and not answers.real_money)
    assert config.allow_mainnet is (answers.environment is Environment.MAINNET)
    caps = (account.caps.session_loss_limit, account.caps.max_drawdown, strategy.caps.max_notional)
    assert None not in caps
    prices = {answers.symbol: draft.answers.price or Decimal(0)}
    report = ladder_report(config, strategy, prices, {account.name: draft.answers.wallet or Decimal(0)})
    assert report.problem == ""
    assert all(row.size for row in report.rows if not row.reason), "the exchange takes each order"
    assert not any(row.reason.startswith(("rounded", "below the smallest")) for row in report.rows)
    cap, wallet = strategy.caps.max_notional, report.wallet or Decimal(0)
    assert cap is not None
    assert cap.resolve(wallet) >= sum(total.notional for total in report.totals), (
        "the cap lets the whole ladder through"
    )


@given(st.sampled_from(sorted(LISTINGS)), money("0.1", "100000"))
@settings(max_examples=examples(20), deadline=None)
def test_proposals_alone_are_never_refused_where_the_wallet_is_large_enough(symbol: str, wallet: Decimal) -> None:
    answers = Answers(symbol=symbol, wallet=wallet)
    fault = fault_of(answers, PATH)
    if fault is not None:
        with pytest.raises(SmallWallet) as small:
            draft_of(answers, PATH)
        assert small.value.least > wallet
        assert fault_of(replace(answers, wallet=small.value.least), PATH) is None
        return
    draft = draft_of(answers, PATH)
    assert fault_of(draft.answers, PATH) is None
    assert draft.warnings == (), "a step that pays its fees, orders that the wallet can hold"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (Answers(symbol="BTC"), "expected a USDT perpetual such as BTCUSDT, got `BTC`"),
        (Answers(symbol="FOOUSDT"), "expected a symbol whose trading rules the paper exchange knows"),
        (Answers(account="a b"), "expected 1 to 32 letters, digits, _ or -"),
        (Answers(levels=3), "expected a number at least 4, got `3`"),
        (Answers(levels=5000), "expected "),
        (Answers(step=Decimal("0.04")), "expected a step of more than 0.04 percent, got 0.04; each pair of fills "),
        (Answers(step=Decimal("0.05")), None),
        (Answers(amount="12z"), "expected x0.001 (fraction of the wallet), 100 (USDT) or q0.01 (coins), above zero"),
        (Answers(amount="20"), "expected whole steps of BTCUSDT, such as q0.001 (61.21 USDT), got 20; write "),
        (Answers(amount="x9"), "expected orders of at most 8000.00 USDT, got x9: 10 of them are worth 900"),
        (Answers(wallet=Decimal(10)), "expected at least 31 USDT for BTCUSDT, whose smallest orders want that, got 10"),
        (Answers(data_dir="$HOME/x"), "expected a path, with variables as ${NAME}"),
        (Answers(environment=Environment.TESTNET, symbol="FOOUSDT"), None),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_told_at_once(answers: Answers, said: str | None) -> None:
    fault = fault_of(answers, PATH)
    assert (fault is None) if said is None else (fault or "").startswith(said), fault


def test_the_file_explains_itself_and_has_no_secret() -> None:
    wallet = Decimal(500)
    answers = Answers(Environment.MAINNET, "007", "SOLUSDT", wallet=wallet, keys=KeysBy.FILES, data_dir="it's")
    text = text_of_draft(draft_of(answers, PATH))
    assert "    api_key: ${GRIDBOT_007_API_KEY}\n    api_secret: ${GRIDBOT_007_API_SECRET}\n" in text
    assert "GRIDBOT_007_API_KEY_FILE and GRIDBOT_007_API_SECRET_FILE name the two files" in text
    assert "data_dir: 'it''s'" in text
    keys = [line for line in text.splitlines() if ":" in line.partition("#")[0] and not line.rstrip().endswith(":")]
    plain = ("account:", "symbol:", "api_key:", "api_secret:", "- name:", "storage:")
    assert [line for line in keys if "#" not in line and not line.strip().startswith(plain)] == []
    assert max(map(len, text.splitlines())) <= 120
