"""Run the commands of a page such as docs/api.md against the real service, and write their real outputs into it.

python -m tools.record_session docs/api.md

A command begins with `$ ` in a block of kind `console`, and goes on in lines that begin with `>`. All other lines of
the block are output and are replaced; long ones are cut short with `…`. Settings behind the word `console` are those of
a service of their own, which all blocks with the same ones share, as they share one shell. The shell's folder holds
`photo.jpg`, `other.png`, `large.png` and `notes.txt`; the page has the service on localhost:5000.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from main import worker_answers
from utils.local_run import start_everything
from utils.local_services import free_port
from utils.settings import load_settings

ADDRESS = "localhost:5000"
LONGEST_LINE = 220  # characters
MARK = "\x1e"  # in the shell's output, before each command's
BLOCK = re.compile(r"^```console(?P<settings>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Session:
    """The commands of all blocks with the same settings, and what they answered."""

    settings: str
    commands: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    page: Path = parser.parse_args().page
    text = page.read_text()
    sessions: dict[str, Session] = {}
    for block in BLOCK.finditer(text):
        settings = block["settings"].strip()
        sessions.setdefault(settings, Session(settings)).commands += commands_of(block["body"])
    for session in sessions.values():
        run(session)
    page.write_text(BLOCK.sub(lambda block: rewritten(block, sessions[block["settings"].strip()]), text))


def commands_of(body: str) -> list[str]:
    """The commands of a block, each with its further lines."""
    commands: list[str] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
        elif line.startswith(">"):
            commands[-1] += "\n" + line[2:]
    return commands


def rewritten(block: re.Match[str], session: Session) -> str:
    """The block with the outputs of its commands, which are the next ones of the session."""
    lines = []
    for command in commands_of(block["body"]):
        written = [f"> {line}".rstrip() for line in command.splitlines()]
        lines += [f"$ {written[0][2:]}", *written[1:], *map(shortened, session.outputs.pop(0).splitlines())]
    return f"```console{block['settings']}\n" + "\n".join(lines) + "\n```"


def shortened(line: str) -> str:
    line = line.rstrip()
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def run(session: Session) -> None:
    """Run the commands in one shell, in a folder with pictures, against a service with the session's settings."""
    with TemporaryDirectory() as data, TemporaryDirectory() as folder:
        make_files(Path(folder))
        with service(Path(data), session.settings) as port:
            script = "\n".join(f"printf '{MARK}'\n{command}" for command in session.commands)
            ended = subprocess.run(
                ["bash"],
                input=script.replace(ADDRESS, f"localhost:{port}"),
                cwd=folder,
                env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
    session.outputs = ended.stdout.replace(f"localhost:{port}", ADDRESS).split(MARK)[1:]


@contextmanager
def service(data_dir: Path, settings: str) -> Iterator[int]:
    """Everything that `make run` starts, on the port that is told."""
    before = dict(os.environ)
    os.environ |= dict(setting.split("=", 1) for setting in settings.split())
    os.environ |= {"ENV_FILE": os.devnull, "DATA_DIR": str(data_dir), "PORT": str(free_port()), "LOG_LEVEL": "warning"}
    try:
        with ExitStack() as running:
            yield start_everything(load_settings(), worker_answers, running).settings.port
    finally:
        os.environ.clear()
        os.environ |= before


def make_files(folder: Path) -> None:
    whole = (-2.0, -1.5, 1.0, 1.5)
    detail = (-0.75, 0.05, -0.70, 0.10)
    exif = Image.Exif()
    exif[0x010F] = "Example"  # the camera's maker
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 36.0)}  # the place
    Image.effect_mandelbrot((256, 256), whole, 100).convert("RGB").save(folder / "photo.jpg", quality=90, exif=exif)
    Image.effect_mandelbrot((120, 80), detail, 100).save(folder / "other.png")
    Image.effect_mandelbrot((1600, 1200), detail, 100).convert("RGB").save(folder / "large.png")
    (folder / "notes.txt").write_text("These are notes.\n")


if __name__ == "__main__":
    main()
