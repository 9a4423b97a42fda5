"""Images wait here, in order, until everything that belongs to them has come. Pure logic: no ROS, no threads, no clock.

An image leaves in one of two ways: as a Bundle, or dropped with a cause. It needs a calibration and a pose; it takes
along the depth and masks within `tolerance` of its stamp, and waits for each only while that stream is alive. Masks
that come when their image has left without them leave on their own, for the keyframe that it became.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from ig_ros.nodes.pose_sources import PoseSource
from ig_ros.types import FloatArray

ALIVE = 5.0  # s: depth or masks silent for longer are no longer waited for
LEFT = 600  # stamps of images that have left are remembered for masks to come: twenty seconds at 30 Hz
EXACT = 10  # images in a row with companions of their very stamp: from then on others are not theirs; and back again
RESTART = 5  # images in order but older than the newest: the clock (a looping bag) has started again


@dataclass(frozen=True, slots=True)
class Waits:
    """How long images wait, seconds, and how many may wait."""

    tolerance: float
    pose: float
    depth: float
    masks: float
    capacity: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """An image with all that belongs to it; messages as they were received."""

    stamp: int  # ns
    image: Any
    T_world_camera: FloatArray
    depth: Any | None
    masks: Any | None


@dataclass(frozen=True, slots=True)
class Late:
    """Masks, as they were received, of an image that left without them."""

    stamp: int  # ns, of the image
    masks: Any


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

    def add(self, stamp: int, message: Any, now: float) -> bool:
        """Whether the oldest one has made room without having found its image."""
        lost = len(self._items) == self._items.maxlen and self._items[0][0] not in self._used
        if len(self._items) == self._items.maxlen:
            self._used.discard(self._items[0][0])
        self._items.append((stamp, message))
        self._last_arrival = now
        return lost

    def clear(self) -> None:
        self._items.clear()
        self._used.clear()
        self._apart.clear()

    @property
    def _strict(self) -> bool:
        return len(self._equal) == EXACT

    def find(self, stamp: int) -> Any | None:
        nearest = min(self._items, key=lambda item: abs(item[0] - stamp), default=None)
        if nearest is None or abs(nearest[0] - stamp) > self._tolerance:
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
        return nearest[1]

    def use(self, stamp: int) -> None:
        """A message of this stamp has found its image in another way."""
        self._used.add(stamp)

    def expected(self, waiting: _Waiting, now: float) -> bool:
        """Whether a companion of this image may still come: the stream lives and has not passed the image yet."""
        if self._last_arrival is None or now - self._last_arrival > ALIVE:
            return False
        tolerance = 0 if self._strict else self._tolerance
        passed = any(stamp > waiting.stamp + tolerance for stamp, _ in self._items)
        return not passed and now - waiting.arrived < self._timeout

    def overdue(self, waiting: _Waiting, now: float) -> bool:
        return self._last_arrival is not None and now - waiting.arrived >= self._timeout


class Synchronizer:
    """The waiting line. `now` is any clock in seconds; all methods must be called from one thread at a time."""

    def __init__(self, waits: Waits, poses: PoseSource) -> None:
        self._waits = waits
        self._poses = poses
        self._depth = _Companions(waits.tolerance, waits.depth, waits.capacity)
        self._masks = _Companions(waits.tolerance, waits.masks, waits.capacity)
        self._line: deque[_Waiting] = deque()
        self._left: OrderedDict[int, bool] = OrderedDict()  # stamps of images that left, and whether with masks
        self._late: list[Late] = []
        self._newest: int | None = None
        self._older: list[int] = []  # stamps of refused images in a row, in order
        self.alone: Counter[str] = Counter(depth=0, masks=0)  # dropped, because no image of their stamp came
        self.calibrated = False  # set once a usable camera_info has come

    def __len__(self) -> int:
        return len(self._line)

    def add_depth(self, stamp: int, message: Any, now: float) -> None:
        """Offer a depth image."""
        self.alone["depth"] += self._depth.add(stamp, message, now)

    def add_masks(self, stamp: int, message: Any, now: float) -> Problem | None:
        """Offer a label image. It waits for its image, or is late for it, see `take_late`, or is too late: then why."""
        self.alone["masks"] += self._masks.add(stamp, message, now)
        if self._newest is None or stamp > self._newest:
            return None
        near = [waiting.stamp for waiting in self._line] + list(self._left)
        image = min(near, key=lambda known: abs(known - stamp), default=None)
        if image is None or abs(image - stamp) > self._waits.tolerance * 1e9:
            return Problem("masks_too_late", "masks came for an image that is not known, or not any more: dropped")
        if not self._left.get(image, True):
            self._left[image] = True
            self._masks.use(stamp)
            self._late.append(Late(image, message))
        return None

    def take_late(self) -> list[Late]:
        """The masks that have come for images which `advance` has given out without any."""
        late, self._late = self._late, []
        return late

    def add_image(self, stamp: int, image: Any, now: float) -> Problem | None:
        """Put an image into the line, or say why not: stamps must grow, unless the whole stream has started again."""
        if self._newest is not None and stamp <= self._newest and not self._restarted(stamp):
            behind = (self._newest - stamp) / 1e9
            return Problem(
                "image_out_of_order", f"image is {behind:.3f} s older than the one before: publish images in order"
            )
        self._older.clear()
        self._newest = stamp
        self._line.append(_Waiting(stamp, image, now))
        return None

    def _restarted(self, stamp: int) -> bool:
        if self._older and stamp <= self._older[-1]:
            self._older.clear()
        self._older.append(stamp)
        if len(self._older) < RESTART:
            return False
        assert self._newest is not None
        self._poses.restart((self._newest + stamp) // 2)
        self.clear()
        return True

    def clear(self) -> None:
        """Forget everything that waits and every stamp."""
        self._line.clear()
        self._left.clear()
        self._late.clear()
        self._older.clear()
        self._depth.clear()
        self._masks.clear()
        self._newest = None

    def advance(self, now: float) -> tuple[list[Bundle], list[Problem]]:
        """Everything that is complete, or has waited long enough, from the front of the line."""
        bundles: list[Bundle] = []
        problems: list[Problem] = []
        while self._line:
            full = len(self._line) > self._waits.capacity
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
        self._left[bundle.stamp] = bundle.masks is not None
        if len(self._left) > LEFT:
            self._left.popitem(last=False)

    def _settle(self, waiting: _Waiting, now: float, full: bool) -> tuple[Bundle | Problem | None, list[Problem]]:
        """What becomes of the first image now (None: it waits on), and remarks about what it goes without."""
        impatient = full or now - waiting.arrived >= self._waits.pose
        if not self.calibrated:
            return self._refusal("no_camera_info", _NO_CAMERA_INFO, full) if impatient else None, []
        answer = self._poses.at(waiting.stamp)
        if answer.T_world_camera is None:
            wait_on = answer.may_come and not impatient
            return None if wait_on else self._refusal(answer.cause, answer.message, full and answer.may_come), []
        depth, masks = self._depth.find(waiting.stamp), self._masks.find(waiting.stamp)
        missing = [
            (name, stream)
            for name, item, stream in (("depth", depth, self._depth), ("masks", masks, self._masks))
            if item is None
        ]
        if not full and any(stream.expected(waiting, now) for _, stream in missing):
            return None, []
        notes = [
            Problem(
                f"{name}_late",
                f"{name} of an image did not come within {name.rstrip('s')}_timeout: the image is used without",
            )
            for name, stream in missing
            if stream.overdue(waiting, now)
        ]
        return Bundle(waiting.stamp, waiting.image, answer.T_world_camera, depth, masks), notes

    def _refusal(self, cause: str, message: str, full: bool) -> Problem:
        if not full:
            return Problem(cause, f"image dropped: {message}")
        return Problem("queue_full", f"image dropped, more than queue_size = {self._waits.capacity} wait: {message}")


_NO_CAMERA_INFO = "no usable camera_info has been received: publish it beside the image, or remap camera_info"
