"""The lists of complaints whose deadlines are due, or late."""

from redress_sla_monitor.domain.lists import WATCHES
from redress_spine.store.states import Query

# $1: an instant or none. next_breach is one microsecond after the deadline, hence <=.
DUE = Query(
    "due",
    "s.next_breach IS NOT NULL AND s.next_breach <= ALL ($1::bigint[])",
    order="next_breach",
    index="watches_next_breach",
    own="watches_next_breach_of",
    near="watches_next_breach_in",
    table=WATCHES,
)
LATE = Query(
    "late",
    "s.late_since IS NOT NULL AND s.late_since < ALL ($1::bigint[])",
    order="late_since",
    index="watches_late_since",
    own="watches_late_since_of",
    near="watches_late_since_in",
    table=WATCHES,
)
QUERIES = [DUE, LATE]
