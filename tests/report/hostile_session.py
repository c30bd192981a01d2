"""A session whose every word of others is an attack: names, reasons of the exchange, alerts, settings."""

from __future__ import annotations

from decimal import Decimal

from gridbot.records.record_types import AlertRecord, LatchRecord
from tests.report.grid_session import GridSession, trade

SCRIPT = "<script>window.owned = 1</script>"
IMAGE = "<img src=x onerror=window.owned=1>"
END = "</script><script>window.owned = 1</script>"
QUOTE = "\"'><svg onload=window.owned=1>"
TEMPLATE = "{{ 7 * 191 }}{% raw %}"
HOSTILE = (SCRIPT, IMAGE, END, QUOTE)
SECRET = "s3cr3t-of-alice"
STRATEGY = f"grid{SCRIPT}"
CONFIG = (
    f'{{"environment":"paper","account":{{"name":"alice","api_key":"{SECRET}","api_secret":"{SECRET}","note":"{END}"}},'
    f'"strategies":[{{"strat_id":"{STRATEGY}","symbol":"BTCUSDT","note":"{TEMPLATE}"}}]}}'
)


def hostile(session: GridSession) -> None:
    trade(session)
    session.run_id = session.recorder.run_id = f"run-{IMAGE}"
    session.start(CONFIG, config_hash="other")
    session.ladder(STRATEGY, "BTCUSDT")
    session.fill("Buy", "100", "1", strategy=STRATEGY, symbol=f"BTC{QUOTE}")
    session.leg("1", "100", "100", strategy=STRATEGY, symbol=f"BTC{QUOTE}", liq_price=Decimal(50))
    session.order("link", "rejected", ret_code=110007, reason=END)
    session.order("link", "rejected", ret_code=110007, reason=TEMPLATE)
    session.add(AlertRecord(level="ERROR", key=f"key{IMAGE}", text=f"the exchange said {END}"))
    session.add(LatchRecord(strategy=STRATEGY, kind="halted", is_set=True, reason=IMAGE))
    session.fill("Sell", "99", "1", exec_type="BustTrade", symbol=f"BTC{QUOTE}", strategy=STRATEGY)
