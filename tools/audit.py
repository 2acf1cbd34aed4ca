"""Looks for known vulnerabilities in all that is pinned, and says loudly what it could not look for.

    python -m tools.audit

pip-audit calls it a success when the vulnerability service knows no package at all, as behind a mirror that has
packages only. Here that is said in so many words: it fails on vulnerabilities, and warns of what was not audited.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = Path(__file__).resolve().parent.parent / "requirements" / "constraints.txt"
PATIENCE = 15  # s for one answer of the service
WHY_AT_MOST = 5  # lines


def main() -> int:
    """The exit status: 1 if something pinned is known to be vulnerable."""
    command = [sys.executable, "-m", "pip_audit", "-r", PINS, "--no-deps", "--disable-pip", "--format", "json"]
    audit = subprocess.run(
        [*command, "--progress-spinner", "off", "--timeout", str(PATIENCE)], capture_output=True, text=True, check=False
    )
    try:
        dependencies: list[dict[str, Any]] = json.loads(audit.stdout)["dependencies"]
    except ValueError:
        reason = audit.stderr.strip().rpartition("\n")[2]
        if not reason.startswith("requests.exceptions."):
            raise SystemExit(audit.stderr) from None  # pip-audit itself failed
        _warn("NOTHING was audited, because the vulnerability service cannot be asked:", [reason])
        return 0
    unknown = [f"{found['name']}: {found['skip_reason']}" for found in dependencies if "skip_reason" in found]
    if unknown:
        _warn(f"{len(unknown)} of {len(dependencies)} packages were NOT audited:", unknown)
    vulnerable = [found for found in dependencies if found.get("vulns")]
    for found in vulnerable:
        for vulnerability in found["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "nothing yet"
            print(f"{found['name']} {found['version']}: {vulnerability['id']}, fixed in {fixed}")
    if len(unknown) < len(dependencies):
        print(f"{len(dependencies) - len(unknown)} packages audited, {len(vulnerable)} of them vulnerable.")
    return 1 if vulnerable else 0


def _warn(what: str, why: list[str]) -> None:
    more = [f"… and {len(why) - WHY_AT_MOST} more"] if len(why) > WHY_AT_MOST else []
    rule = "!" * 72
    print("\n".join([rule, f"WARNING: {what}", *(f"  {line}" for line in [*why[-WHY_AT_MOST:], *more]), rule]))


if __name__ == "__main__":
    sys.exit(main())
