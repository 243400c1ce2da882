"""Real Kafka and PostgreSQL on this machine, and the whole system upon them."""
