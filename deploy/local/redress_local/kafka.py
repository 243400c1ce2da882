"""A real Apache Kafka on this machine: one node in KRaft mode, from the jars that `make setup` fetches.

A second broker can join it, for tests of replicas, and it can have a listener with TLS and users.
Long, for a broker's properties stand beside what starts it.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.errors import KafkaError

from redress_local import places
from redress_local.places import free_ports, is_free
from redress_local.processes import Child, StartFailed, run, start_child
from redress_spine.messaging.kafka_clients import KafkaClients

LOGGING = Path(__file__).with_name("kafka-log4j2.xml")
STARTED = "Kafka Server started"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENTS://127.0.0.1:{port}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
log.dirs={data}

# one node: every internal topic lives here, and few partitions of it start faster
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# topics are made by the migration, never by a misspelt name
auto.create.topics.enable=false
message.max.bytes=1048588

# groups form at once, and a consumer that was killed is noticed in seconds
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

# after a SIGKILL the broker is back in 4 s; with the default 9 s session in 12 s
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500

# a small machine, and one that rests while nothing comes: a record each half second keeps nobody's metadata fresh on a cluster of one
metadata.max.idle.interval.ms=5000
num.network.threads=1
num.io.threads=2
num.recovery.threads.per.data.dir=2
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=1000
"""

SECURED = """
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SECURED://127.0.0.1:{secured}
advertised.listeners=CLIENTS://127.0.0.1:{port},SECURED://127.0.0.1:{secured}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL
listener.name.secured.ssl.keystore.type=PEM
listener.name.secured.ssl.keystore.location={certificate}
listener.name.secured.sasl.enabled.mechanisms={mechanisms}
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""
CLIENTS_CERTIFICATES = """\
listener.name.secured.ssl.client.auth=required
listener.name.secured.ssl.truststore.type=PEM
listener.name.secured.ssl.truststore.location={clients}
"""
# Who comes without a user may do everything: the brokers themselves, and whoever prepares a test by the plain listener.
AUTHORIZED = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
TOKENS = """\
listener.name.secured.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.secured.oauthbearer.sasl.server.callback.handler.class=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.secured.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={tokens}
listener.name.secured.oauthbearer.sasl.oauthbearer.expected.audience=kafka
listener.name.secured.oauthbearer.sasl.oauthbearer.expected.issuer={issuer}
"""
TOKEN_ISSUER = "https://tokens.redress.localhost"


@dataclass(frozen=True)
class Secured:
    """A further listener of a broker, with TLS and users.

    certificate: a file in PEM form with its private key and its certificate.
    users: passwords by name; each may sign in by PLAIN and by SCRAM-SHA-512.
    clients: certificates that sign the clients', where each must have one.
    tokens: a JWKS file; who has a token for the audience kafka, by TOKEN_ISSUER and signed by one of its keys, may use OAUTHBEARER.
    authorized: whether a user may do nothing that no ACL allows.
    """

    certificate: Path
    users: Mapping[str, str] = field(repr=False)
    clients: Path | None = None
    tokens: Path | None = None
    authorized: bool = False


class Kafka:
    """One broker with its data, ports and log in `folder`. Started again, it has the same data and, if they are free, the same ports.

    joins: the broker whose cluster this is; it keeps the controller, and this one is node 2.
    secured: a listener beside the plain one, from the folder's first start on.
    """

    def __init__(self, folder: Path, *, foreground: bool = True, joins: Kafka | None = None, secured: Secured | None = None) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "kafka.log"
        self.foreground = foreground
        self.joins = joins
        self.secured = secured
        self.child: Child | None = None
        self.port = 0
        self.controller = 0
        self.secured_port = 0

    @property
    def address(self) -> str:
        """The bootstrap address."""
        return f"127.0.0.1:{self.port}"

    @property
    def secured_address(self) -> str:
        """The bootstrap address of the listener with TLS and users."""
        return f"127.0.0.1:{self.secured_port}"

    @property
    def cluster(self) -> str:
        """The id of its cluster."""
        lines = (self.data / "meta.properties").read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith("cluster.id="))

    def start(self, limit: float = 60.0) -> None:
        """Come up and answer. Raises StartFailed with the end of the log."""
        self.launch()
        self.wait_ready(limit)

    def launch(self) -> None:
        """Start the process; `wait_ready` waits for its answer, so that others can start meanwhile."""
        java = shutil.which("java")
        if java is None:
            raise StartFailed("The local Kafka needs Java 17 or newer, and there is no `java`. `make check` says how to get it.")
        if not any(places.KAFKA_LIBS.glob("kafka_*.jar")):
            raise StartFailed(f"Kafka's jars are not in {places.KAFKA_LIBS}. Run `make setup`.")
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties()
        jvm = [
            java,
            "-Xmx512m",
            "-Xms128m",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Xshare:auto",
            f"-Dlog4j2.configurationFile={LOGGING}",
        ]
        if self.secured and self.secured.tokens:
            jvm.append(f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.secured.tokens.as_uri()}")
        jvm += ["-Dfile.encoding=UTF-8", "-Djava.awt.headless=true", "-cp", f"{places.KAFKA_LIBS}/*"]
        if not (self.data / "meta.properties").exists():
            self._format(jvm, properties)
        self.child = start_child("kafka", [*jvm, "kafka.Kafka", properties], self.log, foreground=self.foreground, folder=self.folder)

    def wait_ready(self, limit: float = 60.0) -> None:
        """Wait until the broker has registered and every partition has a leader. Raises StartFailed."""
        assert self.child is not None
        end = time.monotonic() + limit
        # Right after a SIGKILL the controller still lists the broker's former life, so metadata alone would say yes too early.
        while STARTED not in self.child.output() or not run(_answers(self.address)):
            if not self.child.alive:
                raise self.child.failed("ended at its start")
            if time.monotonic() > end:
                raise self.child.failed(f"did not answer within {limit:.0f} s")
            time.sleep(0.1)

    def stop(self) -> None:
        """Shut down in order."""
        if self.child is not None:
            self.child.stop()
            self.child = None

    def kill(self) -> None:
        """SIGKILL it."""
        assert self.child is not None
        self.child.kill()
        self.child = None

    def restart(self) -> None:
        """Stop in order and start again on the same port and data."""
        self.stop()
        self.start()

    def save(self) -> Path:
        """A copy of the data folder, for `put_back`. A broker that runs is stopped in order meanwhile."""
        ran = self.child is not None
        self.stop()
        saved = Path(tempfile.mkdtemp(prefix="saved-", dir=self.folder)) / "data"
        shutil.copytree(self.data, saved)
        if ran:
            self.start()
        return saved

    def put_back(self, saved: Path) -> None:
        """Be what was saved, whatever was written since: a log that lost its end, as a restored disk or an unclean election makes one."""
        ran = self.child is not None
        self.stop()
        shutil.rmtree(self.data)
        shutil.copytree(saved, self.data)
        if ran:
            self.start()

    def _write_properties(self) -> Path:
        file = self.folder / "ports"
        ports = [int(word) for word in file.read_text().split()] if file.exists() else []
        wanted = 3 if self.secured else 2
        if len(ports) != wanted or not all(is_free(port) for port in ports):
            ports = free_ports(wanted)
            file.write_text(" ".join(map(str, ports)))
        self.port, self.controller, *secured = ports
        properties = self.folder / "server.properties"
        controller = self.joins.controller if self.joins else self.controller
        text = PROPERTIES.format(port=self.port, controller=controller, data=self.data)
        if self.joins:
            text = text.replace("broker,controller", "broker").replace("node.id=1", "node.id=2")
            text = text.replace(f",CONTROLLER://127.0.0.1:{controller}", "")
        if self.secured:
            (self.secured_port,) = secured
            users = " ".join(f'user_{name}="{password}"' for name, password in self.secured.users.items())
            where = {"port": self.port, "controller": controller, "secured": self.secured_port}
            kept = [
                line for line in text.splitlines() if not line.startswith(("listeners=", "advertised.listeners=", "listener.security."))
            ]
            mechanisms = "PLAIN,SCRAM-SHA-512" + (",OAUTHBEARER" if self.secured.tokens else "")
            text = "\n".join(kept) + SECURED.format(**where, certificate=self.secured.certificate, users=users, mechanisms=mechanisms)
            if self.secured.clients:
                text += CLIENTS_CERTIFICATES.format(clients=self.secured.clients)
            if self.secured.tokens:
                text += TOKENS.format(tokens=self.secured.tokens.as_uri(), issuer=TOKEN_ISSUER)
            if self.secured.authorized:
                text += AUTHORIZED
        properties.write_text(text)
        return properties

    def _format(self, jvm: list[str], properties: Path) -> None:
        cluster = self.joins.cluster if self.joins else "-"
        while cluster.startswith("-"):  # the tool would take it for an option
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        line = [*jvm, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        for name, password in self.secured.users.items() if self.secured else ():
            line += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        made = subprocess.run(line, capture_output=True, text=True, cwd=self.folder, check=False)
        if made.returncode != 0:
            raise StartFailed(f"Kafka's folder could not be formatted:\n{made.stdout}{made.stderr}")


def wait_until_it_answers(address: str, limit: float) -> None:
    """Wait for a broker that somebody else started. Raises StartFailed."""
    end = time.monotonic() + limit
    while not run(_answers(address)):
        if time.monotonic() > end:
            raise StartFailed(f"Kafka at {address} did not answer within {limit:.0f} s.")
        time.sleep(0.2)


async def _answers(address: str) -> bool:
    client = KafkaClients.of(address).client(request_timeout_ms=2000)
    try:
        async with asyncio.timeout(5):
            await client.bootstrap()
            cluster = client.cluster
            # The client keeps its bootstrap address as a broker of its own; node 1 is the real one.
            known = any(broker.nodeId == 1 for broker in cluster.brokers())
            leaders = all(
                cluster.available_partitions_for_topic(t) == cluster.partitions_for_topic(t)
                for t in cluster.topics(exclude_internal_topics=False)
            )
            return known and leaders
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()
