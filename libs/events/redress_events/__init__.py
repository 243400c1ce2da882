"""The spine of every service: contracts, journal, relay, projector, automation loop, vault and verification."""
