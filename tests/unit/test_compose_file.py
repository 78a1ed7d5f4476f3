"""docker-compose.yml and the Dockerfile: valid, and as safe as they say.

tests/acceptance/test_stack.py runs what they start.
"""

from __future__ import annotations

import gzip
import ipaddress
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from typer.main import get_command

from stream_app.cli import app
from stream_app.config import load_config
from tests.harness.compose_file import HEALTH_PORT, PROJECT, ComposeFile, Service

FILE = ComposeFile()
SERVICES = list(FILE.services.values())
RUNNING = [service for service in SERVICES if not service.once]
SCHEMA = PROJECT / "tests" / "data" / "specifications" / "compose-spec.schema.json.gz"
# An exact version: no `latest`, no bare major version that another image may be given tomorrow.
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z0-9.]+)*(@sha256:[0-9a-f]{64})?")
SECRET = re.compile(r"(?i)(password|passwd|secret|token|api_?key)")


def each(services: list[Service]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("service", services, ids=lambda one: one.name)


# --- valid ---------------------------------------------------------------------------------------------------------


def test_the_file_is_what_the_compose_specification_allows() -> None:
    schema = json.loads(gzip.decompress(SCHEMA.read_bytes()))
    assert [f"{list(error.path)}: {error.message}" for error in Draft7Validator(schema).iter_errors(FILE.raw)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"services": {"kafka": {"imag": "kafka"}}},
        {"services": {"kafka": {"image": "kafka", "deploy": {"resources": {"limits": {"memory": 1}}}}}},
        {"services": {"kafka": {"depends_on": {"redis": {"condition": "service_well"}}}}},
    ],
)
def test_the_schema_sees_what_is_wrong(wrong: dict[str, Any]) -> None:
    schema = json.loads(gzip.decompress(SCHEMA.read_bytes()))
    assert list(Draft7Validator(schema).iter_errors(wrong))


def composers() -> Iterator[list[str]]:
    """Commands that load the file as `docker compose config` does; the second is the same loader without Docker."""
    docker = shutil.which("docker")
    if docker and not subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        yield [docker, "compose", "--file", str(PROJECT / "docker-compose.yml"), "config", "--quiet"]
    loader = shutil.which("compose-go", path=os.pathsep.join([str(PROJECT / "build" / "bin"), os.environ["PATH"]]))
    if loader:
        yield [loader, str(PROJECT / "docker-compose.yml")]


def test_docker_compose_accepts_the_file() -> None:
    command = next(composers(), None)
    if command is None:
        pytest.skip("neither docker compose nor its loader compose-go is here; the schema is checked in any case")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_a_service_names_is_there() -> None:
    volumes, networks = set(FILE.raw["volumes"]), set(FILE.raw["networks"])
    used = {source for one in SERVICES for source, _, _ in one.mounts if not source.startswith(".")}
    assert used == volumes
    assert {name for one in SERVICES for name in one.spec.get("networks", [])} == networks
    for service in SERVICES:
        for name, condition in service.needs.items():
            finished = condition == "service_completed_successfully"
            assert FILE.services[name].once == finished, f"{service.name} waits for {name}"


def test_the_order_has_no_circle_and_servers_come_first() -> None:
    order = [service.name for service in FILE.order()]
    assert sorted(order) == sorted(FILE.services)
    assert order.index("kafka") < order.index("topics") < order.index("worker-1") < order.index("shop")


# --- safe ----------------------------------------------------------------------------------------------------------


@each(SERVICES)
def test_a_service_is_hardened_and_bounded(service: Service) -> None:
    spec = service.spec
    assert spec["read_only"] is True
    assert spec["cap_drop"] == ["ALL"]
    assert "cap_add" not in spec
    assert "privileged" not in spec
    assert spec["security_opt"] == ["no-new-privileges:true"]
    user = str(spec["user"]).partition(":")[0]
    assert int(user) > 0, "a name would be looked up in the image"
    limits = spec["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= limits.keys()
    assert spec["logging"]["options"]["max-size"]


@each(SERVICES)
def test_an_image_is_pinned(service: Service) -> None:
    assert service.ours or PINNED.fullmatch(service.image)


@each(SERVICES)
def test_ports_are_published_on_the_loopback_only(service: Service) -> None:
    for published in service.spec.get("ports", []):
        host, _, _ = str(published).rpartition(":")[0].rpartition(":")
        assert ipaddress.ip_address(host).is_loopback, published
        assert "outside" in service.spec["networks"], "an internal network publishes nothing"
    assert service.spec.get("network_mode") in {None, "none"}


@each(RUNNING)
def test_a_process_has_a_health_check_and_comes_back(service: Service) -> None:
    assert service.check
    assert service.spec["restart"] in {"unless-stopped", "on-failure"}
    assert not [word for word in service.check if word in {"curl", "bash", "sh"}], "an image need not have it"


def test_the_inner_network_leads_nowhere_and_who_holds_the_customers_is_in_it_alone() -> None:
    assert FILE.raw["networks"]["inside"]["internal"] is True
    only_inside = {one.name for one in SERVICES if one.spec.get("networks") == ["inside"]}
    assert {"redis", "worker-1", "worker-2", "trainer", "allocator"} <= only_inside


@each(SERVICES)
def test_no_secret_stands_in_the_file(service: Service) -> None:
    for name, value in service.environment.items():
        assert not SECRET.search(name) or name.endswith("__FILE"), f"{name}={value}"
    assert not [word for word in service.command if re.search(r"whsec_|requirepass|password=", word)]


def test_a_secret_is_mounted_for_its_readers_alone() -> None:
    readers: dict[str, set[str]] = {"model-secret": set(), "webhook-secret": set(), "grafana-secret": set()}
    for service in SERVICES:
        for source, _, mode in service.mounts:
            if source in readers:
                readers[source].add(service.name)
                assert mode == ("rw" if service.once else "ro"), service.name
    assert readers == {
        "model-secret": {"model-secret", "trainer", "worker-1", "worker-2"},
        "webhook-secret": {"webhook-secret", "receiver", "notifier"},
        "grafana-secret": {"grafana-secret", "grafana"},
    }


def test_redis_keeps_what_it_has_said_yes_to_and_evicts_nothing() -> None:
    options = dict(zip(*[iter(FILE.services["redis"].command[1:])] * 2, strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert ("redis-data", "/data", "rw") in FILE.services["redis"].mounts


# --- ours ----------------------------------------------------------------------------------------------------------


@each([service for service in SERVICES if service.ours and service.environment])
def test_settings_of_the_file_are_settings_that_we_know(service: Service) -> None:
    assert service.command[0] in get_command(app).commands  # type: ignore[attr-defined] # a group
    config = load_config(environ=service.environment)
    assert config.ticks.clock == "log"
    assert config.health.port == int(service.environment[HEALTH_PORT])


def test_all_processes_have_the_same_shop() -> None:
    of_shop = {
        tuple((name, value) for name, value in one.environment.items() if "_SHOP__" in name or "_KAFKA__" in name)
        for one in SERVICES
        if one.ours and one.environment
    }
    assert len(of_shop) == 1


def test_workers_have_names_of_their_own() -> None:
    names = [one.environment["STREAM_APP_WORKER__INSTANCE"] for one in SERVICES if one.command == ["worker"]]
    assert names == ["worker-1", "worker-2"]


# --- the image -----------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """(name, rest) of each instruction, its lines joined."""
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def test_the_dockerfile_keeps_the_rules() -> None:
    found = instructions()
    bases = [rest.split(" ")[0] for name, rest in found if name == "FROM"]
    assert len(bases) == 2, "what builds stays behind"
    assert [base for base in bases if not PINNED.fullmatch(base)] == []
    assert not [rest for name, rest in found if name == "ADD"]
    assert not [rest for name, rest in found if name == "RUN" and re.search(r"curl|wget|sudo|apt-get", rest)]
    assert not [rest for name, rest in found if name in {"ENV", "ARG"} and SECRET.search(rest)]
    names = [name for name, _ in found]
    users = [rest for name, rest in found if name == "USER"]
    assert users == ["10001:10001"]
    assert "RUN" not in names[names.index("USER") :], "nothing is run as root afterwards, and nothing written"
    for name, rest in found:
        assert name not in {"CMD", "ENTRYPOINT"} or rest.startswith("["), "a shell would not hand on SIGTERM"


def test_the_image_installs_by_hash_and_only_what_is_locked() -> None:
    installs = [
        part for name, rest in instructions() if name == "RUN" for part in rest.split("&&") if " install " in part
    ]
    packages = [part for part in installs if "pip install" in part]
    assert len(packages) == 3
    for part in packages:
        assert "--require-hashes" in part or ("--no-deps" in part and "--offline" in part), part


def test_the_builder_is_sent_only_what_the_image_is_made_of() -> None:
    lines = [line for line in (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert lines[0] == "*"
    sent = {line[1:].rstrip("/") for line in lines if line.startswith("!")}
    copied = {
        word.rstrip("/")
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
    }
    assert sent == copied
    assert [path for path in sent if not (PROJECT / path).exists()] == []


def test_user_and_folders_of_image_and_file_are_the_same() -> None:
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    for service in SERVICES:
        if service.ours:
            assert service.spec["user"] == "10001:10001"
            for _, target, mode in service.mounts:
                assert mode == "ro" or target in text, f"{target} would belong to root"


def test_the_channels_of_the_stack_name_its_receiver_and_hold_no_secret() -> None:
    text = (PROJECT / "deploy" / "channels.yaml").read_text(encoding="utf-8")
    assert "http://receiver:8080/alerts" in text
    assert "file:/secrets/webhook/key" in text
    assert "whsec_" not in text


def test_grafana_finds_its_dashboards_where_they_are_mounted() -> None:
    providers = PROJECT / "grafana" / "provisioning" / "dashboards"
    paths = [
        provider["options"]["path"]
        for file in providers.glob("*.y*ml")
        for provider in yaml.safe_load(file.read_text(encoding="utf-8"))["providers"]
    ]
    mounted = {source: target for source, target, _ in FILE.services["grafana"].mounts}
    assert paths
    for path in paths:
        assert path.startswith(mounted["./grafana/dashboards"])
        there = PROJECT / "grafana" / "dashboards" / path.removeprefix(mounted["./grafana/dashboards"]).strip("/")
        assert list(there.glob("*.json")), f"{there} is empty"


def test_prometheus_scrapes_and_alertmanager_calls_what_the_file_starts() -> None:
    folder = PROJECT / "prometheus"
    scraped = yaml.safe_load((folder / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        target for job in scraped["scrape_configs"] for static in job["static_configs"] for target in static["targets"]
    }
    for target in targets | {"alertmanager:9093"}:
        host, _, port = target.partition(":")
        assert int(port) in FILE.services["prometheus" if host == "localhost" else host].ports, target
    ours = {one.name for one in RUNNING if one.ours} - {"shop", "receiver"}
    assert {target.partition(":")[0] for target in targets} >= ours
    for address in re.findall(r"http://([\w-]+):(\d+)", (folder / "alertmanager.yml").read_text(encoding="utf-8")):
        assert int(address[1]) in FILE.services[address[0]].ports, address
