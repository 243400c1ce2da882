"""Every event of every service, by service. An event's type on the log is `redress.<service>.<name>.v<version>`."""

# from services.toml: contracts
from redress_events.contracts.callback import CALLBACK
from redress_events.contracts.handling import HANDLING
from redress_events.contracts.intake import INTAKE
from redress_events.contracts.sla_monitor import SLA_MONITOR
from redress_events.contracts.triage import TRIAGE

CONTRACTS = {
    contract.source: contract
    for contract in (
        INTAKE,
        TRIAGE,
        HANDLING,
        SLA_MONITOR,
        CALLBACK,
    )
}

__all__ = [
    "CALLBACK",
    "CONTRACTS",
    "HANDLING",
    "INTAKE",
    "SLA_MONITOR",
    "TRIAGE",
]
# end of contracts
