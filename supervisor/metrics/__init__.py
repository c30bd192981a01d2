"""What Prometheus reads of the fleet: a closed catalogue of metrics, each read from the status model."""
