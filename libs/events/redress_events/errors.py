"""Why a command or a question could not be answered; the front door makes each a problem of its own."""

from __future__ import annotations


class Unknown(Exception):
    """There is no such subject."""


class Parked(Exception):
    """The subject is parked: operators must look at it first."""


class KeyReused(Exception):
    """The idempotency key was used for another request."""


class Conflict(Exception):
    """The row moved under every attempt."""


class Unavailable(Exception):
    """The database, or Kafka where it is needed, does not answer now. retry_after: seconds."""

    def __init__(self, sentence: str, retry_after: int = 2) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class JournalRestored(Exception):
    """This journal did not grow on this cluster: it may be older than the log."""
