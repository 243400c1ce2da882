"""What each command of each service is sent by the tests of who may do what: good bodies, so that only permissions refuse."""

from __future__ import annotations

from typing import Any

from live import CONTACT, REJECT, RESOLVE, SLOW

NOWHERE = {"topic": "nowhere", "partition": 0, "offset": 0, "content": "00" * 32, "hash": "00" * 32, "event": True}
BODIES: dict[str, Any] = {
    "POST /complaints": {"channel": "web", "text": SLOW},
    "POST /complaints/search": {"phone": "13900000000"},
    "POST /subscriptions": {"address": "http://127.0.0.1:9/", "stages": ["closed"]},
    "DELETE /subscriptions/{subscription}": None,
    "POST /subscriptions/{subscription}/enable": None,
    "POST /subscriptions/{subscription}/deliveries/{delivery}/redeliver": None,
    "POST /complaints/{complaint}/supplements": {"text": "More"},
    "POST /complaints/{complaint}/chases": {},
    "POST /complaints/{complaint}/withdrawal": {},
    "POST /complaints/{complaint}/reclassification": {
        "category": "other",
        "sub_category": "staff_conduct",
        "kind": "complaint",
        "severity": "normal",
        "reason": "z",
    },
    "POST /complaints/{complaint}/routing": {"department": "finance", "queue": "charges", "reason": "z"},
    "POST /cases/{complaint}/accept": {},
    "POST /cases/{complaint}/contact": CONTACT,
    "POST /cases/{complaint}/progress": {"note": "z"},
    "POST /cases/{complaint}/transfer": {"department": "consulting", "reason": "z"},
    "POST /cases/{complaint}/resolve": RESOLVE,
    "POST /cases/{complaint}/reject": REJECT,
    "POST /visits/{complaint}/attempts": {"reached": False},
    "POST /ops/redrive": {"subjects": ["complaint/00000000-0000-7000-8000-000000000000"]},
    "POST /ops/redrive-set-aside": {"topic": "nowhere", "partition": 0, "offsets": [0]},
    "POST /ops/skips": {"records": [NOWHERE], "why": "z"},
    "POST /ops/effects/{reactor}/{key}/retry": None,
    "POST /ops/effects/{reactor}/{key}/drop": {"why": "z"},
}
# What a GET is asked with: a stream that is reached ends at once, for there is no such event (400).
ASKED = {"last-event-id": "none"}
CREATE = ("POST /complaints", "POST /subscriptions")
