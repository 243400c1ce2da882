"""The machinery of an event-sourced service: journal, relay, projector, automations, verify, rebuild. It knows no domain."""
