"""What this process may ask the exchange over HTTP: its part of what the exchange allows one address.

    request_permits.py   which request may leave now, and what is given back     (pure)
    address_budget.py    the same for those who ask: turns, timers, messages to the supervisor
    fact_share.py        facts of the market that another account has just read
    line_starts.py       WebSockets of a start beyond the account's own part

The supervisor's side, which lends the permits, is `supervisor/leases`.
"""
