"""What every service's HTTP side shares: settings, problems, callers, idempotency, health, metrics and logs."""
