"""What template publishes: nothing yet."""

from redress_events.event import Contract

TEMPLATE = Contract("template")
