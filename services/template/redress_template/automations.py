"""What template does by itself: nothing yet."""

from redress_spine.aggregate import Automation


def automations(policies: None) -> list[Automation]:
    return []
