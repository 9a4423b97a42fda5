"""`ig info`: what is in a saved map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ig_ros.cli.app import app, examples, print_json
from ig_ros.cli.maps import OpenMap, open_map
from ig_ros.cli.options import AsJson, SavedMap, map_home
from ig_ros.cli.tables import print_figures, print_objects

EXAMPLES = examples("ig info out/map", "ig info out/map --json")


@app.command("info", epilog=EXAMPLES)
def info_command(directory: SavedMap, as_json: AsJson = False) -> None:
    """Show what is in a saved map: size, extent, cameras, objects, the parameters that are not the defaults."""
    from ig_ros.evaluation.outputs import object_entry

    home = map_home(directory)
    contents = open_map(home)
    objects = contents.mapper.latest.instances.objects if contents.mapper.latest else ()
    figures = describe(home, contents)
    if as_json:
        print_json(figures | {"objects": [object_entry(o, o.confidence) for o in objects]})
        return
    print_figures(str(home), figures)
    print_objects(f"{len(objects)} objects", [(o, None) for o in objects])


def describe(home: Path, contents: OpenMap) -> dict[str, Any]:
    """JSON-ready facts about an open map; lengths in metres, sizes in MB."""
    from ig_ros.report.page import changed

    mapper, settings = contents
    latest = mapper.latest
    things = latest.instances.objects if latest else ()
    means = mapper.freeze().gaussians.means.detach().cpu().numpy()
    cameras = sorted({(k.camera.width, k.camera.height) for k in mapper.keyframes.items})
    return {
        "size_mb": round(sum(p.stat().st_size for p in home.iterdir()) / 1e6, 2),
        "steps": mapper.trainer.step,
        "keyframes": len(mapper.keyframes),
        "images": ", ".join(f"{w}x{h}" for w, h in cameras),
        "with_masks": sum(k.masks is not None for k in mapper.keyframes.items),
        "anchors": len(mapper.scaffold.anchors),
        "gaussians": len(means),
        "extent_m": [round(float(v), 2) for v in np.ptp(means, axis=0)] if len(means) else [],
        "instances": len(things),
        "named": sum(bool(thing.label) for thing in things),
        "encoder": latest.instances.encoder if latest else "",
        "objects_of_step": latest.step if latest else None,
        "parameters": changed(settings),
    }
