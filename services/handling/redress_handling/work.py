"""What handling does by itself: a routed complaint gets a case, and a case whose complaint ended is cancelled."""

from redress_events.facts import Work
from redress_handling.domain.cancel import cancel
from redress_handling.domain.open_case import open_case

OPEN = Work("open", due="routing > 0 AND done_cycle < cycle AND closed < cycle", decide=open_case, index="state_to_open")
CANCEL = Work("cancel", due="done_cycle > 0 AND outcome IS NULL AND closed >= done_cycle", decide=cancel, index="state_to_cancel")
