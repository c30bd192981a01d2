"""Values that the worker and the transport share: requests to an exchange, its answers, and its failures."""
