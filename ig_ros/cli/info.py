"""`ig info`: what is in a saved map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ig_ros.cli.app import app, examples, print_json
from ig_ros.cli.maps import SavedMapContents, load
from ig_ros.cli.options import AsJson, SavedMap, map_home
from ig_ros.cli.tables import print_figures, print_objects

EXAMPLES = examples("ig info out/map", "ig info out/map --json")


@app.command("info", epilog=EXAMPLES)
def info_command(directory: SavedMap, as_json: AsJson = False) -> None:
    """Show what is in a saved map: size, extent, cameras, objects, the parameters that are not the defaults."""
    from ig_ros.evaluation.outputs import object_entry

    home = map_home(directory)
    contents = load(home)
    snapshot = contents.snapshot
    figures = describe(home, contents)
    if as_json:
        entries = [object_entry(o, o.confidence) for o in snapshot.instances.objects]
        print_json(figures | {"objects": entries})
        return
    print_figures(str(home), figures)
    print_objects(f"{len(snapshot.instances.objects)} objects", [(o, None) for o in snapshot.instances.objects])


def describe(home: Path, contents: SavedMapContents) -> dict[str, Any]:
    """JSON-ready facts about a loaded map; lengths in metres, sizes in MB."""
    from ig_ros.report.page import changed

    mapper, snapshot, settings = contents
    cameras = sorted({(k.camera.width, k.camera.height) for k in mapper.keyframes.items})
    extent = np.ptp(snapshot.xyz, axis=0) if len(snapshot.xyz) else np.zeros(3)
    return {
        "size_mb": round(sum(p.stat().st_size for p in home.iterdir()) / 1e6, 2),
        "steps": mapper.trainer.step,
        "keyframes": len(mapper.keyframes),
        "images": ", ".join(f"{w}x{h}" for w, h in cameras),
        "with_masks": sum(k.masks is not None for k in mapper.keyframes.items),
        "anchors": len(mapper.scaffold.anchors),
        "gaussians": len(snapshot.xyz),
        "extent_m": [round(float(v), 2) for v in extent],
        "instances": len(snapshot.instances.objects),
        "named": sum(bool(o.label) for o in snapshot.instances.objects),
        "encoder": snapshot.instances.encoder,
        "objects_of_step": snapshot.step,
        "parameters": changed(settings),
    }
