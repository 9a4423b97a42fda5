"""The mapper from threads: frames come in at any time, training never waits, readers get immutable snapshots.

Three threads. `ingest` decides about keyframes and runs the segmenter; `train` alone touches the model, and between two
steps inserts keyframes, answers commands and freezes copies; `instantiate` turns a frozen copy into objects. They meet
in bounded queues; no lock is held across a training step, a segmentation or an encoder call.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil

from ig_ros.config import Config
from ig_ros.errors import FrameError, IgError, one_line
from ig_ros.frame_queue import OLD_MAP, Inbox, Intake, Item, LateDetections, LateMasks
from ig_ros.language import Scope
from ig_ros.map_io import read_map, save_map
from ig_ros.mapper import Mapper
from ig_ros.memory_relief import is_out_of_memory, relieve
from ig_ros.raster import device_name
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.scaffold.pose_correction import Correction
from ig_ros.scaffold.pose_refinement import MapCorrection
from ig_ros.thread_settings import lean, step_back
from ig_ros.types import BoolArray, Detections, FloatArray, Frame, IntArray, MapSnapshot, Masks, QueryResult


@dataclass(slots=True)
class LiveStats:
    """Counters for diagnostics."""

    frames_in: int = 0
    frames_used: int = 0
    waiting: int = 0  # frames and late masks that have not been judged yet
    keyframes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)  # cause -> frames
    steps: int = 0
    steps_per_second: float = 0.0
    anchors: int = 0  # in memory
    anchors_on_disk: int = 0
    gaussians: int = 0  # drawn in the last step
    loss: float = 0.0  # running colour loss
    instantiation_age: float | None = None  # s since the last one ended
    instantiation_duration: float = 0.0  # s
    objects: int = 0
    poses: dict[str, int] = field(default_factory=dict)  # what became of the keyframes' poses -> keyframes
    correction: MapCorrection = field(default_factory=MapCorrection)  # of the newest keyframes
    memory_bytes: int = 0  # resident set of the process
    restarts: int = 0  # workers that were started again after an error
    silence: float = 0.0  # s since the trainer was last seen between two steps
    depth_warning: str = ""  # depth that lies beside its colour
    device: str = ""  # that trains
    error: str = ""  # why the trainer stopped, empty while it runs


T = TypeVar("T")


class Commands:
    """A queue of functions to be called on one thread, each with the future of its result; for any thread."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()

    def put(self, command: Callable[[], T]) -> Future[T]:
        """Queues a command and returns the future of its result; never blocks."""
        future: Future[T] = Future()
        self._waiting.put((command, future))
        return future

    def run(self) -> None:
        """Calls all commands that wait; what one raises goes to its future."""
        for command, future in self._take():
            try:
                future.set_result(command())
            except Exception as error:
                future.set_exception(error)

    def refuse(self, error: Exception) -> None:
        """Lets all commands that wait fail; may be called on several threads at once."""
        for _, future in self._take():
            future.set_exception(error)

    def _take(self) -> Iterator[tuple[Callable[[], Any], Future[Any]]]:
        """Yields the commands that wait, without the cancelled ones, until none is left."""
        while True:
            try:
                command, future = self._waiting.get_nowait()  # between a look and a get another thread may take it
            except queue.Empty:
                return
            if future.set_running_or_notify_cancel():
                yield command, future


log = logging.getLogger(__name__)

HEALTHY = (
    600.0  # s: a worker that failed before so long ago is started again; one that fails sooner has a lasting fault
)
WAITING = 8  # frames at most that wait for the gate and the segmenter, and keyframes that wait for the trainer
IDLE = 0.02  # s between looks for work while there is nothing to train


class LiveMapper:
    """Owns a Mapper and the threads around it."""

    def __init__(self, config: Config, mapper: Mapper | None = None) -> None:
        self.config = config
        self._mapper = mapper if mapper is not None else Mapper(config)
        self._ready: queue.Queue[tuple[int, Item]] = queue.Queue(WAITING)
        self._intake = Intake(self._mapper)
        self._commands = Commands()  # for the trainer
        self._wanted: list[Future[MapSnapshot]] = []  # waiting for the next instantiation
        self._wake_instantiation = threading.Event()
        self._stopping = threading.Event()
        self._paused = threading.Event()
        self._seen = time.monotonic()  # when the trainer was last between two steps
        self._dropped: Counter[str] = Counter()
        self._inbox = Inbox(WAITING, self._dropped)
        self._stats = LiveStats()  # what the threads count; `stats` adds the rest
        self._instantiated_at: float | None = None
        self._dead: set[str] = set()  # names of the workers that stopped on an error
        self._threads: list[threading.Thread] = []
        self._process = psutil.Process()

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the three threads."""
        for work in (self._ingest, self._train, self._instantiate):
            thread = threading.Thread(target=self._guard, args=(work,), name=f"ig{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 2.0) -> None:
        """Lets all threads finish what they are doing and waits for them at most `timeout` seconds."""
        self._stopping.set()
        self._refuse_waiting()
        self._wake_instantiation.set()
        self._inbox.wake()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._mapper.state.pager.close()

    def pause(self, paused: bool = True) -> None:
        """Stops training and periodic instantiation, or goes on; commands and queries are still answered."""
        if paused:
            self._paused.set()
        else:
            self._paused.clear()

    # -- input ----------------------------------------------------------------------------------------------------

    def submit(self, frame: Frame) -> None:
        """Queues a frame; never blocks. The oldest waiting frame is dropped and counted when the inbox is full."""
        self._inbox.put(frame)

    def submit_masks(self, stamp: int, masks: Masks) -> None:
        """Queues masks, in whatever size, of the frame of a stamp (ns), submitted without any; never blocks."""
        self._inbox.put(LateMasks(stamp, masks))

    def submit_detections(self, stamp: int, detections: Detections, width: int) -> None:
        """Queues boxes, in pixels of an image of `width`, of the frame of a stamp (ns); never blocks."""
        self._inbox.put(LateDetections(stamp, detections, width))

    def submit_ignored(self, stamp: int, ignored: BoolArray) -> None:
        """Queues what the frame of a stamp (ns) ignores, (h, w) bool, submitted without; never blocks."""
        self._inbox.put(LateMasks(stamp, None, ignored))

    def submit_points(self, xyz: FloatArray, rgb: IntArray | None) -> Future[int]:
        """Plants sparse points (P, 3) m world with optional rgb (P, 3) u8; returns how many became anchors."""
        return self._on_trainer(lambda: self._mapper.add_points(xyz, rgb))

    def correct_poses(self, correction: Correction) -> Future[int]:
        """Moves the frames submitted so far, those that wait included, and the map; returns how many keyframes moved.

        The future raises FrameError for a motion that is not rigid.
        """
        submitted = self._inbox.frames
        return self._on_trainer(lambda: self._mapper.correct(correction, submitted))

    # -- output ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> MapSnapshot | None:
        """Returns the newest immutable snapshot."""
        return self._mapper.latest

    def query(self, text: str, max_results: int = 1, min_score: float = 0.0, scope: Scope | None = None) -> QueryResult:
        """Answers from the newest snapshot; waits for nothing. Raises QueryError for an unusable text."""
        return self._mapper.query(text, max_results, min_score, scope)

    def view(self, stamp: int | None = None, source: str | None = None) -> Keyframe:
        """Returns the keyframe at `stamp` (ns), None = the newest one; of one camera, or of all.

        Raises QueryError where there is none so near in time.
        """
        return self._mapper.view(stamp, source)

    def keyframe_poses(self) -> dict[int, FloatArray]:
        """Returns the pose (4, 4) of every keyframe by its stamp (ns)."""
        return {keyframe.stamp: keyframe.T_world_camera for keyframe in list(self._mapper.keyframes.items)}

    def correction(self) -> MapCorrection:
        """Returns how the newest poses differ from where the map sees the robot."""
        return self._mapper.state.refiner.correction

    def remove_object(self, number: int) -> Future[int]:
        """Removes an object from the map; returns how many anchors it had. The future raises QueryError."""
        return self._on_trainer(lambda: self._mapper.remove_object(number))

    def instantiate(self) -> Future[MapSnapshot]:
        """Groups the map as it is now into objects."""
        future: Future[MapSnapshot] = Future()
        self._wanted.append(future)
        self._wake_instantiation.set()
        self._refuse_waiting()
        return future

    def reset(self) -> Future[None]:
        """Forgets the map and the frames submitted by then; its ids are not given again."""
        return self._on_trainer(self._reset)

    def save(self, directory: Path) -> Future[Path]:
        """Writes the map. The future raises StorageError."""
        return self._on_trainer(lambda: lean(partial(save_map, self._mapper, directory)))

    def load(self, directory: Path) -> Future[None]:
        """Replaces the map and forgets the frames submitted by then; neither where the future raises StorageError."""
        return self._on_trainer(lambda: lean(partial(self._load, directory)))

    def stats(self) -> LiveStats:
        """Returns the counters as of now."""
        now, latest = time.monotonic(), self._mapper.latest
        return dataclasses.replace(
            self._stats,
            frames_in=self._inbox.frames,
            waiting=len(self._inbox),
            keyframes=len(self._mapper.keyframes),
            dropped=dict(
                self._dropped
                + Counter(
                    masks_encoder=self._mapper.masks_encoder, boxes_without_masks=self._mapper.boxes_without_masks
                )
            ),
            steps=self._mapper.trainer.step,
            anchors=len(self._mapper.scaffold.anchors),
            anchors_on_disk=self._mapper.state.pager.count(),
            instantiation_age=None if self._instantiated_at is None else now - self._instantiated_at,
            objects=len(latest.instances.objects) if latest else 0,
            poses=dict(self._mapper.state.refiner.counts),
            correction=self._mapper.state.refiner.correction,
            memory_bytes=self._process.memory_info().rss,
            depth_warning=self._mapper.depth_check.warning,
            device=device_name(self._mapper.device),
            silence=now - self._seen if self._threads and not self._stopping.is_set() else 0.0,
        )

    # -- threads --------------------------------------------------------------------------------------------------

    def _guard(self, work: Callable[[], None]) -> None:
        """Starts a worker that fails again; after a second failure within HEALTHY seconds it is dead, see `stats`."""
        step_back()
        failed = float("-inf")
        while True:
            try:
                work()
                return
            except Exception as error:
                if self._stopping.is_set():  # the interpreter goes: what a thread still asks of it fails
                    return
                reason = f"{work.__name__.strip('_')} thread stopped: {type(error).__name__}: {error}"
                log.exception(reason)
                before, failed = failed, time.monotonic()
                if failed - before < HEALTHY:
                    self._stats.error = reason
                    self._dead.add(work.__name__)
                    self._refuse_waiting()
                    return
                self._stats.restarts += 1

    def _refuse_waiting(self) -> None:
        """Lets the callers fail whom nobody is left to answer."""
        reason = IgError(self._stats.error or "the mapper is stopping")
        if "_train" in self._dead or self._stopping.is_set():
            self._commands.refuse(reason)
        if "_instantiate" in self._dead or self._stopping.is_set():
            waiting, self._wanted = self._wanted, []
            for future in waiting:
                future.set_exception(reason)

    def _ingest(self) -> None:
        """Judges and segments frames; queues keyframes for the trainer."""
        while not self._stopping.is_set():
            item = self._inbox.take(0.2)
            if item is None:
                continue
            try:
                taken = self._intake.take(*item)
                if not isinstance(taken, str):
                    self._put_ready(*taken)
                elif isinstance(item[1], Frame):  # masks that are not needed are no loss
                    self._dropped[taken] += 1
            except IgError as error:
                self._dropped[error.cause if isinstance(error, FrameError) else "segmenter"] += 1
                log.warning("%s", error)
            except Exception as error:  # the border: segmenters and encoders of images are others' code
                self._dropped["segmenter"] += 1
                log.warning("image dropped, the segmenter failed: %s: %s", type(error).__name__, one_line(error))

    def _put_ready(self, number: int, item: Item) -> None:
        while not self._stopping.is_set():
            try:
                self._ready.put((number, item), timeout=0.2)
                return
            except queue.Full:
                continue

    def _train(self) -> None:
        """Runs commands, inserts keyframes, trains; the only thread that touches the model."""
        while not self._stopping.is_set():
            self._seen = time.monotonic()
            self._commands.run()
            if self._paused.is_set():
                time.sleep(IDLE)
                continue
            self._within_memory(self._insert_ready)
            begin = time.perf_counter()
            result = self._within_memory(self._mapper.train_step)
            if result is None:
                time.sleep(IDLE)
                continue
            seconds = time.perf_counter() - begin
            stats = self._stats
            rate = stats.steps_per_second
            stats.steps_per_second = 0.95 * rate + 0.05 / seconds if rate else 1 / seconds
            stats.loss = 0.95 * stats.loss + 0.05 * result.loss if stats.loss else result.loss
            stats.gaussians = result.gaussians

    def _within_memory(self, work: Callable[[], T]) -> T | None:
        """Returns what `work` does; where memory ends, shrinks the map and leaves the work undone."""
        try:
            return work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._dropped["out_of_memory"] += 1
        log.warning("%s", relieve(self._mapper))  # outside of the handler, whose traceback holds the work's tensors
        return None

    def _reset(self) -> None:
        self._intake.begin_anew(self._inbox.frames)
        self._mapper.reset()

    def _load(self, directory: Path) -> None:
        state = read_map(self._mapper, directory)
        self._intake.begin_anew(self._inbox.frames)
        self._mapper.adopt(state)

    def _insert_ready(self) -> None:
        try:
            number, item = self._ready.get_nowait()
        except queue.Empty:
            return
        if not self._intake.admits(number):
            self._dropped[OLD_MAP] += 1
        elif isinstance(item, LateDetections):
            self._mapper.attach_detections(item.stamp, item.detections, item.width)
        elif isinstance(item, LateMasks):
            there = self._mapper.attach_masks(item.stamp, item.masks, item.ignored)
            if not there and item.masks is not None:  # the keyframe has been forgotten
                self._dropped["masks_too_late"] += 1
        else:
            self._mapper.insert(item, number)
            self._stats.frames_used += 1

    def _on_trainer(self, command: Callable[[], T]) -> Future[T]:
        future = self._commands.put(command)
        self._refuse_waiting()
        return future

    def _instantiate(self) -> None:
        """Freezes the map between two steps, every interval or when asked, and groups it beside the training.

        The next run waits at least as long as this one took, so that half of the machine stays with the training.
        """
        while not self._stopping.is_set():
            asked = self._wake_instantiation.wait(
                max(self.config.instances.interval, self._stats.instantiation_duration)
            )
            if self._stopping.is_set():
                return
            self._wake_instantiation.clear()
            waiting, self._wanted = self._wanted, []
            if not asked and (self._paused.is_set() or not len(self._mapper.keyframes)):
                continue
            begin = time.perf_counter()
            try:
                frozen = self._on_trainer(self._mapper.freeze).result()
                snapshot = lean(partial(self._mapper.instantiate, frozen))
            except Exception as error:
                for future in waiting:
                    future.set_exception(error)
                no_memory = is_out_of_memory(error)
                if not (no_memory or isinstance(error, IgError)) or "_train" in self._dead or self._stopping.is_set():
                    raise
                self._dropped["out_of_memory"] += no_memory
                log.warning("no objects this time: %s", error or "out of memory")  # for example of another encoder
                continue
            self._stats.instantiation_duration = time.perf_counter() - begin
            self._instantiated_at = time.monotonic()
            for future in waiting:
                future.set_result(snapshot)
