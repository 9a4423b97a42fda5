"""Simulated scenes: deterministic, exactly annotated, with masks that fail as often as they claim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scannet_writer import write_scannet_layout
from scipy.spatial import cKDTree

from ig_ros.datasets import open_dataset
from ig_ros.errors import DatasetError
from ig_ros.geometry import back_project, transform
from ig_ros.simulation import SimulatedDataset, open_simulated
from ig_ros.simulation.mask_noise import EXACT, NOISY, REPEATING, ErrorRates, MaskNoise, View
from ig_ros.simulation.mesh import box
from ig_ros.simulation.scene import Part, Thing

YCB = Path(__file__).resolve().parents[3] / "shared" / "data" / "ycb"


@pytest.fixture(scope="module")
def tabletop() -> SimulatedDataset:
    return open_simulated("tabletop?width=160&frames=24&seed=3&depth=exact")


def test_the_same_options_give_the_same_frames(tabletop: SimulatedDataset) -> None:
    again = open_simulated("tabletop?width=160&frames=24&seed=3&depth=exact")
    one, two = tabletop[5], again[5]
    assert (one.rgb == two.rgb).all()
    assert one.depth is not None
    assert two.depth is not None
    assert (one.depth == two.depth).all()
    assert one.masks is not None
    assert two.masks is not None
    assert (one.masks.labels == two.masks.labels).all()
    assert one.masks.names == two.masks.names
    assert one.masks.scores == two.masks.scores


def test_another_seed_is_another_scene(tabletop: SimulatedDataset) -> None:
    other = open_simulated("tabletop?width=160&frames=24&seed=4&depth=exact")
    assert np.abs(tabletop[5].rgb.astype(int) - other[5].rgb).mean() > 5


def test_depth_and_ids_lie_on_the_truth(tabletop: SimulatedDataset) -> None:
    """Each back-projected pixel must have a truth point of its own instance within a few spacings."""
    truth = tabletop.truth
    for i in (0, 11, 23):
        frame, ids = tabletop[i], truth.instance_image(i)
        assert frame.depth is not None
        rows, cols = np.nonzero(ids)
        assert len(rows) == ids.size, "the room is closed: every ray ends somewhere"
        points = transform(frame.T_world_camera, back_project(frame.depth, frame.camera, rows, cols))
        for instance in np.unique(ids):
            tree = cKDTree(truth.points[truth.ids == instance])
            distance, _ = tree.query(points[ids[rows, cols] == instance])
            assert np.quantile(distance, 0.9) < 3 * tabletop.scene.spacing, tabletop.truth.names[int(instance)]


def test_truth_points_are_dense_and_only_what_a_camera_sees(tabletop: SimulatedDataset) -> None:
    points, ids = tabletop.truth.points, tabletop.truth.ids
    assert points.dtype == np.float32
    assert ids.dtype == np.int32
    nearest, _ = cKDTree(points).query(points[::97], k=2)
    assert np.median(nearest[:, 1]) < 0.01
    table = points[ids == 1]
    under_the_top = (np.abs(table[:, 2] - 0.71) < 1e-3) & (np.abs(table[:, :2]) < 0.3).all(axis=1)
    assert not under_the_top.any(), "no camera looks at the table from below"


def test_truth_points_have_the_colour_that_the_pictures_show(tabletop: SimulatedDataset) -> None:
    """At the pixels of a view: within a few grey levels of the ideal image, and far closer than their object's mean."""
    truth = tabletop.truth
    assert truth.colors is not None
    assert truth.colors.dtype == np.uint8
    frame, ids, ideal = (
        tabletop[11],
        truth.instance_image(11),
        tabletop.renderer.render(tabletop.camera, tabletop.scene.path[11]),
    )
    rows, cols = np.nonzero(ids)
    points = transform(frame.T_world_camera, back_project(ideal.depth, frame.camera, rows, cols))
    distance, nearest = cKDTree(truth.points).query(points)
    near = (distance < 0.5 * tabletop.scene.spacing) & (truth.ids[nearest] == ids[rows, cols])
    assert near.sum() > 200
    shown, told = 255 * ideal.rgb[rows, cols][near], truth.colors[nearest][near].astype(float)
    assert np.median(np.abs(shown - told).max(axis=1)) < 12
    whole = np.array([truth.colors[truth.ids == i].mean(axis=0) for i in ids[rows, cols][near]])
    assert np.abs(shown - told).mean() < 0.6 * np.abs(shown - whole).mean()


def test_queries_name_visible_things_and_absent_ones_do_not(tabletop: SimulatedDataset) -> None:
    truth = tabletop.truth
    texts = dict(truth.queries)
    assert truth.names[texts["mug"]] == truth.names[texts["something to drink from"]] == "mug"
    assert set(texts.values()) <= set(np.unique(truth.ids).tolist())
    assert not set(truth.absent) & set(truth.names.values())
    assert "wall" not in texts


def test_objects_stand_on_the_table_apart_from_each_other(tabletop: SimulatedDataset) -> None:
    standing = [thing for thing in tabletop.scene.things if thing.support == 1]
    assert 8 <= len(standing) <= 14
    for thing in standing:
        low, high = thing.bounds()
        assert 0.74 <= low[2] < 0.745
        assert (high - low).max() < 0.6
        assert (np.abs([low[:2], high[:2]]) < [0.6, 0.4]).all()
    vertices = [np.concatenate([part.mesh.vertices for part in thing.parts]) for thing in standing]
    for i, first in enumerate(vertices):
        tree = cKDTree(first)
        for second in vertices[i + 1 :]:
            assert tree.query(second)[0].min() > 0.004


@pytest.mark.parametrize("scene", ["tabletop", "room"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_camera_keeps_clear_of_everything(scene: str, seed: int) -> None:
    dataset = open_simulated(f"{scene}?seed={seed}&width=64&masks=none")
    assert len(dataset) >= 60
    eyes = dataset.scene.path[:, :3, 3]
    assert dataset.renderer.clearance(eyes).min() > 0.2
    assert np.linalg.norm(np.diff(eyes, axis=0), axis=1).max() < 0.2


def test_options_reach_the_frames() -> None:
    dataset = open_simulated("room?width=128&frames=3&masks=none&depth=none")
    frame = dataset[2]
    assert len(dataset) == 3
    assert (frame.camera.width, frame.camera.height) == (128, 96)
    assert frame.depth is None
    assert frame.masks is None


def test_measured_depth_has_holes_and_small_errors() -> None:
    exact = open_simulated("tabletop?width=160&frames=4&depth=exact&masks=none")[1].depth
    noisy = open_simulated("tabletop?width=160&frames=4&depth=noisy&masks=none")[1].depth
    assert exact is not None
    assert noisy is not None
    hole = noisy == 0
    assert 0.001 < hole.mean() < 0.2
    error = np.abs(noisy - exact)[~hole] / exact[~hole]
    assert 1e-4 < np.median(error) < 0.02


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("kitchenette", "sim:tabletop"),
        ("tabletop?sed=3", "sed"),
        ("tabletop?seed=x", "number"),
        ("tabletop?width=2", "between"),
        ("tabletop?masks=good", "repeating"),
        ("scanned", "meshes="),
        ("scanned?meshes=/nowhere", "/nowhere"),
    ],
)
def test_impossible_specs_say_what_is_allowed(spec: str, complaint: str) -> None:
    with pytest.raises(DatasetError, match=complaint):
        open_dataset(f"sim:{spec}")


@pytest.mark.skipif(not YCB.is_dir(), reason=f"scanned objects are not at {YCB}")
def test_scanned_objects_stand_on_the_table() -> None:
    dataset = open_simulated(f"scanned?meshes={YCB}&width=160&frames=4&seed=1")
    assert 8 <= sum(thing.support == 1 for thing in dataset.scene.things) <= 12
    seen = np.unique(dataset.truth.instance_image(1))
    colors = [dataset[1].rgb[dataset.truth.instance_image(1) == i].mean(axis=0) for i in seen]
    assert np.linalg.norm(np.diff(colors, axis=0), axis=1).max() > 30, "the textures give the objects their own colours"


def test_a_broken_scan_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / "textured.obj").write_text("v 0 0 0\nvt 0 0\nf 1/1 2/2 3/3\n")
    with pytest.raises(DatasetError, match=r"textured\.obj"):
        open_dataset(f"sim:scanned?meshes={tmp_path}")


def test_a_simulated_scene_survives_the_scannet_layout(tmp_path: Path) -> None:
    source = open_simulated("tabletop?width=128&frames=3&seed=2")
    write_scannet_layout(source, tmp_path)
    copy = open_dataset(tmp_path)
    assert len(copy) == 3
    for i in range(3):
        before, after = source[i], copy[i]
        assert before.depth is not None
        assert after.depth is not None
        assert before.masks is not None
        assert after.masks is not None
        assert np.abs(before.rgb.astype(int) - after.rgb).mean() < 4
        assert np.abs(before.depth - after.depth).max() < 0.0006
        assert (before.masks.labels == after.masks.labels).all()
        assert before.masks.names == after.masks.names
        assert np.allclose(
            list(before.masks.scores.values()), [after.masks.scores[k] for k in before.masks.scores], atol=1e-3
        )
        assert np.allclose(before.T_world_camera, after.T_world_camera, atol=1e-9)
        assert np.allclose(before.camera.K, after.camera.K)
        assert copy.truth is not None
        assert (copy.truth.instance_image(i) == source.truth.instance_image(i)).all()
    assert copy.truth is not None
    assert (copy.truth.points == source.truth.points).all()
    assert copy.truth.colors is not None
    assert (copy.truth.colors == source.truth.colors).all()
    assert copy.truth.names == source.truth.names


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="file"):
        write_scannet_layout(open_simulated("tabletop?width=64&frames=1&masks=none"), tmp_path / "file")


# Masks: a picture of 12 squares on a ground, each a thing of its own, drawn many times.

SQUARES = 12


def squares() -> tuple[list[Thing], View]:
    picture = np.zeros((2, 2, 3), np.uint8)
    ground = Thing("ground", (Part(box(4, 3, 0.01), picture),))
    things, ids = [ground], np.ones((240, 320), np.int32)
    rows, cols = np.mgrid[0:240, 0:320]
    points = np.stack([cols / 80, rows / 80, np.zeros_like(rows)], axis=-1).astype(np.float32)
    for k in range(SQUARES):
        x, y = 10 + k % 4 * 80, 10 + k // 4 * 80
        ids[y : y + 50, x : x + 60] = k + 2
        mesh = box(60 / 80, 50 / 80, 0.03).moved((x + 30) / 80, (y + 25) / 80)
        things.append(Thing(f"square {k}", (Part(mesh, picture),), support=1))
    return things, View(ids, points)


def outcomes(rates: ErrorRates, frames: int = 100) -> dict[str, float]:
    """Shares of the squares that went missing, fell into two, joined a neighbour, or were misnamed."""
    things, view = squares()
    noise = MaskNoise(things, rates, seed=5)
    counts = dict.fromkeys(("missing", "split", "joined", "misnamed"), 0.0)
    for number in range(frames):
        masks = noise.masks(view, number)
        ground = np.bincount(masks.labels[view.ids == 1], minlength=2)[1:].argmax() + 1
        for k in range(SQUARES):
            inside = masks.labels[view.ids == k + 2]
            sizes = np.bincount(inside, minlength=int(ground) + 1) / len(inside)
            large = list(np.flatnonzero(sizes > 0.2))
            counts["missing"] += 0 in large
            counts["split"] += len([i for i in large if i not in (0, ground)]) == 2
            counts["joined"] += bool((masks.labels[view.ids == 1] == ground).mean() > 0.5 and ground in large)
            named = [i for i in large if i not in (0, ground)]
            counts["misnamed"] += bool(named) and masks.names[int(named[0])] != f"square {k}"
    return {name: count / (frames * SQUARES) for name, count in counts.items()}


def test_exact_masks_are_exact() -> None:
    assert outcomes(EXACT, 5) == {"missing": 0, "split": 0, "joined": 0, "misnamed": 0}


def test_noisy_masks_fail_as_often_as_they_claim() -> None:
    rates = outcomes(NOISY)
    assert rates["missing"] == pytest.approx(0.12, abs=0.04)  # the ground takes merged squares with it
    assert rates["split"] == pytest.approx(0.10 * 0.88, abs=0.025)
    assert rates["joined"] == pytest.approx(0.08, abs=0.05)
    assert rates["misnamed"] == pytest.approx(0.10 * 0.8, abs=0.03)


def test_noise_factor_multiplies_the_rates() -> None:
    once, twice = outcomes(NOISY), outcomes(NOISY.scaled(2.0))
    assert twice["split"] > 1.4 * once["split"]
    assert twice["missing"] > 1.4 * once["missing"]


def test_repeating_masks_always_break_at_the_same_place() -> None:
    things, view = squares()
    tall = [Thing(t.name, (Part(t.parts[0].mesh.scaled(1, 1, 10), t.parts[0].texture),), support=1) for t in things[1:]]
    noise = MaskNoise([things[0], *tall], ErrorRates(0, 0, 0, 0, same_parts=0.4, ragged=0.0), seed=5)
    cuts = []
    for number in range(100):
        labels = noise.masks(view, number).labels
        for k in range(SQUARES):
            inside = labels * (view.ids == k + 2)
            parts = [i for i in np.unique(inside) if i]
            if len(parts) == 2:
                left = min(parts, key=lambda i, image=inside: np.nonzero(image == i)[1].mean())  # type: ignore[misc]
                cuts.append((k, int((inside == left).sum())))
    assert len(cuts) / (100 * SQUARES) == pytest.approx(0.4, abs=0.06)
    assert len(set(cuts)) == SQUARES, "one place per square, whatever the frame"


def test_repeating_masks_swallow_small_things_in_half_of_their_frames() -> None:
    rates = outcomes(REPEATING)
    assert rates["joined"] == pytest.approx(0.5, abs=0.12)
    assert rates["missing"] == 0


def test_mask_ids_of_one_thing_differ_from_frame_to_frame(tabletop: SimulatedDataset) -> None:
    found = set()
    for i in range(8):
        masks = tabletop[i].masks
        assert masks is not None
        inside = masks.labels[tabletop.truth.instance_image(i) == 1]
        found.add(int(np.bincount(inside).argmax()))
        assert masks.labels.max() <= len(tabletop.scene.things) * 2
        assert set(masks.names) == set(masks.scores) == set(np.unique(masks.labels)) - {0}
    assert len(found) > 3
