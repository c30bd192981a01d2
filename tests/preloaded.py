"""What the fork server of tests imports; its processes copy new databases, as those that ask it do."""

from tests.new_databases import copy_new_databases
from tests.paper import exchange_process
from tests.store import kit

__all__ = ["exchange_process", "kit"]

copy_new_databases()
