"""What template does by itself: nothing yet."""

from redress_spine.aggregate import Automation

AUTOMATIONS: list[Automation] = []
