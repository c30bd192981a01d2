"""The real worker against the real paper exchange in one process, under virtual time, drawn from one seed.

Imports run downwards; nothing in `gridbot` imports this room.

    campaign     many seeds, counts, shrinking
    run          one seed from its plan to its result
    life, supervision    a worker's lives: starts, deaths, the files they leave
    checks       the invariants, by name
    venue        the paper exchange behind the network
    rest_link, socket_link    transports: requests without threads, and sockets without a network (wires, trade_link)
    network      what happens to what is sent
    plan         what goes wrong and when, drawn from the seed
    memory_files, torn_disk    files that fail on command
    virtual_loop, virtual_time, forbidden    time, and what a simulated run may not use
    reverts      fixes taken out again, by name
"""
