"""The 3D part of the page: Gaussians, boxes, names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import viser

from ig_ros.colors import id_colors
from ig_ros.geometry import box_edges, transform
from ig_ros.types import FloatArray, MapSnapshot, ObjectInstance
from ig_ros.viewer.splats import Splats, SplatStyle, is_thing, make_splats, paint

CONE = 0.012  # rad, half: surface points this close to the ray are under the click
SOLID = 0.3  # opacity: what is fainter does not stop the ray
FRONT = 0.05  # m: of the points under the click, the ones within this depth of the foremost decide


def pick(snapshot: MapSnapshot, origin: FloatArray, direction: FloatArray) -> int:
    """Id of the object that a ray from `origin` (3,) m, world, along `direction` (3,) meets first; 0 = none.

    Points in a cone about the ray count as met, so the reach grows with the distance as a pixel's does. Of those near
    the foremost, the id with most opacity wins.
    """
    ray = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    offset = snapshot.xyz.astype(np.float64) - np.asarray(origin, np.float64)
    depth = offset @ ray
    aside = np.linalg.norm(offset - depth[:, None] * ray, axis=1)
    met = np.flatnonzero((depth > 0) & (aside < CONE * depth) & (snapshot.opacity > SOLID))
    if not len(met):
        return 0
    front = met[depth[met] < depth[met].min() + FRONT]
    ids = snapshot.instances.point_ids[front]
    weight = np.bincount(np.maximum(ids, 0), snapshot.opacity[front])
    return int(weight.argmax())


LINE, BOLD = 1.5, 4.0  # px
SELECTED = (255, 140, 0)
ASIDE = np.array([0.55, -1.0, 0.75])  # from where a map is first seen when nobody knows where its camera stood
LEAST_RISE = 0.45  # of the first view over the things, per metre of distance
NAME_GAP = 0.12  # between two names, in reaches of the things
FRAMING = 1.9  # distance of the first view, in reaches of the things
MOST = 75  # per cent of the things fit the first view


class MapScene:
    """What stands in the browser's scene; one thread at a time may call it."""

    def __init__(self, server: viser.ViserServer, most: int) -> None:
        """At most `most` Gaussians are sent."""
        self._server, self._most = server, most
        self._splats: Splats | None = None
        self._handle: viser.GaussianSplatHandle | None = None
        self._lines: dict[str, viser.LineSegmentsHandle] = {}
        self._names: dict[tuple[int, str, tuple[float, ...], bool], viser.LabelHandle] = {}
        self._placed = False
        server.scene.set_up_direction("+z")

    def show(self, snapshot: MapSnapshot, style: SplatStyle) -> None:
        """Draw another snapshot."""
        self._splats = make_splats(snapshot, self._most)
        if not len(self._splats.rows):
            self._remove_splats()
        self.repaint(snapshot, style)
        if not self._placed and snapshot.instances.objects:
            self._placed = True
            self._place_camera(snapshot)

    def clear(self) -> None:
        """Draw nothing, and place the camera anew when there is something."""
        self._remove_splats()
        self.show_boxes((), False, False, frozenset())
        self._placed = False

    def _remove_splats(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def repaint(self, snapshot: MapSnapshot, style: SplatStyle) -> None:
        """The same Gaussians in other colours."""
        splats = self._splats
        if splats is None or not len(splats.rows):
            return
        rgb, opacity = paint(snapshot, splats.rows, style)
        if self._handle is None:
            self._handle = self._server.scene.add_gaussian_splats(
                "/gaussians", splats.centers, splats.covariances, rgb, opacity
            )
        else:
            self._handle.set_gaussians(splats.centers, splats.covariances, rgb, opacity)

    def show_boxes(self, objects: Sequence[ObjectInstance], boxes: bool, labels: bool, lit: frozenset[int]) -> None:
        """Boxes and names; those of lit objects are shown whatever the switches say, and drawn bold."""
        with self._server.atomic():
            self._draw_lines("/boxes", [o for o in objects if boxes and o.id not in lit and is_thing(o)], LINE)
            self._draw_lines("/lit", [o for o in objects if o.id in lit], BOLD, SELECTED)
            self._draw_names([o for o in objects if o.id in lit or (labels and is_thing(o))], lit)

    def _draw_names(self, objects: Sequence[ObjectInstance], lit: frozenset[int]) -> None:
        """Only what has changed: a label that is made anew blinks."""
        tops = [transform(o.T_world_box, np.array([[0, 0, o.size[2] / 2]]))[0] for o in objects]
        places = apart(tops, NAME_GAP * middle(objects)[1]) if objects else []
        wanted = {
            (o.id, name_of(o), tuple(place.round(3)), o.id in lit): place
            for o, place in zip(objects, places, strict=True)
        }
        for old in self._names.keys() - wanted.keys():
            self._names.pop(old).remove()
        for new in wanted.keys() - self._names.keys():
            number, text, _, bold = new
            self._names[new] = self._server.scene.add_label(
                f"/names/{number}",
                text,
                position=wanted[new],
                anchor="bottom-center",
                font_screen_scale=1.25 if bold else 0.8,
            )

    def _draw_lines(
        self, name: str, objects: Sequence[ObjectInstance], thickness: float, color: tuple[int, int, int] | None = None
    ) -> None:
        old = self._lines.pop(name, None)
        if not objects:
            if old is not None:
                old.remove()
            return
        boxes = np.stack([box_edges(o.T_world_box, o.size) for o in objects])
        ids = np.repeat([o.id for o in objects], boxes.shape[1]).astype(np.int64)
        colors = id_colors(ids) if color is None else np.broadcast_to(np.array(color, np.uint8), (len(ids), 3))
        self._lines[name] = self._server.scene.add_line_segments(
            name,
            boxes.reshape(-1, 2, 3).astype(np.float32),
            np.repeat(linear(colors)[:, None], 2, axis=1),
            thickness=thickness,
            thickness_units="screen",
        )

    def _place_camera(self, snapshot: MapSnapshot) -> None:
        """SplatStyle at the things from the side of the newest camera, which has no wall in between."""
        centre, reach = middle(snapshot.instances.objects)
        away = ASIDE if snapshot.T_world_view is None else snapshot.T_world_view[:3, 3] - centre
        free = float(np.linalg.norm(away))
        away = away / max(free, 1e-6)
        away[2] = max(float(away[2]), LEAST_RISE)
        distance = FRAMING * reach if snapshot.T_world_view is None else min(FRAMING * reach, free)
        eye = centre + distance * away / np.linalg.norm(away)
        camera = self._server.initial_camera
        camera.position, camera.look_at, camera.near = tuple(eye), tuple(centre), 0.01
        for client in self._server.get_clients().values():
            client.camera.position, client.camera.look_at = eye, centre


def linear(colors: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """sRGB colours (N, 3) as linear light, which is what viser takes the colours of lines for."""
    share = colors / 255.0
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return (255 * light).round().astype(np.uint8)


def name_of(thing: ObjectInstance) -> str:
    """`mug #3`, or `#3` when nobody named it."""
    return f"{thing.label} #{thing.id}".strip()


def apart(places: Sequence[FloatArray], gap: float) -> list[FloatArray]:
    """Places (3,) m of names: one nearer than `gap` (m) to a lower one is lifted, so that both stay legible."""
    taken: list[FloatArray] = []
    moved: dict[int, FloatArray] = {}
    for i in sorted(range(len(places)), key=lambda i: float(places[i][2])):
        place = places[i].copy()
        while any(np.linalg.norm(place - other) < gap for other in taken):
            place[2] += gap / 2
        taken.append(place)
        moved[i] = place
    return [moved[i] for i in range(len(places))]


def middle(objects: Sequence[ObjectInstance]) -> tuple[FloatArray, float]:
    """Centre (3,) m of the things, and how far most reach from it (m): a picture on a far wall does not count."""
    chosen = [o for o in objects if is_thing(o)] or list(objects)
    places = np.stack([o.T_world_box[:3, 3] for o in chosen])
    centre = np.median(places, axis=0)
    ends = np.linalg.norm(places - centre, axis=1) + [float(np.linalg.norm(o.size)) / 2 for o in chosen]
    return centre, max(float(np.percentile(ends, MOST)), 0.1)
