"""What callback does by itself: schedules visits, answers wishes to withdraw, gives up the unreachable, corrects the public record."""

from functools import partial

from redress_callback import policies
from redress_callback.domain.closing import publish_again
from redress_callback.domain.give_up import give_up
from redress_callback.domain.schedule import schedule
from redress_callback.domain.withdraw import close_withdrawn
from redress_events.facts import Work

POLICY = policies.return_visit()

SCHEDULE = Work(
    "schedule",
    due="handled_cycle = cycle AND scheduled < cycle AND closed < cycle AND withdrawal <= answered",
    decide=partial(schedule, policy=POLICY),
    index="state_to_schedule",
)
CLOSE_WITHDRAWN = Work("close-withdrawn", due="withdrawal > answered AND closed < cycle", decide=close_withdrawn, index="state_withdrawn")
GIVE_UP = Work(
    "give-up",
    due="give_up_at IS NOT NULL AND NOT unanswered AND closed < cycle AND withdrawal <= answered",
    at="give_up_at",
    decide=give_up,
    index="state_give_up",
)
PUBLISH_AGAIN = Work("publish-again", due="revision_due", decide=publish_again, index="state_revision_due")
WORK = [SCHEDULE, CLOSE_WITHDRAWN, GIVE_UP, PUBLISH_AGAIN]
