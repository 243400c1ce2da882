"""The long soak: faults drawn from a seed under load, then every check."""
