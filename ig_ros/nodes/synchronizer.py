"""Images wait here, in order, until everything that belongs to them has come. Pure logic: no ROS, no threads, no clock.

An image leaves in one of two ways: as a Bundle, or dropped with a cause. It needs a calibration and a pose; it takes
along the depth and masks within `tolerance` of its stamp, and waits for each only while that stream is alive. Masks
that come when their image has left without them leave on their own, for the keyframe that it became. Depth whose stamps
lie beside those of the images by a steady offset is found by that offset, and has the pose of its own stamp.
"""

from __future__ import annotations

import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ig_ros.config import NodeConfig
from ig_ros.depth_images import steady_offset
from ig_ros.nodes.pose_sources import RESTART, PoseSource
from ig_ros.nodes.topics import SILENT
from ig_ros.pose_buffer import PoseAnswer
from ig_ros.types import FloatArray

LEFT = 600  # stamps of images that have left are remembered for masks to come: twenty seconds at 30 Hz
# Images in a row with companions of their very stamp: from then on others are not theirs; and back again. Or depth
# images in a row that belong to no image: then it is judged how far beside them they are stamped.
EXACT = 10
HEAVY = 250_000_000  # bytes of images, depth or masks that wait at most: ten raw images of 4K, 40 of 1080p


@dataclass(frozen=True, slots=True)
class Bundle:
    """An image with all that belongs to it; messages as they were received."""

    stamp: int  # ns
    image: Any
    T_world_camera: FloatArray
    depth: Any | None
    masks: Any | None
    T_world_depth: FloatArray | None = None  # where the camera was when depth was taken, None = as for the image
    ignore: Any | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """Masks or ignored pixels, as they were received, of an image that left without them."""

    stamp: int  # ns, of the image
    masks: Any | None
    ignore: Any | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must be counted and reported: `cause` is the diagnostics counter."""

    cause: str
    message: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    stamp: int
    image: Any
    arrived: float


class _Companions:
    """Bounded recent messages of a stream (depth or masks) that images may belong to.

    A sender that stamps its messages as the images are stamped is taken at its word: where one is lost, the one of the
    next image, a few milliseconds later in a burst, is not taken for it.
    """

    def __init__(self, tolerance: float, timeout: float, capacity: int) -> None:
        self._tolerance = round(tolerance * 1e9)
        self._timeout = timeout
        self._items: deque[tuple[int, Any]] = deque(maxlen=capacity)
        self._used: set[int] = set()  # stamps of those that have found an image
        self._last_arrival: float | None = None
        self._equal: set[int] = set()  # stamps of images in a row that found a companion of that stamp, up to EXACT
        self._apart: set[int] = set()  # stamps of images that were refused a near one since
        self._offset = 0  # ns by which they are stamped after their images
        self._missed: dict[int, int] = {}  # stamps of those in a row that found none -> ns after the nearest image

    def add(self, stamp: int, message: Any, now: float) -> bool:
        """Whether the oldest one has made room without having found its image."""
        full = len(self._items) == self._items.maxlen or heavy([item for _, item in self._items])
        lost = full and self._items[0][0] not in self._used
        if full:
            self._used.discard(self._items.popleft()[0])
        self._items.append((stamp, message))
        self._last_arrival = now
        return lost

    def restart(self, boundary: int, now: float | None = None) -> None:
        """Drops those received up to the last one later than `boundary` (ns); `now` where the clock was set."""
        if now is not None and self._last_arrival is not None:
            self._last_arrival = now
        stay = list(itertools.takewhile(lambda item: item[0] <= boundary, reversed(self._items)))
        self._items = deque(reversed(stay), self._items.maxlen)
        self._used.clear()
        self._apart.clear()
        self._missed.clear()

    @property
    def _strict(self) -> bool:
        return len(self._equal) == EXACT

    def _nearest(self, stamp: int) -> tuple[int, Any] | None:
        return min(self._items, key=lambda item: abs(item[0] - stamp - self._offset), default=None)

    def find(self, stamp: int) -> tuple[int, Any] | None:
        """Returns stamp and message of what belongs to an image of this stamp."""
        nearest = self._nearest(stamp)
        if nearest is None or abs(nearest[0] - stamp - self._offset) > self._tolerance:
            return None
        if nearest[0] == stamp:
            self._apart.clear()
            if not self._strict:
                self._equal.add(stamp)
        else:
            if self._strict:
                self._apart.add(stamp)
                if len(self._apart) <= EXACT:
                    return None
            self._equal.clear()  # never equal all the time, or no more
            self._apart.clear()
        self._used.add(nearest[0])
        self._missed.clear()
        return nearest

    def use(self, stamp: int) -> None:
        """A message of this stamp has found its image in another way."""
        self._used.add(stamp)

    def judge(self, stamp: int) -> Problem | None:
        """An image leaves without depth: returns what is wrong once the stamps of some in a row have been beside it."""
        nearest = self._nearest(stamp)
        if nearest is None or nearest[0] in self._used or abs(nearest[0] - stamp - self._offset) <= self._tolerance:
            return None
        beside = nearest[0] - stamp
        self._missed[nearest[0]] = min(beside, self._missed.get(nearest[0], beside), key=abs)
        if len(self._missed) < EXACT:
            return None
        offsets = np.array(list(self._missed.values())) / 1e9
        del self._missed[next(iter(self._missed))]
        offset, middle = steady_offset(offsets), 1000 * float(np.median(offsets))
        if offset is not None:
            self._offset = round(offset * 1e9)
            text = f"depth is stamped {middle:.0f} ms after its image throughout: used with the pose of its own stamp"
            return Problem("depth_offset", text)
        return Problem(
            "depth_apart",
            f"image used without depth: the nearest is stamped {middle:.0f} ms after it, and not steadily so; let the "
            f"driver stamp both alike, or raise sync_tolerance = {self._tolerance / 1e9:g} s",
        )

    def expected(self, waiting: _Waiting, now: float) -> bool:
        """Whether a companion of this image may still come: the stream lives and has not passed the image yet."""
        if self._last_arrival is None or now - self._last_arrival > SILENT:
            return False
        tolerance = 0 if self._strict else self._tolerance
        passed = any(stamp > waiting.stamp + self._offset + tolerance for stamp, _ in self._items)
        return not passed and now - waiting.arrived < self._timeout

    def overdue(self, waiting: _Waiting, now: float) -> bool:
        return self._last_arrival is not None and now - waiting.arrived >= self._timeout


class Synchronizer:
    """The waiting line. `now` is any clock in seconds; all methods must be called from one thread at a time."""

    def __init__(self, config: NodeConfig, poses: PoseSource) -> None:
        self._config = config
        self._poses = poses
        self._depth = _Companions(config.sync_tolerance, config.depth_timeout, config.queue_size)
        self._masks = _Companions(config.sync_tolerance, config.mask_timeout, config.queue_size)
        self._ignore = _Companions(config.sync_tolerance, config.mask_timeout, config.queue_size)
        self._line: deque[_Waiting] = deque()
        self._left: OrderedDict[int, set[str]] = OrderedDict()  # stamps of images that left, and what they lacked
        self._late: list[Late] = []
        self._newest: int | None = None
        self._held: list[_Waiting] = []  # images in order, but older than the newest
        self._problems: list[Problem] = []  # to be told
        self.alone: Counter[str] = Counter(depth=0, masks=0)  # dropped, because no image of their stamp came
        self.calibrated = False  # set once a usable camera_info has come

    def __len__(self) -> int:
        return len(self._line)

    def add_depth(self, stamp: int, message: Any, now: float) -> None:
        """Offer a depth image."""
        self.alone["depth"] += self._depth.add(stamp, message, now)

    def add_masks(self, stamp: int, message: Any, now: float) -> None:
        """Offer a label image. It waits for its image, or is late for it, see `take_late`, or is too late."""
        self._add_late("masks", self._masks, stamp, message, now)

    def add_ignore(self, stamp: int, message: Any, now: float) -> None:
        """Offer an image of the pixels to be ignored, which fares as a label image."""
        self._add_late("ignore", self._ignore, stamp, message, now)

    def _add_late(self, name: str, stream: _Companions, stamp: int, message: Any, now: float) -> None:
        self.alone[name] += stream.add(stamp, message, now)
        tolerance = self._config.sync_tolerance * 1e9
        if self._newest is None or stamp > self._newest or any(abs(w.stamp - stamp) <= tolerance for w in self._held):
            return
        near = [waiting.stamp for waiting in self._line] + list(self._left)
        image = min(near, key=lambda known: abs(known - stamp), default=None)
        if image is None or abs(image - stamp) > tolerance:
            what = "masks" if name == "masks" else "what to ignore"
            text = f"{what} came for an image that is not known, or not any more: dropped"
            self._problems.append(Problem(f"{name}_too_late", text))
        elif name in self._left.get(image, ()):
            self._left[image].remove(name)
            stream.use(stamp)
            self._late.append(Late(image, **{"masks": None, name: message}))

    def take_late(self) -> list[Late]:
        """The masks, and what to ignore, that have come for images which `advance` has given out without any."""
        late, self._late = self._late, []
        return late

    def add_image(self, stamp: int, image: Any, now: float) -> None:
        """Put an image into the line. Stamps must grow, unless the whole stream has started again.

        An image older than the newest is held until that is clear: so that no image of a new beginning is lost.
        """
        waiting = _Waiting(stamp, image, now)
        if self._newest is None or stamp > self._newest:
            self._refuse_held()
            self._newest = stamp
            self._line.append(waiting)
            return
        if self._held and stamp <= self._held[-1].stamp:
            self._refuse_held()
        self._held.append(waiting)
        if len(self._held) == RESTART:
            self.restart((self._newest + stamp) // 2, now)

    def _refuse_held(self) -> None:
        for waiting in self._held:
            assert self._newest is not None
            behind = (self._newest - waiting.stamp) / 1e9
            text = f"image is {behind:.3f} s older than the one before: publish images in order"
            self._problems.append(Problem("image_out_of_order", text))
        self._held.clear()

    def restart(self, boundary: int, now: float) -> None:
        """The clock had passed `boundary` (ns) and has started again before it: keep what has come since."""
        if self._newest is not None and self._newest > boundary:
            self._problems.append(Problem("clock_back", "the clock was set back: images of before it are dropped"))
        stay = [waiting for waiting in (*self._line, *self._held) if waiting.stamp <= boundary]
        self.clear(boundary, now)
        self._poses.restart(boundary)
        self._line.extend(_Waiting(waiting.stamp, waiting.image, now) for waiting in stay)
        self._newest = stay[-1].stamp if stay else None

    def clear(self, boundary: int = -1, now: float | None = None) -> None:
        """Forget everything that waits and every stamp; keep depth and masks since the last one after `boundary`."""
        self._line.clear()
        self._left.clear()
        self._late.clear()
        self._held = []
        self._depth.restart(boundary, now)
        self._masks.restart(boundary, now)
        self._ignore.restart(boundary, now)
        self._newest = None

    def advance(self, now: float) -> tuple[list[Bundle], list[Problem]]:
        """Everything that is complete, or has waited long enough, from the front of the line."""
        if self._held and now - self._held[-1].arrived > SILENT:
            self._refuse_held()
        bundles: list[Bundle] = []
        problems, self._problems = self._problems, []
        while self._line:
            full = len(self._line) > self._config.queue_size or heavy([waiting.image for waiting in self._line])
            outcome, notes = self._settle(self._line[0], now, full)
            if outcome is None:
                break
            self._line.popleft()
            problems += notes
            if isinstance(outcome, Bundle):
                bundles.append(outcome)
                self._remember(outcome)
            else:
                problems.append(outcome)
        return bundles, problems

    def _remember(self, bundle: Bundle) -> None:
        self._left[bundle.stamp] = {name for name in ("masks", "ignore") if getattr(bundle, name) is None}
        if len(self._left) > LEFT:
            self._left.popitem(last=False)

    def _settle(self, waiting: _Waiting, now: float, full: bool) -> tuple[Bundle | Problem | None, list[Problem]]:
        """What becomes of the first image now (None: it waits on), and remarks about what it goes without."""
        impatient = full or now - waiting.arrived >= self._config.pose_timeout
        if not self.calibrated:
            return self._refusal("no_camera_info", _NO_CAMERA_INFO, full) if impatient else None, []
        answer = self._poses.at(waiting.stamp)
        if answer.T_world_camera is None:
            wait_on = answer.may_come and not impatient
            return None if wait_on else self._refusal(answer.cause, answer.message, full and answer.may_come), []
        named = (("depth", self._depth), ("masks", self._masks), ("ignore", self._ignore))
        streams = [(name, stream.find(waiting.stamp), stream) for name, stream in named]
        depth, masks, ignore = (item for _, item, _ in streams)
        missing = [(name, stream) for name, item, stream in streams if item is None]
        if not full and any(stream.expected(waiting, now) for _, stream in missing):
            return None, []
        then = None if depth is None else self._pose_of_depth(depth[0], waiting.stamp)
        if then and then.may_come and not impatient:
            return None, []
        notes = [
            Problem(f"{name}_late", f"{name} of an image did not come within {_TIMEOUTS[name]}: {_WITHOUT}")
            for name, stream in missing
            if stream.overdue(waiting, now)
        ]
        if depth is None and (problem := self._depth.judge(waiting.stamp)):
            notes.append(problem)
        if then and then.T_world_camera is None:
            notes.append(Problem("depth_pose", f"depth has no pose at its own stamp, {then.message}: {_WITHOUT}"))
            depth = None
        T_world_depth = then.T_world_camera if then else None
        of_depth, of_masks, ignored = (item[1] if item else None for item in (depth, masks, ignore))
        pose = answer.T_world_camera
        return Bundle(waiting.stamp, waiting.image, pose, of_depth, of_masks, T_world_depth, ignored), notes

    def _pose_of_depth(self, stamp: int, image: int) -> PoseAnswer | None:
        """Where the camera was when depth was taken; None = taken as of the moment of its image."""
        return self._poses.at(stamp) if abs(stamp - image) > self._config.sync_tolerance * 1e9 else None

    def _refusal(self, cause: str, message: str, full: bool) -> Problem:
        if not full:
            return Problem(cause, f"image dropped: {message}")
        limits = f"queue_size = {self._config.queue_size} or {HEAVY // 10**6} MB"
        return Problem("queue_full", f"image dropped, more than {limits} wait: {message}")


def heavy(messages: Sequence[Any]) -> bool:
    """Whether messages, more than one, hold more than HEAVY bytes of pixels."""
    return len(messages) > 1 and sum(len(getattr(getattr(m, "labels", m), "data", b"")) for m in messages) > HEAVY


_TIMEOUTS = {"depth": "depth_timeout", "masks": "mask_timeout", "ignore": "mask_timeout"}
_WITHOUT = "the image is used without"
_NO_CAMERA_INFO = "no usable camera_info has been received: publish it beside the image, or remap camera_info"
