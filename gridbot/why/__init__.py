"""Why a strategy has not all the orders that it wants: in words, for the operator who asks. Pure.

::

    asked_about ──► explanation ──► what rests, and a row for each order that does not
                  ├── level_words   the order has not been sent, or does not rest yet: why
                  │     ├── gate_words    what the gate answers to it now
                  │     └── order_words   where the order is on its way
                  ├── hold_rows     what holds strategy and account: since when, who, what lifts it
                  ├── cap_rows      how far each cap is away
                  └── rule_words    the risk rules in force

`asked_about` has everything that is looked at; nothing of it is changed. The gate is asked again by its own pure
question (`risk/gate_checks.py`), so that an answer is about now, also when no price has come since.
"""
