"""What operators and their tools ask a service: health, metrics, parked subjects."""
