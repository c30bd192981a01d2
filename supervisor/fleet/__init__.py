"""Accounts over several hosts: who may trade which account, by leases in PostgreSQL (docs/fleet.md)."""
