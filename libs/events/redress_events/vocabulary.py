"""The words that services share: topics, channels, kinds of contact. Whoever needs one of them takes it from here."""

from typing import Literal

LIFECYCLE = "complaints.lifecycle.v1"
CLOSED = "complaints.closed.v1"
KEYS = "complaints.keys.v1"
PUBLIC_TOPICS = (CLOSED,)  # read by others too
EVENT_TOPICS = (LIFECYCLE, *PUBLIC_TOPICS)  # all topics with events, kept forever

Channel = Literal["hotline", "chat", "e-mail", "shop", "web", "app", "sms", "fax", "social-media", "account-manager"]
ContactKind = Literal["complaint", "fault-report", "consultation", "suggestion"]
