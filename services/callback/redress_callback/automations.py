"""What callback does by itself: schedules visits, answers wishes to withdraw, gives up the unreachable, corrects the public record."""

from functools import partial

from redress_callback.domain.closing import publish_again
from redress_callback.domain.give_up import give_up
from redress_callback.domain.lists import VISITS
from redress_callback.domain.policy import VisitPolicy
from redress_callback.domain.schedule import schedule
from redress_callback.domain.withdraw import close_withdrawn
from redress_spine.aggregate import Automation

CLOSE_WITHDRAWN = Automation("close-withdrawn", due="withdrawn", decide=close_withdrawn, index="visits_withdrawn", table=VISITS)
GIVE_UP = Automation(
    "give-up",
    due="give_up_at",
    at="give_up_at",
    decide=give_up,
    index="visits_give_up",
    table=VISITS,
)
PUBLISH_AGAIN = Automation("publish-again", due="revision_due", decide=publish_again, index="visits_revision_due", table=VISITS)


def automations(policy: VisitPolicy) -> list[Automation]:
    return [schedule_by(policy), CLOSE_WITHDRAWN, GIVE_UP, PUBLISH_AGAIN]


def schedule_by(policy: VisitPolicy) -> Automation:
    decide = partial(schedule, policy=policy)
    return Automation("schedule", due="to_schedule", decide=decide, index="visits_to_schedule", table=VISITS, urgent=False)
