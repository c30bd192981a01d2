"""Collects what `doctor` looks at (`gridbot.doctor` has the checks). Sends nothing but queries.

account_reading    asks each exchange about its accounts, in the address's own pace
local_reading      what this machine and the data directory know
"""
