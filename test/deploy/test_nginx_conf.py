"""nginx is tuned as measured, and what it answers by itself looks like the application's own answers."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from benchmarks.shipped_nginx import configure
from utils.errors import ServiceError

ONLY_NGINX = {"service_unavailable"}  # the application cannot say of itself that it does not answer


@pytest.fixture(scope="module")
def main_conf(root):
    return (root / "deploy" / "nginx" / "nginx.conf").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site_template(root):
    return (root / "deploy" / "nginx" / "site.conf.template").read_text(encoding="utf-8")


def _kinds(of: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    yield of
    for kind in of.__subclasses__():
        yield from _kinds(kind)


def test_nginx_has_the_numbers_that_bore_10000_slow_connections(main_conf):
    for directive in (
        "worker_connections 15000;",
        "worker_rlimit_nofile 20000;",
        "client_header_timeout 5s;",
        "client_body_timeout 5s;",
    ):
        assert directive in main_conf


def test_answers_of_nginx_are_problems_with_the_codes_and_titles_of_the_application(site_template):
    errors = {kind.code: kind for kind in _kinds()}
    answers = re.findall(r"return (\d+) '(.*)\\n';", site_template)
    assert len(answers) == site_template.count("internal;") == site_template.count("application/problem+json")
    for status, body in answers:
        problem = json.loads(body.replace("\\'", "'"))
        assert problem["status"] == int(status)
        assert problem["type"] == f"/docs/errors#{problem['code']}"
        if problem["code"] not in ONLY_NGINX:
            known = errors[problem["code"]]
            assert (problem["title"], problem["status"]) == (known.title, known.status)


@pytest.mark.skipif(not shutil.which("nginx"), reason="there is no nginx on the PATH")
def test_nginx_accepts_its_configuration(tmp_path):
    path = configure(tmp_path, 8080, WEB_URL="http://web:5000", MAX_UPLOAD_BYTES="1MB", LOG_FORMAT="json")
    answer = subprocess.run(["nginx", "-t", "-c", str(path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
