"""Hosts of a fleet under virtual time: real workers, real leases, the paper exchange, and a database in memory.

    two_hosts     a run from a seed: two hosts of one account, trouble, rest, checks
    trial_host    one host: its supervisor's part of the fleet, its worker, its clocks, its disk
    trial_store   the way to the database, and what goes wrong on it

By command: `python -m supervisor.trials.two_hosts --seeds 200` (docs/fleet.md).
"""
