"""What template publishes: nothing yet."""

from redress_events.facts import Contract

TEMPLATE = Contract("template")
