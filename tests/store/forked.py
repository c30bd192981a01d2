"""What the fork server of the store's tests imports: their processes copy new databases, as this process does."""

from tests.new_databases import copy_new_databases
from tests.store import kit

__all__ = ["kit"]

copy_new_databases()
