"""Fetches a small object detector for the `detector` segmenter: the SSD-MobileNetV2 in npm's @mediapipe/objectron 0.4.

Apache-2.0, Open Images boxes, 23 classes. `python -m benchmarks.objectron --out DIR` writes ssd_oidv4.tflite and .txt.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "@mediapipe/objectron@0.4.1675468480"
INSIDE = "package/objectron_solution_packed_assets"


def fetch_detector(folder: Path) -> Path:
    """Returns the path of the model in a folder, fetched with `npm pack` if it is not there yet."""
    model = folder / "ssd_oidv4.tflite"
    if model.is_file() and model.with_suffix(".txt").is_file():
        return model
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        unpack(next(Path(scratch).glob("*.tgz")), model)
    return model


def unpack(archive: Path, model: Path) -> None:
    """Writes model and labels out of the package, in which one file holds both and a script says where."""
    with tarfile.open(archive) as package:
        loader, data = (package.extractfile(f"{INSIDE}{end}") for end in ("_loader.js", ".data"))
        assert loader is not None
        assert data is not None
        text, content = loader.read().decode(), data.read()
    for entry in re.findall(r'\{"filename": "[^"]*", "start": \d+, "end": \d+\}', text):
        part = json.loads(entry)
        target = model.with_suffix(".tflite" if part["filename"].endswith(".tflite") else ".txt")
        target.write_bytes(content[part["start"] : part["end"]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/weights"))
    print(fetch_detector(parser.parse_args().out))
