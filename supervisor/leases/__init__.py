"""What the accounts share of one address: requests, a ban, and facts of the market.

    request_leases.py   who gets how many permits for requests        (pure)
    line_grants.py      starts that may open more WebSockets           (pure)
    fact_board.py       who reads a fact of the market, and who is told (pure)
    sharing.py          all of it, for the messages of the workers

The workers' side is `gridbot/budget`.
"""
