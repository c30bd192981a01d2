"""Hosts of a fleet in trouble, under virtual time or as real processes.

Under virtual time: real workers, real leases, the paper exchange, and a database in memory.

    two_hosts     a run from a seed: two hosts of one account, trouble, rest, checks
    trial_host    one host: its supervisor's part of the fleet, its worker, its clocks, its disk
    trial_store   the way to the database, and what goes wrong on it

Real processes, a real PostgreSQL, the paper exchange, and proxies between them:

    fleet_faults    the command: cases, one after the other
    fault_case      the table of them; `host_faults`, `database_faults` and `order_faults` fill it
    real_fleet      three hosts; `real_host` one of them, `standby_server` a second PostgreSQL
    fleet_witness   what the exchange and the database say of it, and what must hold
    tcp_proxy       cuts, delays, holds back, loses; `fleet_faketime` steps the wall clock

By command: `python -m supervisor.trials.two_hosts --seeds 200`, `python -m supervisor.trials.fleet_faults`
(docs/fleet.md).
"""
