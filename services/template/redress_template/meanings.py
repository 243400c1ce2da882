"""What the interface of template calls things, for its OpenAPI document."""

from __future__ import annotations

from redress_chassis import Meanings
from redress_events.meanings import EXAMPLES, FIELDS

MEANINGS = Meanings(
    summary="What template knows of complaints.",
    tags={"template": "Complaints as they are known here."},
    names={"ComplaintView": "ComplaintInTemplate"},  # one document has the schemas of all services
).joined(Meanings(fields=FIELDS, examples=EXAMPLES))
