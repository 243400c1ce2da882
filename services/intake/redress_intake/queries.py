"""A complaint by its number, the open complaints, and the subscriptions of a front end."""

from redress_intake.domain.lists import COMPLAINTS
from redress_intake.domain.subscription import SUBSCRIPTIONS
from redress_spine.store.states import Query

BY_NUMBER = Query(name="by-number", where="number = $1", order="registered_at", index="complaints_number", table=COMPLAINTS)
PENDING = Query(name="pending", where="open_since IS NOT NULL", order="open_since", index="complaints_open", table=COMPLAINTS)
OWN = Query("subscriptions", where="true", order="subscribed_at", index="subscriptions_subscriber", owner="subscriber", table=SUBSCRIPTIONS)
QUERIES = [BY_NUMBER, PENDING, OWN]
