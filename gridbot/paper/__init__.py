"""The embedded paper exchange: Bybit V5 linear perpetuals over loopback, for real clients.

Pure parts (no I/O, clock or randomness): `instruments`, `matching`, `margin`, `account`, `exchange`, `market`, `views`,
`api`, `synthetic`. Shells: `sources`, `http`, `ws`, `server`, `process`. Configuration: `config`, `spec`.
"""
