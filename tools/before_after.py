"""Show a picture enlarged by bicubic and by the running service, side by side, as in README.md.

python -m tools.before_after photo.jpg docs/images/before-after.jpg --crop 300 200 420 420
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import requests
from PIL import Image

GAP = 8  # px between the halves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, help="what to enlarge")
    parser.add_argument("target", type=Path, help="where to put the comparison")
    parser.add_argument("--url", default="http://127.0.0.1:5000", help="the running service (default: %(default)s)")
    parser.add_argument("--model", default="fast", help="default: %(default)s")
    parser.add_argument(
        "--crop", type=int, nargs=4, metavar=("LEFT", "TOP", "WIDTH", "HEIGHT"), help="px of the result; default: all"
    )
    options = parser.parse_args()

    with Image.open(options.photo) as photo:
        after = enlarged(options.photo, options.url, options.model)
        before = photo.convert("RGB").resize(after.size, Image.Resampling.BICUBIC)
    left, top, width, height = options.crop or (0, 0, *after.size)
    box = (left, top, left + width, top + height)
    both = Image.new("RGB", (2 * width + GAP, height), "white")
    both.paste(before.crop(box), (0, 0))
    both.paste(after.crop(box), (width + GAP, 0))
    options.target.parent.mkdir(parents=True, exist_ok=True)
    both.save(options.target, quality=90)


def enlarged(photo: Path, url: str, model: str) -> Image.Image:
    """The photo as the service at `url` makes it."""
    form = {"model": model, "format": "png", "on_conflict": "replace"}
    with photo.open("rb") as file:
        answer = requests.post(f"{url}/upscale", files={"image": (photo.name, file)}, data=form, timeout=60)
    answer.raise_for_status()
    task = answer.json()
    while task["status"] in ("PENDING", "STARTED"):
        task = requests.get(f"{url}{task['links']['self']}", params={"wait": 30}, timeout=60).json()
    if task["status"] != "SUCCESS":
        raise SystemExit(f"{photo} was not enlarged: {task['error']}")
    return Image.open(io.BytesIO(requests.get(f"{url}{task['links']['result']}", timeout=60).content)).convert("RGB")


if __name__ == "__main__":
    main()
