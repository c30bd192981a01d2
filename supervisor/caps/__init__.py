"""Caps of several accounts together: of all (`fleet.caps`), and of those with a label (`fleet.groups`).

    notional_shares.py   who may be worth how much, so that the sum never exceeds `max_notional`   (pure)
    cap_scope.py         drawdown and loss of one scope, and whom its latch holds                 (pure)
    caps_keeper.py       both, for the messages of the workers; the file; who does not answer
    fleet_scope.py       one scope over all hosts of a fleet, as the database has it              (pure)
    host_caps.py         what one host knows of that, and tells                                   (pure)
    own_caps.py          who is silent while a cap of its own account is nearly used              (pure)

The workers' side is `gridbot/worker/cap_guard.py`; what all of it means is in `docs/caps.md`.
"""
