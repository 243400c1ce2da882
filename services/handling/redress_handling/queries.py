"""The lists of cases: what is to be done, and what has ended."""

from redress_handling.domain.lists import CASES
from redress_spine.store.states import Query

# $1: the stages that are asked for.
CHOSEN = "s.stage = ANY ($1::text[])"
TO_DO = Query("to-do", f"s.to_do IS NOT NULL AND {CHOSEN}", "to_do", "cases_to_do", own="cases_to_do", table=CASES)
ENDED = Query("ended", f"s.latest_end IS NOT NULL AND {CHOSEN}", "latest_end", "cases_latest_end", own="cases_latest_end", table=CASES)
QUERIES = [TO_DO, ENDED]
