"""The running service is held to its own description by schemathesis, with every check and every operation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from live_service import running_service

FOLDER = Path(__file__).parent
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
METHODS = {"get", "head", "post", "delete"}


@pytest.mark.timeout(1200)
def test_the_service_is_as_it_describes_itself(tmp_path: Path) -> None:
    with running_service(tmp_path, WEBHOOK_SECRET=SECRET) as service:
        # From a file: the operation that a document is fetched from would be left out.
        document = service.get("/openapi.json")
        (tmp_path / "openapi.json").write_bytes(document.content)
        ended = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", str(tmp_path / "openapi.json"), "--url", service.url],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout
    operations = sum(len(METHODS & path.keys()) for path in document.json()["paths"].values())
    assert re.search(rf"Selected: {operations}/{operations}\n +Tested: {operations}\n", ended.stdout), ended.stdout
