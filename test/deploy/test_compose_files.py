"""Both compose files keep the rules of a service that is left alone: pinned, watched, locked down."""

import os
import re
import stat

import pytest

STACK = "docker-compose.yml"
SERVERS = "docker-compose-mongo-redis.yml"
GPU = "docker-compose.gpu.yml"

ONE_SHOT = "passwords-changed-in-env"
SERVICES = [(STACK, name) for name in ("nginx", "web", "worker", "beat", "mongo", "redis", ONE_SHOT)] + [
    (SERVERS, name) for name in ("mongo", "redis", ONE_SHOT)
]
LASTING = [(file, name) for file, name in SERVICES if name != ONE_SHOT]


@pytest.fixture
def service(request, load_compose):
    """One service of one file."""
    file, name = request.param
    return load_compose(file)["services"][name]


every_service = pytest.mark.parametrize("service", SERVICES, ids="/".join, indirect=True)
every_lasting_service = pytest.mark.parametrize("service", LASTING, ids="/".join, indirect=True)


def test_no_service_is_left_out_of_these_tests(load_compose):
    in_files = [(file, name) for file in (STACK, SERVERS) for name in load_compose(file)["services"]]
    assert sorted(in_files) == sorted(SERVICES)


@every_service
def test_images_are_pinned_to_a_release_or_built_here(service):
    assert "build" in service or re.search(r":\d+\.\d+", service["image"])


@every_service
def test_nobody_is_root_or_can_become_it(service):
    assert service.get("user") != "root"
    assert "user" in service or "build" in service  # the Dockerfile's USER
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")


@every_service
def test_root_file_systems_are_read_only_and_so_is_what_comes_from_the_host(service):
    assert service["read_only"] is True
    for volume in service.get("volumes", []):
        if volume.startswith((".", "/")):
            assert volume.endswith(":ro")


@every_service
def test_logs_are_rotated(service):
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()


@every_service
def test_memory_and_threads_are_bounded(service):
    assert re.fullmatch(r"\d+[mg]|\$\{[A-Z]+_MEMORY:-\d+g\}", service["mem_limit"])
    assert isinstance(service["pids_limit"], int)
    for mount in service.get("tmpfs", []):
        assert mount.startswith("/data") or ":size=" in mount


@every_lasting_service
def test_lasting_services_are_watched_and_started_again(service):
    assert {"test", "interval", "timeout", "retries", "start_period"} == service["healthcheck"].keys()
    assert service["restart"] == "unless-stopped"


@every_lasting_service
def test_lasting_services_wait_for_what_they_need(service):
    conditions = {wait["condition"] for wait in service["depends_on"].values()}
    assert conditions <= {"service_healthy", "service_completed_successfully"}


@every_service
def test_services_can_run_more_than_once(service):
    assert "container_name" not in service


def test_only_nginx_is_reached_from_outside_and_by_default_only_from_this_machine(load_compose):
    services = load_compose(STACK)["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    assert services["nginx"]["ports"] == ["${HOST:-127.0.0.1}:${PORT:-5000}:8080"]


def test_the_servers_alone_are_reached_only_from_this_machine(load_compose):
    ports = [port for service in load_compose(SERVERS)["services"].values() for port in service.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:27017:27017", "127.0.0.1:6379:6379"]


def test_only_nginx_and_the_worker_have_a_way_out(load_compose):
    stack = load_compose(STACK)
    assert stack["networks"]["store"] == stack["networks"]["front"] == {"internal": True}
    assert stack["services"]["mongo"]["networks"] == stack["services"]["redis"]["networks"] == ["store"]
    assert stack["services"]["web"]["networks"] == ["front", "store"]
    assert "store" not in stack["services"]["nginx"]["networks"]


def test_a_busy_worker_leaves_the_processor_to_whoever_waits_for_an_answer(load_compose):
    services = load_compose(STACK)["services"]
    for name in ("nginx", "web", "mongo", "redis"):
        assert services[name]["cpu_shares"] > services["worker"]["cpu_shares"]


def test_workers_share_nothing_on_disk_but_the_models(load_compose):
    assert load_compose(STACK)["services"]["worker"]["volumes"] == ["models:/models"]


def test_every_variable_is_explained_in_env_example(root):
    explained = set(re.findall(r"^([A-Z_]+)=", (root / "env_example").read_text(encoding="utf-8"), re.MULTILINE))
    for file in (STACK, SERVERS, GPU, "deploy/servers.yml"):
        used = set(re.findall(r"(?<!\$)\$\{?([A-Z_]+)", (root / file).read_text(encoding="utf-8")))
        assert used <= explained


def test_passwords_have_no_default_and_stand_in_no_address(root):
    for file in (STACK, SERVERS, "deploy/servers.yml"):
        text = (root / file).read_text(encoding="utf-8")
        assert not re.search(r"PASSWORD:-", text)
        assert not re.search(r"://[^/\s]*@", text)


def test_compose_files_stay_within_what_old_and_new_compose_accept(load_compose, root):
    for file in (STACK, SERVERS, GPU):
        document = load_compose(file)
        assert not {"name", "version", "include"} & document.keys()
        for service in document["services"].values():
            assert isinstance(service.get("env_file", ".env"), str)
            assert "start_interval" not in service.get("healthcheck", {})
            assert "develop" not in service
    assert "# syntax" not in (root / "Dockerfile").read_text(encoding="utf-8")


def test_a_gpu_is_added_to_the_worker_alone(load_compose):
    services = load_compose(GPU)["services"]
    assert [name for name, service in services.items() if "deploy" in service] == ["worker"]
    assert {service["image"] for service in services.values()} == {"image-upscaler:cuda"}
    assert {service["build"]["args"]["TORCH_VARIANT"] for service in services.values()} == {"cuda"}


def test_what_is_mounted_from_the_repository_is_there_and_scripts_can_run(root):
    mounts = {(root, file) for file in (STACK, SERVERS)} | {(root / "deploy", "servers.yml")}
    for folder, file in mounts:
        for path in re.findall(r"- (\./\S+?):", (folder / file).read_text(encoding="utf-8")):
            assert (folder / path).exists(), path
    for script in (root / "deploy").rglob("*.*sh"):
        assert os.stat(script).st_mode & stat.S_IXOTH, f"{script} is not executable"
