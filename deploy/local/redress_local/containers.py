"""Kafka and PostgreSQL as containers, where a Docker engine answers and the images can be had."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

KAFKA_IMAGE = "apache/kafka:4.4.0"
POSTGRES_IMAGE = "postgres:18.4-trixie"
ANSWER_SECONDS = 3
PULL_SECONDS = 300
SILENT_SECONDS = 20


@dataclass
class Containers:
    """Two running containers."""

    kafka: str
    postgres: str
    ids: list[str]


def start_containers(progress: Callable[[str], None], *, foreground: bool = True) -> Containers | None:
    """Start both, or return None where Docker or an image is not to be had. Never raises: the local servers are the next choice."""
    try:
        if not _images_are_here(progress):
            return None
        return _start(foreground)
    except Exception as error:
        progress(f"Docker could not be used ({type(error).__name__}: {error}); the local servers are.")
        return None


def remove_containers(ids: list[str]) -> None:
    """Stop and remove these containers with their data."""
    import docker

    client = docker.from_env(timeout=30)
    for each in ids:
        with suppress(docker.errors.NotFound):
            client.containers.get(each).remove(force=True, v=True)


def _images_are_here(progress: Callable[[str], None]) -> bool:
    import docker

    try:
        client = docker.from_env(timeout=ANSWER_SECONDS)
        client.ping()
    except Exception:  # no engine: the usual case, not worth a word
        return False
    for image in (KAFKA_IMAGE, POSTGRES_IMAGE):
        try:
            client.images.get(image)
        except docker.errors.ImageNotFound:
            progress(f"Pulling {image}")
            if not _pull(image):
                progress(f"{image} cannot be had; the local servers are used.")
                return False
    return True


def _pull(image: str) -> bool:
    """Pull an image; give up when the registry is silent or the whole takes too long."""
    import docker

    name, _, tag = image.partition(":")
    end = time.monotonic() + PULL_SECONDS
    client = docker.from_env(timeout=SILENT_SECONDS)
    try:
        for line in client.api.pull(name, tag=tag, stream=True, decode=True):
            if "error" in line or time.monotonic() > end:
                return False
    except Exception:
        return False
    return True


def _start(foreground: bool) -> Containers:
    if not foreground:
        # The reaper would remove the containers as soon as `redress up` has returned.
        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    from redress_local.kafka import wait_until_it_answers
    from redress_local.places import free_ports
    from redress_local.postgres import SETTINGS

    kafka_port, postgres_port = free_ports(2)
    settings = [part for name, value in SETTINGS.items() if "socket" not in name for part in ("-c", f"{name}={value}")]
    settings += ["-c", "listen_addresses=*"]
    postgres: Any = DockerContainer(POSTGRES_IMAGE)
    postgres = postgres.with_env("POSTGRES_PASSWORD", "redress").with_command(["postgres", *settings]).with_kwargs(shm_size="512m")
    # initdb's temporary server says the same once before
    postgres = postgres.waiting_for(LogMessageWaitStrategy("ready to accept connections", times=2))
    kafka: Any = DockerContainer(KAFKA_IMAGE)
    postgres.ports |= on_this_machine(5432, postgres_port)  # with_bind_ports knows numbers alone, and opens them to every address
    kafka.ports |= on_this_machine(9092, kafka_port)
    for name, value in kafka_environment(kafka_port).items():
        kafka = kafka.with_env(name, value)
    started = []
    try:
        for each in (kafka, postgres):
            each.start()
            started.append(each)
        address = f"127.0.0.1:{kafka_port}"
        wait_until_it_answers(address, 60.0)
    except BaseException:
        for each in started:
            each.stop()
        raise
    return Containers(
        kafka=address,
        postgres=f"postgresql://postgres:redress@127.0.0.1:{postgres_port}/postgres",
        ids=[each.get_wrapped_container().id for each in started],
    )


def on_this_machine(inside: int, outside: int) -> dict[str, tuple[str, int]]:
    """A port of a container that this machine alone reaches, as Docker's API has it."""
    return {str(inside): ("127.0.0.1", outside)}


def kafka_environment(port: int) -> dict[str, str]:
    """The local broker's properties, in the spelling of the image: `a.b.c` becomes `KAFKA_A_B_C`."""
    from redress_local.kafka import PROPERTIES

    environment: dict[str, str] = {}
    for line in PROPERTIES.format(port=port, controller=9093, data="/var/lib/kafka/data").splitlines():
        name, mark, value = line.partition("=")
        if mark and not line.startswith("#"):
            environment["KAFKA_" + name.replace("_", "__").replace("-", "___").replace(".", "_").upper()] = value
    environment["KAFKA_LISTENERS"] = "CLIENTS://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093"
    environment["KAFKA_HEAP_OPTS"] = "-Xmx512m -Xms128m"
    return environment
