"""Makes an empty service from services/template: `python -m redress_local.new_service notifier` (`make service NAME=notifier`)."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

from redress_local import derived
from redress_local.manifest import FILE, NAME, BadManifest, ServiceEntry, parsed, read_services
from redress_local.places import ROOT

TEMPLATE = Path("services/template")
ENTRY, CONTRACT = Path("entry.toml"), Path("contract.py")  # of the template; they go elsewhere than into the service's folder
LONGEST = 40  # letters; PostgreSQL cuts names at 63, and roles are named `redress_<name>_owner`


class NotMade(Exception):
    """Why there is no new service, in a message. Nothing was written."""


def make(root: Path, name: str) -> ServiceEntry:
    """Write the service, its contract and its entry in services.toml, and what follows from them. root: of the repository.
    Raises NotMade."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > LONGEST:
        raise NotMade(f"{name!r} is not a name for a service: use lower-case words with hyphens between, in all up to {LONGEST} letters.")
    port = 1 + max(each.port for each in read_services(root))
    entry = renamed((root / TEMPLATE / ENTRY).read_text("utf-8"), name)
    text = (root / FILE).read_text("utf-8") + re.sub(r"^port = \d+$", f"port = {port}", entry, flags=re.MULTILINE)
    try:
        made = parsed(text)[-1]
    except BadManifest as error:
        raise NotMade(str(error)) from error
    folder, contract = root / "services" / name, root / derived.contracts_file(made)
    for there in (folder, contract, *root.glob(f"*/{made.package}"), *root.glob(f"*/*/{made.package}")):
        if there.exists():
            raise NotMade(f"This name is already used: {there.relative_to(root)}.")

    for source in sorted(path for path in (root / TEMPLATE).rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        if (relative := source.relative_to(root / TEMPLATE)) not in (ENTRY, CONTRACT):
            _write(folder / renamed(str(relative), name), renamed(source.read_text("utf-8"), name))
    _write(contract, renamed((root / TEMPLATE / CONTRACT).read_text("utf-8"), name))
    _write(root / FILE, text)
    derived.write(root)
    return made


def renamed(text: str, name: str) -> str:
    """The template's text or path for a service of this name."""
    identifier = name.replace("-", "_")
    for before, after in (
        ("_template", f"_{identifier}"),
        ("contracts.template", f"contracts.{identifier}"),
        ("TEMPLATE", identifier.upper()),
        ("Template", name.capitalize()),
        ("template", name),
    ):
        text = text.replace(before, after)
    return text


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def main() -> int:
    """0: made. 1: not, and why."""
    try:
        made = make(ROOT, sys.argv[1] if len(sys.argv) > 1 else "")
    except NotMade as refusal:
        print(f"{refusal} Name one: make service NAME=notifier", file=sys.stderr)
        return 1
    print(f"Made services/{made.name}, its contract {made.contract} and its entry in {FILE}, with port {made.port}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
