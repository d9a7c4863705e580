"""The manifests and the compose file: they are what Kubernetes takes, and hold the pods to what is promised. No cluster is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings, check_names
from service.worker import MAX_SILENT_SECONDS

REPOSITORY = Path(__file__).resolve().parents[1]
KUBERNETES = REPOSITORY / "deploy" / "kubernetes"
VERSION = "1.31"
COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
Document = Mapping[str, Any]


def documents(path: Path) -> list[Document]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def listed(folder: str) -> list[Path]:
    """The files that a kustomization brings, those of its base first."""
    kustomization = documents(KUBERNETES / folder / "kustomization.yaml")[0]
    found: list[Path] = []
    for name in kustomization["resources"]:
        place = (KUBERNETES / folder / name).resolve()
        found += listed(place.name) if place.is_dir() else [place]
    return found


FILES = sorted({*listed("base"), *listed("fleet"), KUBERNETES / "fleet" / "secret.example.yaml"})
FLEET = {(each["kind"], each["metadata"]["name"]): each for path in listed("fleet") for each in documents(path)}


def merged(base: Any, patch: Any) -> Any:
    """A strategic merge as far as our patches need it: lists of things with names are merged by name, null takes away."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {key: merged(base.get(key), patch.get(key, base.get(key))) for key in {**base, **patch} if patch.get(key, 0) is not None}
    if isinstance(base, list) and isinstance(patch, list) and all(isinstance(each, dict) and "name" in each for each in base + patch):
        by_name = {each["name"]: each for each in patch}
        return [merged(each, by_name.pop(each["name"], each)) for each in base] + list(by_name.values())
    return patch


def deployment(name: str, fleet: bool = True) -> Document:
    """A deployment as it is in the fleet, or in the base."""
    found = FLEET["Deployment", name]
    if fleet and name == "web":
        found = merged(found, documents(KUBERNETES / "fleet" / "web.yaml")[0])
    return dict(found)


def pod(name: str, fleet: bool = True) -> Document:
    return dict(deployment(name, fleet)["spec"]["template"]["spec"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_manifest_is_what_kubernetes_takes(path: Path) -> None:
    for document in documents(path):
        if "keda" not in document["apiVersion"]:
            kubernetes_validate.validate(document, VERSION, strict=True)


def test_what_the_patches_make_is_what_kubernetes_takes() -> None:
    web = deployment("web")
    kubernetes_validate.validate(web, VERSION, strict=True)
    assert "replicas" not in web["spec"] and web["spec"]["strategy"]["type"] == "RollingUpdate"
    volumes = {volume["name"]: volume for volume in web["spec"]["template"]["spec"]["volumes"]}
    assert set(volumes["data"]) == {"name", "emptyDir"}
    removed = documents(KUBERNETES / "fleet" / "no-volume.yaml")[0]
    assert removed["$patch"] == "delete" and (removed["kind"], removed["metadata"]["name"]) in FLEET


def test_every_file_is_part_of_a_kustomization() -> None:
    known = {path.name for path in FILES} | {"kustomization.yaml", "web.yaml", "no-volume.yaml"}
    assert {path.name for path in KUBERNETES.rglob("*.yaml")} == known
    for name in ("web.yaml", "no-volume.yaml"):
        assert {"path": name} in documents(KUBERNETES / "fleet" / "kustomization.yaml")[0]["patches"]


@pytest.mark.parametrize(("name", "fleet"), [("web", False), ("web", True), ("worker", True)])
def test_pods_are_restricted_and_probed(name: str, fleet: bool) -> None:
    """What PodSecurity `restricted` asks for (kubernetes.io, Pod Security Standards), and a root that cannot be written."""
    spec = pod(name, fleet)
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    assert {kind for volume in spec["volumes"] for kind in volume} <= {"name", "emptyDir", "persistentVolumeClaim"}
    (container,) = spec["containers"]
    held = container["securityContext"]
    assert held == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    ports = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    assert f"USER {spec['securityContext']['runAsUser']}:" in dockerfile
    namespace = FLEET["Namespace", "receptive"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(("name", "processes"), [("web", 3), ("worker", 2)])
def test_memory_is_what_the_processes_may_take(name: str, processes: int) -> None:
    limit = pod(name)["containers"][0]["resources"]["limits"]["memory"]
    assert int(limit.removesuffix("Mi")) << 20 >= processes * Settings().job_memory_bytes + (512 << 20)


def test_nothing_is_reached_that_no_policy_names() -> None:
    policies = {name: policy["spec"] for (kind, name), policy in FLEET.items() if kind == "NetworkPolicy"}
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name in ("web", "worker"):
        labels = deployment(name)["spec"]["template"]["metadata"]["labels"]
        assert policies[name]["podSelector"]["matchLabels"].items() <= labels.items()
        assert policies["stores"]["podSelector"]["matchLabels"].items() <= labels.items()
        assert deployment(name)["spec"]["selector"]["matchLabels"].items() <= labels.items()
    open_ports = {port["port"] for rule in policies["stores"]["egress"] for port in rule["ports"]}
    assert {53, 5432, 6379, 5672, 443} <= open_ports
    assert FLEET["Service", "web"]["spec"]["selector"].items() <= deployment("web")["spec"]["template"]["metadata"]["labels"].items()


def test_autoscalers_scale_what_is_there_by_what_the_database_says() -> None:
    scaler = FLEET["HorizontalPodAutoscaler", "web"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == "web" and scaler["minReplicas"] >= 2
    scaled = FLEET["ScaledObject", "worker"]["spec"]
    assert ("Deployment", scaled["scaleTargetRef"]["name"]) in FLEET
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "postgresql" and ("TriggerAuthentication", trigger["authenticationRef"]["name"]) in FLEET
    secret = documents(KUBERNETES / "fleet" / "secret.example.yaml")[0]["stringData"]
    for reference in FLEET["TriggerAuthentication", "database"]["spec"]["secretTargetRef"]:
        assert reference["key"] in secret
    table = (REPOSITORY / "service" / "store" / "sql" / "tables.py").read_text()
    assert re.search(r"FROM (\w+) WHERE state", trigger["metadata"]["query"]) and 'Column("state"' in table


def test_every_variable_is_a_setting() -> None:
    names = set(documents(KUBERNETES / "fleet" / "secret.example.yaml")[0]["stringData"])
    for service in COMPOSE["services"].values():
        names |= set(service.get("environment", {}))
    check_names(names)
    assert {"RECEPTIVE_DATABASE_URL", "RECEPTIVE_BROKER_URL", "RECEPTIVE_BLOBS_URL"} <= names


def test_compose_starts_one_service_and_the_fleet_when_asked() -> None:
    services = COMPOSE["services"]
    assert [name for name, service in services.items() if "profiles" not in service] == ["receptive"]
    assert {name for name, service in services.items() if service.get("profiles") == ["fleet"]} == set(services) - {"receptive"}
    assert services["worker"]["deploy"]["replicas"] == 2 and services["worker"]["command"] == ["python", "-m", "service.worker"]
    for name in ("receptive", "web", "worker"):
        assert services[name]["read_only"] and services[name]["cap_drop"] == ["ALL"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)


def test_worker_is_given_time_to_notice_that_its_database_is_away() -> None:
    probe = pod("worker")["containers"][0]["livenessProbe"]
    assert MAX_SILENT_SECONDS + probe["periodSeconds"] * probe["failureThreshold"] >= 60
