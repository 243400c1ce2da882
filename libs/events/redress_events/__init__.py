"""The spine of every service: contracts, journal, relay, projector, work loop, vault and verification."""
