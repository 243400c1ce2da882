"""What template does by itself: nothing yet."""

from redress_events.facts import Work

WORK: list[Work] = []
