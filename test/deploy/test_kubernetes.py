"""The Kubernetes manifests keep the same rules as the compose files, and name only what there is."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from utils.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
KUSTOMIZATION = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text(encoding="utf-8"))
DOCUMENTS: list[dict[str, Any]] = [
    document
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]


def _of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for document in DOCUMENTS if document["kind"] == kind}


DEPLOYMENTS = _of_kind("Deployment")

every_deployment = pytest.mark.parametrize("name", sorted(DEPLOYMENTS))


def _pod(name: str) -> dict[str, Any]:
    return DEPLOYMENTS[name]["spec"]["template"]["spec"]


def test_every_file_is_applied_and_there():
    files = {f"kubernetes/{path.name}" for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert set(KUSTOMIZATION["resources"]) == files
    for generated in KUSTOMIZATION["configMapGenerator"]:
        assert all((DEPLOY / file).is_file() for file in generated["files"])


def test_the_parts_are_those_of_the_compose_stack_but_the_servers(load_compose):
    services = load_compose("docker-compose.yml")["services"].keys()
    assert DEPLOYMENTS.keys() == services - {"mongo", "redis", "passwords-changed-in-env"}


@every_deployment
def test_pods_run_without_root_capabilities_or_a_writable_root(name):
    pod = _pod(name)
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@every_deployment
def test_pods_are_bounded_and_watched(name):
    pod = _pod(name)
    (container,) = pod["containers"]
    assert {"cpu", "memory"} == container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    assert "livenessProbe" in container
    assert all(volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if "emptyDir" in volume)


@every_deployment
def test_images_and_commands_are_those_of_the_compose_stack(name, load_compose):
    service = load_compose("docker-compose.yml")["services"][name]
    (container,) = _pod(name)["containers"]
    assert container["image"] == service["image"].partition(":${TORCH_VARIANT")[0]
    if name in ("worker", "beat"):
        assert container["command"] == service["command"].split()


def test_settings_are_settings_and_none_is_a_password():
    data = {key.lower(): text for key, text in _of_kind("ConfigMap")["settings"]["data"].items()}
    assert data.keys() <= Settings.model_fields.keys()
    assert not any("password" in key for key in data)
    Settings.model_validate(data)  # raises where a value is not allowed


def test_nginx_is_given_what_its_template_asks_for(load_compose):
    (container,) = _pod("nginx")["containers"]
    in_compose = load_compose("docker-compose.yml")["services"]["nginx"]["environment"]
    assert {variable["name"] for variable in container["env"]} >= in_compose.keys() - {"NGINX_ENTRYPOINT_QUIET_LOGS"}


def test_workers_follow_the_age_of_the_queue():
    scaling = _of_kind("ScaledObject")["worker"]["spec"]
    (trigger,) = scaling["triggers"]
    assert scaling["scaleTargetRef"]["name"] == "worker"
    assert "replicas" not in DEPLOYMENTS["worker"]["spec"]
    assert scaling["minReplicaCount"] >= 1
    assert "upscaler_queue_head_age_seconds" in trigger["metadata"]["query"]
    figures = (DEPLOY.parent / "views" / "figures.py").read_text(encoding="utf-8")
    assert '"upscaler_queue_head_age_seconds"' in figures
