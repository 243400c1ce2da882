"""A record of the log, judged: whose event it is, whether this service can fold it, and if not, why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from redress_events.event import Contract, Event, Forgetting, family
from redress_events.vocabulary import LIFECYCLE
from redress_spine.aggregate import Aggregate
from redress_spine.messaging.envelope import Envelope, Malformed, chain, decode
from redress_spine.messaging.mac import MAC, WRONG_MAC, MacKeys, NotProved
from redress_spine.store.states import partition_of
from redress_spine.store.vault import NotSealed, ciphertext_of, reference

UNREADABLE = "unreadable"
UNFIT = frozenset(("malformed", "foreign-source", "no-chain", "wrong-hash"))  # reasons by which no service can fold a record
UUID_PART = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass(slots=True)  # not frozen, as an `Envelope`
class Record:
    """A record as it came, from the consumer or out of the table of parked ones."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    timestamp: int = 0  # milliseconds
    unreadable: bool = False  # the client could not even take it apart
    unproved: bool = False  # nothing proves who wrote it: a judgment, which its content tells too
    mark: bool = False  # no record, but the last offset of what brings none: the end of somebody's transaction, or what compaction took

    @property
    def hash(self) -> bytes:
        return self.headers.get("hash") or sha256(self.value or b"").digest()

    @property
    def content(self) -> bytes:
        """A digest (SHA-256) of all that a reader judges: key, value and chain. Copies of a record have the same one. Of a record that
        could not be taken apart nothing is known but its place. What was written by nobody knows whom is never taken for a copy of what a
        source wrote, whatever its bytes are."""
        digest = sha256(f"{self.topic}/{self.partition}@{self.offset}".encode() if self.unreadable else b"")
        for part in (self.key, self.value, self.headers.get("prevhash"), self.headers.get("hash")):
            digest.update(b"-" if part is None else b"%d:" % len(part))
            digest.update(part or b"")
        if self.unproved:
            digest.update(b"unproved")
        return digest.digest()

    @property
    def chained(self) -> bytes:
        """The hash that its bytes have, whatever its header says."""
        return chain(self.headers.get("prevhash", b""), self.value or b"")

    @property
    def type(self) -> str | None:
        """The type that its envelope names; None where it has no envelope."""
        try:
            return decode(self.value or b"").type
        except Malformed:
            return None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """It belongs to no subject of ours: set aside, shown, and in nobody's way."""

    record: Record
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """It belongs to a kind of subject that another service has and this one does not: it is passed over."""

    record: Record


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """It belongs to this subject and cannot be folded. version and envelope where they could be read."""

    record: Record
    subject: str
    reason: str
    detail: str


@dataclass(slots=True)  # not frozen, as an `Envelope`
class DecodedRecord:
    """An event with its chain. event is None where this service does not listen to the type; `problem` where it does and cannot read it."""

    record: Record
    subject: str
    envelope: Envelope
    prevhash: bytes
    event: Event | None
    sealed: Sequence[tuple[str, bytes]] = ()
    problem: tuple[str, str] | None = None


class Reader:
    """Judges records for one service. mac: the keys by which all sources prove what they wrote."""

    def __init__(
        self,
        source: str,
        aggregates: Mapping[str, Aggregate],
        contracts: Mapping[str, Contract],
        partitions: int,
        mac: MacKeys,
    ) -> None:
        self.source = source
        self._mac = mac
        self._partitions = partitions
        self._subject = re.compile(rf"(?:{'|'.join(map(re.escape, aggregates))})/{UUID_PART}")
        self._types: dict[str, dict[str, type[Event]]] = {}  # by kind of subject, the types listened to
        self._families: dict[str, set[str]] = {}
        by_class = {event: name for contract in contracts.values() for name, event in contract.by_type.items()}
        for aggregate_name, kind in aggregates.items():  # a forgetting is heard by all, whatever they observe
            heard = {*kind.observes, *(event for event in by_class if issubclass(event, Forgetting) and event.stream == aggregate_name)}
            self._types[aggregate_name] = {by_class[event]: event for event in heard}
            self._families[aggregate_name] = {family(by_class[event]) for event in heard}
        self._sources = set(contracts)
        on_the_log = {event.stream for contract in contracts.values() for event in contract.type_of if event.topic == LIFECYCLE}
        self._elsewhere = on_the_log - set(aggregates)

    def is_elsewhere(self, key: str) -> bool:
        """Whether this is a subject of a kind that other services have, and this one has not."""
        kind, _, identity = key.partition("/")
        return kind in self._elsewhere and re.fullmatch(UUID_PART, identity) is not None

    def is_subject(self, key: str) -> bool:
        return self._subject.fullmatch(key) is not None

    def claims_to_be_ours(self, record: Record) -> tuple[str, int] | None:
        """Stream and version under which our journal has this very record, if it is what its headers say. Its hash is that of its bytes,
        and we signed it."""
        headers, key = record.headers, (record.key or b"").decode("utf-8", "replace")
        version, prevhash = headers.get("streamversion", b""), headers.get("prevhash")
        if headers.get("source") != self.source.encode() or not version.isdigit() or len(version) > 18 or prevhash is None:
            return None
        if record.value is None or headers.get("hash") != (digest := chain(prevhash, record.value)):
            return None
        if not self.is_subject(key) or partition_of(key, self._partitions) != record.partition:
            return None
        return (key, int(version)) if self.signer(record, digest) == self.source else None

    def signer(self, record: Record, digest: bytes) -> str | NotProved:
        """Which source signed the record, or why nothing proves it. digest: `record.chained`."""
        return signer_of(self._mac, record, digest)

    def judge(self, record: Record) -> DeadLetter | Elsewhere | RejectedRecord | DecodedRecord:
        """Never raises: what cannot be read is the answer."""
        if record.unreadable:
            return DeadLetter(record, UNREADABLE, "The client could not decode the record: it has an unknown header or codec.")
        key = (record.key or b"").decode("utf-8", "replace")
        if self.is_elsewhere(key):
            return Elsewhere(record)
        if not self.is_subject(key):
            return DeadLetter(record, "no-subject", "The key is not a subject.")
        if partition_of(key, self._partitions) != record.partition:
            return DeadLetter(record, "wrong-partition", f"The key belongs into partition {partition_of(key, self._partitions)}.")
        signer = self.signer(record, digest := record.chained)
        if isinstance(signer, NotProved):
            return DeadLetter(record, signer.reason, signer.detail)
        if record.value is None:
            return RejectedRecord(record, key, "malformed", "It has no value.")
        try:
            envelope = decode(record.value)
        except Malformed as error:
            return RejectedRecord(record, key, "malformed", error.message)
        if envelope.subject != key:
            return DeadLetter(record, "key-is-not-subject", "The key is not the subject that the event names.")
        if envelope.source not in self._sources:
            return RejectedRecord(record, key, "foreign-source", "No service of this name publishes this type.")
        if envelope.source != signer:
            record.unproved = True
            return DeadLetter(record, WRONG_MAC, f"It was signed by {signer}, and claims to be {envelope.source}'s.")
        prevhash, told = record.headers.get("prevhash"), record.headers.get("hash")
        if prevhash is None or told is None:
            return RejectedRecord(record, key, "no-chain", "It carries no hash and prevhash.")
        if told != digest:
            return RejectedRecord(record, key, "wrong-hash", "Its hash is not that of its bytes.")
        if envelope.source == self.source:
            return DecodedRecord(record, key, envelope, prevhash, None)
        return self._listen(record, key, envelope, prevhash)

    def _listen(self, record: Record, subject: str, envelope: Envelope, prevhash: bytes) -> DecodedRecord:
        kind = subject.partition("/")[0]
        event_type = self._types[kind].get(envelope.type)
        if event_type is None:
            problem = None
            if family(envelope.type) in self._families[kind]:
                problem = ("unknown-version", f"{envelope.type} is of a family that is listened to, in a version that is not known.")
            return DecodedRecord(record, subject, envelope, prevhash, None, problem=problem)
        try:
            event, sealed = as_folded(event_type, envelope)
        except NotSealed as error:
            return DecodedRecord(record, subject, envelope, prevhash, None, problem=("not-sealed", str(error)))
        except ValidationError as error:
            where = ", ".join(sorted({"/".join(str(part) for part in each["loc"]) for each in error.errors(include_input=False)}))[:200]
            return DecodedRecord(
                record, subject, envelope, prevhash, None, problem=("broken-schema", f"It is not a valid {envelope.type}: {where}")
            )
        except Exception as error:  # a validator that raises anything else must not stop the projector
            name = type(error).__name__
            return DecodedRecord(
                record, subject, envelope, prevhash, None, problem=("broken-schema", f"It is not a valid {envelope.type}: {name}")
            )
        return DecodedRecord(record, subject, envelope, prevhash, event, sealed)


def signer_of(mac: MacKeys, record: Record, digest: bytes) -> str | NotProved:
    """Which source signed the record, or why nothing proves it, which is noted in it. digest: `record.chained`."""
    headers = record.headers
    try:
        signer = mac.source_of(headers.get(MAC), record.topic, record.key, record.value, headers.get("prevhash"), digest)
    except NotProved as error:
        record.unproved = True
        return error
    record.unproved = False
    return signer


def as_folded(event_type: type[Event], envelope: Envelope) -> tuple[Event, tuple[tuple[str, bytes], ...]]:
    """The event with references in the place of its personal fields, and their ciphertexts. Raises NotSealed, ValidationError."""
    data: dict[str, Any] = dict(envelope.data)
    sealed: list[tuple[str, bytes]] = []
    for name in event_type.personal_fields():
        if data.get(name) is not None:
            ref = reference(envelope.source, envelope.version, name)
            sealed.append((ref, ciphertext_of(data[name])))
            data[name] = ref
    return event_type.model_validate(data), tuple(sealed)
