"""Answer a withdrawal: the customer's wish becomes the complaint's end, with the number of the wish that it answers."""

from redress_callback.domain.closing import end
from redress_callback.domain.visit import Visit
from redress_events.event import Event
from redress_spine.aggregate import Context


def close_withdrawn(visit: Visit, context: Context) -> list[Event]:
    """Whatever stage it is in, and without a return visit: they said themselves that it is over."""
    if not visit.withdrawn:
        return []
    return end(visit, context, "withdrawn", withdrawal=visit.observed.withdrawal)
