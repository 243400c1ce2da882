"""Variables of the environment that look like settings and that nobody reads: whoever set one believes that it works."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

PREFIX = "REDRESS_"
# Read by others than a service: the command line, the local stack, the jobs before a start.
READ_BY_OTHERS = frozenset(
    {
        "REDRESS_APP_PASSWORD",
        "REDRESS_APP_PASSWORD_FILE",
        "REDRESS_CA_FILE",
        "REDRESS_CONTEXT",
        "REDRESS_HOME",
        "REDRESS_KAFKA_ADDRESS",
        "REDRESS_KAFKA_LIBS",
        "REDRESS_KEYS",
        "REDRESS_NO_DOCKER",
        "REDRESS_OPERATOR",
        "REDRESS_OPS_URL",
        "REDRESS_OWNER_PASSWORD",
        "REDRESS_OWNER_PASSWORD_FILE",
        "REDRESS_OWNER_URL",
        "REDRESS_POSTGRES_ADMIN_DSN",
        "REDRESS_REPLICATION_FACTOR",
        "REDRESS_SERVICE_KEYS",
        "REDRESS_STACK",
        "REDRESS_STATUS_WITHIN",
        "REDRESS_TOKEN_FILE",
        "REDRESS_URL",
    }
)
# What a compose stack runs: a variable with its name tells the port of each.
IN_A_STACK = (
    "gateway",
    "kafka",
    "postgres",
    # from services.toml: names
    "intake",
    "triage",
    "handling",
    "sla-monitor",
    "callback",
    # end of names
)
PORTS = frozenset(f"{PREFIX}{name.replace('-', '_').upper()}_PORT" for name in IN_A_STACK)
# What tests are told, and what Kubernetes tells each container of the services in its namespace: of a port alone as an address.
OF_OTHERS = re.compile(r"^REDRESS_(TEST_\w+|REAL_TEXTS)$|_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$")
ADDRESS = re.compile(r"^(tcp|udp|sctp)://")
# Settings of Kafka's clients as other programs name them, by a word in the name; the first that fits says what ours is.
KAFKAS = {
    "PROTOCOL": "REDRESS_KAFKA_SECURITY",
    "SECURITY": "REDRESS_KAFKA_SECURITY",
    "MECHANISM": "REDRESS_KAFKA_SASL_MECHANISM",
    "OAUTH": "REDRESS_KAFKA_TOKEN_URL",
    "USER": "REDRESS_KAFKA_USERNAME",
    "USERNAME": "REDRESS_KAFKA_USERNAME",
    "PASSWORD": "REDRESS_KAFKA_PASSWORD_FILE",
    "SECRET": "REDRESS_KAFKA_PASSWORD_FILE",
    "JAAS": "REDRESS_KAFKA_USERNAME and REDRESS_KAFKA_PASSWORD_FILE",
    "KEYSTORE": "REDRESS_KAFKA_CERT_FILE",
    "TRUSTSTORE": "REDRESS_KAFKA_CA_FILE",
    "CERT": "REDRESS_KAFKA_CERT_FILE",
    "CERTIFICATE": "REDRESS_KAFKA_CERT_FILE",
    "CA": "REDRESS_KAFKA_CA_FILE",
    "CAFILE": "REDRESS_KAFKA_CA_FILE",
    "KEY": "REDRESS_KAFKA_KEY_FILE",
    "SSL": "REDRESS_KAFKA_SECURITY",
    "TLS": "REDRESS_KAFKA_SECURITY",
    "SASL": "REDRESS_KAFKA_SASL_MECHANISM",
    "BOOTSTRAP": "REDRESS_KAFKA",
    "BROKER": "REDRESS_KAFKA",
    "BROKERS": "REDRESS_KAFKA",
}


def not_understood(environment: Mapping[str, str], known: Iterable[str], beginning: str = PREFIX) -> Iterator[str]:
    """A line for each variable that looks like a setting and that nobody reads: who set it believes that it works. What is empty is not
    set. known: settings. beginning: of the names that are looked at, beside those of other programs for Kafka."""
    known = {*known, *READ_BY_OTHERS, *PORTS}
    for name in sorted(name for name, value in environment.items() if value):
        if OF_OTHERS.search(name.upper()) or name.upper() in known:
            continue
        if name.upper().endswith("_PORT") and ADDRESS.match(environment[name]):
            continue
        if name.upper().startswith(beginning):
            close = get_close_matches(name.upper(), known, n=1, cutoff=0.75)
            yield f"{name}: There is no such setting. {f'Did you mean {close[0]}?' if close else 'See docs/configuration.md.'}"
        elif name.startswith("KAFKA_"):
            words = set(name.split("_")[1:])
            if ours := next((ours for word, ours in KAFKAS.items() if word in words), None):
                yield f"{name}: No service reads it, so Kafka is reached without it. The setting is {ours}."
