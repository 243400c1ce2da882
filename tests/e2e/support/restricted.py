"""A whole system on a Kafka that lets each service do what it must and nothing else: by SASL_SSL, with a user and ACLs for each."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest
from spine_certificates import Authority

from redress_local.kafka import Kafka, Secured
from redress_local.postgres import Postgres
from redress_local.prepare import prepare_topics
from redress_local.processes import run
from redress_local.rights import USERS, Right, kafka_rights, user
from redress_local.servers import Servers
from redress_local.system import System
from redress_spine.messaging.kafka_clients import Client, KafkaClients

# Of Kafka's protocol.
KINDS = {"topic": 2, "group": 3}
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Describe": 8, "DescribeConfigs": 10}
LITERAL, ALLOW = 3, 3


class RestrictedSystem(System):
    """Its topics were made by the user `redress-setup`. What a test asks itself goes by the plain listener, where everything is allowed."""

    def begin_servers(self) -> Servers:
        keys = self.folder / "keys"
        authority = Authority(keys)
        self.ca_file = authority.file
        self.passwords = {name: secrets.token_urlsafe(12) for name in USERS}
        for name, password in self.passwords.items():
            (keys / f"kafka-{name}").write_text(f"{password}\n")
        users = {user(name): password for name, password in self.passwords.items()}
        secured = Secured(authority.issue("broker"), users, authorized=True)
        kafka = Kafka(self.folder / "kafka", foreground=self.foreground, secured=secured)
        postgres = Postgres(self.folder / "postgres", foreground=self.foreground)
        servers = Servers("local", "", "", kafka, postgres)
        try:
            kafka.launch()
            postgres.launch()
            postgres.wait_ready()
            kafka.wait_ready()
            servers.kafka, servers.postgres = kafka.address, postgres.admin_dsn
            run(allow(kafka.address, ((user(name), kafka_rights(name)) for name in USERS)))
            self.secured_address = kafka.secured_address
            run(prepare_topics(self.kafka_as("setup"), self.partitions, "local"))
        except BaseException:
            servers.stop()
            raise
        return servers

    def kafka_as(self, name: str) -> KafkaClients:
        """By the user of a service, or of one of the others."""
        who = {"security": "SASL_SSL", "mechanism": "SCRAM-SHA-512", "username": user(name), "password": self.passwords[name]}
        return KafkaClients(self.secured_address, ca_file=self.ca_file, **who)  # type: ignore[arg-type]

    def service_environment(self, service: str) -> dict[str, str]:
        return super().service_environment(service) | {
            "REDRESS_KAFKA": self.secured_address,
            "REDRESS_KAFKA_SECURITY": "SASL_SSL",
            "REDRESS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "REDRESS_KAFKA_USERNAME": user(service),
            "REDRESS_KAFKA_PASSWORD_FILE": str(self.folder / "keys" / f"kafka-{service}"),
            "REDRESS_KAFKA_CA_FILE": str(self.ca_file),
        }


async def allow(kafka: str, rights: Iterable[tuple[str, Iterable[Right]]]) -> None:
    await _each(kafka, CreateAclsRequest, rights)


async def forbid(kafka: str, rights: Iterable[tuple[str, Iterable[Right]]]) -> None:
    await _each(kafka, DeleteAclsRequest, rights)


async def _each(kafka: str, request: Any, rights: Iterable[tuple[str, Iterable[Right]]]) -> None:
    client: Client = KafkaClients(kafka).client()
    try:
        await client.bootstrap()
        broker = client.get_random_node()
        for name, each in rights:
            for right in each:
                for operation in right.operations:
                    asked = (KINDS[right.kind], right.name, LITERAL, f"User:{name}", "*", OPERATIONS[operation], ALLOW)
                    answer = (await client.send(broker, request(*asked))).to_object()
                    for code in (found["error_code"] for found in answer.get("creation_responses", answer.get("filter_responses", ()))):
                        if code:
                            raise for_code(code)(right)
    finally:
        await client.close()
