"""Give up: the customer was not reached in any attempt, and the waiting time after the last one is over.

Whoever says something meanwhile can be reached: a supplement or a chase calls the giving up off, puts the visit first in the list, and the
policy's attempts are counted anew from the next one on. So nobody who still speaks is closed as unreachable. (Domain: the return visit goes
to every complaint, Handbook 3.3.3; how words and attempts go together is ours°, the documents are silent.)
"""

from redress_callback.domain.closing import end
from redress_callback.domain.visit import Visit
from redress_events.event import Event
from redress_spine.aggregate import Context


def give_up(visit: Visit, context: Context) -> list[Event]:
    give_up_at = visit.give_up_at
    if give_up_at is None or (context.passed or context.now) < give_up_at:
        return []
    return end(visit, context, "unreachable")
