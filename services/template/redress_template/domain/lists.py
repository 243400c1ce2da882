"""What lists and automations look for among the complaints: nothing yet."""

from __future__ import annotations

from redress_spine.aggregate import Count, Projection

PROJECTIONS: tuple[Projection | Count, ...] = ()
