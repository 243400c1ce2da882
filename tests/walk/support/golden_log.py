"""The golden log guards the number of each fold: `python -m golden_log` (`make folds`) records what today's folds make of it.

A database has rows that were folded by an older release. Where today's code would fold the same events to other rows, the service has to be
rebuilt before it serves, and it is, if its fold has another number (docs/adr/0015). So what each service's fold makes of events that never
change is recorded together with its number: other rows need another number.

The events: whole lives (golden/lives, told by lives.py), and each form of each event, with everything and with the least (schemas/golden).
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from lives import LIVES, told
from machines import Service

from redress_events.contracts import CONTRACTS
from redress_events.event import Event
from redress_local.places import ROOT, SERVICES, package
from redress_spine.aggregate import Aggregate
from redress_spine.messaging.envelope import decode
from redress_spine.messaging.records import as_folded
from redress_spine.processing.projections import Facets, counted, rows_of
from redress_spine.store.entries import row_of
from redress_spine.store.states import Codec

HERE = Path(__file__).parents[1] / "golden"
LIFE_FILES = HERE / "lives"
RECORD = HERE / "folds.json"
FORMS = ROOT / "schemas" / "golden"


@dataclass(frozen=True, slots=True)
class Fold:
    """number: `fold` in main.py. digests: by the name of each story that concerns the service, of all rows on the way through it."""

    number: int
    digests: Mapping[str, str]


def stories() -> dict[str, list[bytes]]:
    """All events that the folds are tried on, in their order, by the story they tell."""
    lives = {path.stem: path.read_bytes().splitlines() for path in sorted(LIFE_FILES.glob("*.jsonl"))}
    return lives | {str(path.relative_to(FORMS).with_suffix("")): [path.read_bytes()] for path in sorted(FORMS.rglob("*.json"))}


def folding() -> dict[str, Service]:
    """Every service, by name, as its main.py puts it together; what it decides is not needed here."""
    found = {}
    for name in SERVICES:
        defined = importlib.import_module(f"{package(name)}.main").service.verified(1)
        found[name] = Service(name, defined.contract, defined.aggregates["complaint"], acts=())
    return found


def folds(services: Iterable[Service], numbers: Mapping[str, int]) -> dict[str, Fold]:
    """What each service makes of them now."""
    read = stories()
    found = {}
    for service in services:
        digests = {name: digest for name, events in read.items() if (digest := digest_of(service, events))}
        found[service.name] = Fold(numbers[service.name], digests)
    return found


def digest_of(service: Service, events: Sequence[bytes]) -> str | None:
    """Of the rows after each of these events that it folds, as they stand in the database. None if they leave no trace in this service."""
    event_type = CONTRACTS[(first := decode(events[0])).source].by_type[first.type]
    if (aggregate := kind_of(service, event_type)) is None:
        return None
    codec, state = Codec(aggregate), aggregate.state()
    observed, own, digest, entered = state.observed, state.own, sha256(), False
    for value in events:
        envelope = decode(value)
        event, sealed = as_folded(CONTRACTS[envelope.source].by_type[envelope.type], envelope)
        if type(event) in service.contract.type_of:
            own = aggregate.evolve(own, event, envelope.time)
        elif service.observes(event):
            observed = aggregate.observe(observed, event, envelope.time)
        else:
            continue
        digest.update(f"{codec.dump_observed(observed)}\n{codec.dump_own(own)}\n".encode())
        if shown := projected(aggregate, (observed, own)):
            digest.update(f"{shown}\n".encode())
        row = row_of(aggregate, event, envelope.source, envelope.version, envelope.time, [blob for _, blob in sealed])
        if row is not None:
            digest.update(f"{row}\n".encode())
            entered = True
    return digest.hexdigest()[:16] if entered or (observed, own) != (state.observed, state.own) else None


def projected(aggregate: Aggregate, state: Facets) -> list[Any]:
    """All rows and counts that are made of this state."""
    rows = [(table.name, sorted(rows.values())) for table, rows in rows_of(aggregate, state).items()]
    return [*rows, *sorted(counted(aggregate, state))]


def kind_of(service: Service, event: type[Event]) -> Aggregate | None:
    """How the service folds the subject that this event was decided on: a complaint, or another kind that it alone has."""
    if event.decided_on == "complaint":
        return service.aggregate
    aggregates: Mapping[str, Aggregate] = importlib.import_module(f"{package(service.name)}.main").service.verified(1).aggregates
    return aggregates.get(event.decided_on)


def numbers_in_force(services: Iterable[Service]) -> dict[str, int]:
    return {each.name: importlib.import_module(f"{package(each.name)}.main").service.fold for each in services}


def recorded() -> dict[str, Fold]:
    return {name: Fold(each["fold"], each["digests"]) for name, each in json.loads(RECORD.read_text("utf-8")).items()}


def refusals(before: Mapping[str, Fold], now: Mapping[str, Fold]) -> list[str]:
    """Sentences, each a reason to record nothing: what it would hide is rows that no longer fit their code."""
    return [message for name in now if name in before for message in _refused(name, before[name], now[name])]


def _refused(name: str, before: Fold, now: Fold) -> Iterable[str]:
    main = f"services/{name}/{package(name)}/main.py"
    if now.number < before.number:
        yield f"{name}: fold {before.number} was in force, and databases may have it. Set `fold` in {main} to {before.number} or more."
    elif now.number == before.number and (other := sorted(_other(before, now))):
        yield (
            f"{name} folds {len(other)} stories otherwise than fold {before.number} did ({', '.join(other[:3])}): rows in databases do not"
            f" fit its code. Raise `fold` in {main} to {before.number + 1}, so that it is rebuilt before it serves, and run `make folds`."
        )


def drift(before: Mapping[str, Fold], now: Mapping[str, Fold]) -> list[str]:
    """Sentences for what is not recorded yet, and may be."""
    messages = []
    for name, fold in now.items():
        known = before.get(name)
        if known is None or known.number != fold.number:
            messages.append(f"{name}: fold {fold.number} is not recorded. Run `make folds`, read what it says, and commit what it writes.")
        elif missing := sorted(fold.digests.keys() - known.digests.keys()):
            messages.append(
                f"{name}: {', '.join(missing[:3])} is not recorded, of {len(missing)} stories. Run `make folds`, and commit what it writes."
            )
    return messages


def remarks(before: Mapping[str, Fold], now: Mapping[str, Fold]) -> list[str]:
    """What is worth knowing of what is recorded."""
    said = []
    for name, fold in now.items():
        known = before.get(name)
        if known and known.number != fold.number:
            if other := _other(known, fold):
                said.append(f"{name}: fold {fold.number} folds {len(other)} stories otherwise than fold {known.number}.")
            else:
                said.append(
                    f"{name}: fold {fold.number} folds every story as fold {known.number} did. If it should not, add a life to lives.py"
                    f" that shows the difference; if it should, every database is rebuilt for nothing: take {known.number} back."
                )
    return said


def _other(before: Fold, now: Fold) -> set[str]:
    """Stories that are known and were folded otherwise; one that now leaves no trace, or did not before, too."""
    return {name for name, digest in before.digests.items() if now.digests.get(name) != digest}


def main() -> int:
    """0: recorded. 1: refused."""
    LIFE_FILES.mkdir(parents=True, exist_ok=True)
    for life in LIVES:
        path = LIFE_FILES / f"{life}.jsonl"
        if not path.exists():
            path.write_bytes(b"".join(line + b"\n" for line in told(life)))
            print(f"Told {life}.")
    services = folding().values()
    now, before = folds(services, numbers_in_force(services)), recorded() if RECORD.exists() else {}
    if refused := refusals(before, now):
        print("\n".join(refused), file=sys.stderr)
        return 1
    written = {name: {"fold": fold.number, "digests": dict(sorted(fold.digests.items()))} for name, fold in sorted(now.items())}
    news = [f"Recorded what fold {fold.number} of {name} makes." for name, fold in now.items() if drift(before, {name: fold})]
    print("\n".join([*news, *remarks(before, now)]) or "Nothing changed.")
    RECORD.write_text(json.dumps(written, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
