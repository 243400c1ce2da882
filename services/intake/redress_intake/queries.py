"""A complaint by its number, the open complaints and how many they are, and the subscriptions of a front end."""

from redress_intake.domain.lists import COMPLAINTS, OPEN
from redress_intake.domain.subscription import SUBSCRIPTIONS
from redress_spine.store.states import Grouping, Query

BY_NUMBER = Query(name="by-number", where="number = $1", order="registered_at", index="complaints_number", table=COMPLAINTS)
PENDING = Query(name="pending", where="open_since IS NOT NULL", order="open_since", index="complaints_open", table=COMPLAINTS)
OWN = Query("subscriptions", where="true", order="subscribed_at", index="subscriptions_subscriber", owner="subscriber", table=SUBSCRIPTIONS)
OPEN_ONES = Grouping(OPEN, by=("department", "category", "stage"), since="received_at")
QUERIES = [BY_NUMBER, PENDING, OWN]
