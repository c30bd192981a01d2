"""What `doctor` makes of a configuration, an account and a machine: facts in, one finding per check out. Pure.

    findings        what a finding is; the table of all checks
    doctor_facts    what was read, or why it could not be
    key_findings, account_findings, market_findings, margin_findings, stranger_findings, machine_findings: the checks
    filled_ladder   the money of an account when all its ladders are full

`supervisor/cli/doctor*.py` collects the facts and prints what is found.
"""
