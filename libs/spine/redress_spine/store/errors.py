"""Why a command or a question could not be answered; the front door makes each a problem of its own."""

from __future__ import annotations

from redress_spine.aggregate import CommandRejected
from redress_spine.messaging.mac import MacKeysUnusable


class Unknown(Exception):
    """There is no such subject."""


class Parked(Exception):
    """The subject is parked: operators must look at it first."""


class KeyReused(Exception):
    """The idempotency key was used for another request."""


class Conflict(Exception):
    """The row moved under every attempt."""


class Taken(Conflict):
    """Another subject has a personal value that no two may have."""


class Unavailable(Exception):
    """The database, or Kafka where it is needed, does not answer now. retry_after: seconds."""

    def __init__(self, message: str, retry_after: int = 2) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotYet(Unavailable):
    """There is no such subject here, and the log was not read as far as it goes: it may be on its way."""


class KeyMissing(Unavailable):
    """The key to a subject's words is not here: late, lost, or unreadable. That is no proof that anybody destroyed it."""


class PlaintextMissing(Unavailable):
    """A subject's key is here, and the ciphertext of some of its words is not, or does not open with it."""


class MasterKeyAway(Unavailable):
    """A master key cannot be had: its file is gone, or the key service that opens it does not answer. The message says which."""


class ClockOff(Unavailable):
    """This replica's clock and its database's are too far apart: whatever it decided would carry a wrong time forever."""


class WrongPartitions(Unavailable):
    """Journal, topic and setting do not agree in how many partitions there are: what is written now might reach nobody."""


class JournalRestored(Exception):
    """This journal did not grow on the cluster and timeline that write it now, so it may be older than the log: nothing is decided on it,
    nor told from it, before somebody has adopted it."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"The journal of {source} did not grow on this PostgreSQL cluster and timeline, and may be older than the log: "
            f"redress adopt {source}"
        )


class KafkaRefuses(ConnectionError):
    """Kafka is there and does not let us in: a certificate or a user is at fault. The message says which, and where it is set."""


class WrongCluster(Exception):
    """Offsets or a checkpoint were kept with another Kafka cluster than the one that answers."""


class TopicMadeAnew(Exception):
    """A topic that events were sent to is another one now: what was sent is not on it, and what follows would stand before that."""


class CannotRestore(Exception):
    """The log cannot be written again from the journals as they are. The message says what is in the way, and what to do."""


class TopicsNotMade(Exception):
    """Kafka did not make a topic as it must be. The message says which, and why."""


class LogTruncated(Exception):
    """The log does not begin at its first record, or lacks one that it had: what would be made of the rest is not whole."""


def safe_message(error: BaseException) -> str:
    """An error for operators' eyes: its type and place, never its text, which may quote what a customer said.
    Sentences of our own are told whole."""
    if isinstance(error, KafkaRefuses | MacKeysUnusable | WrongCluster | TopicMadeAnew | JournalRestored | Unavailable):
        return f"{type(error).__name__}: {error}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{f' {error.code}' if isinstance(error, CommandRejected) else ''}{place}"
