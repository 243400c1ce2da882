"""What template does by itself: nothing yet."""

from redress_spine.aggregate import Work

WORK: list[Work] = []
