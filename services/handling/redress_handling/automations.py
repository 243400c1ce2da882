"""What handling does by itself: a routed complaint gets a case, and a case whose complaint ended is cancelled."""

from collections.abc import Set

from redress_handling.domain.cancel import cancel
from redress_handling.domain.lists import CASES
from redress_handling.domain.open_case import open_case
from redress_spine.aggregate import Automation

OPEN = Automation("open", due="to_open", decide=open_case, index="cases_to_open", table=CASES, urgent=False)
CANCEL = Automation("cancel", due="to_cancel", decide=cancel, index="cases_to_cancel", table=CASES)


def automations(departments: Set[str]) -> list[Automation]:
    return [OPEN, CANCEL]
