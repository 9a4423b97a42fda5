"""The mapper from threads: frames come in at any time, training never waits, readers get immutable snapshots.

Three threads. `ingest` decides about keyframes and runs the segmenter; `train` alone touches the model, and between two
steps inserts keyframes, answers commands and freezes copies; `instantiate` turns a frozen copy into objects. They meet
in bounded queues; no lock is held across a training step, a segmentation or an encoder call.
"""

from __future__ import annotations

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
from ig_ros.frame_queue import OLD_MAP, Inbox, Intake, LateMasks
from ig_ros.language import Scope
from ig_ros.map_io import read_map, save_map
from ig_ros.mapper import Mapper
from ig_ros.memory_relief import is_out_of_memory, relieve
from ig_ros.scaffold.keyframes import Keyframe
from ig_ros.scaffold.pose_correction import Correction
from ig_ros.thread_settings import lean, step_back
from ig_ros.types import FloatArray, Frame, IntArray, MapSnapshot, Masks, QueryResult


@dataclass(frozen=True, slots=True)
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
    memory_bytes: int = 0  # resident set of the process
    restarts: int = 0  # workers that were started again after an error
    silence: float = 0.0  # s since the trainer was last seen between two steps
    error: str = ""  # why the trainer stopped, empty while it runs


SPARE = 1  # restarts
HEALTHY = 600.0  # s: who has worked for so long since has recovered; two errors within it are a fault that stays


class Watchdog:
    """The restarts that one worker has left, from now on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._clock = clock
        self._left, self._begin = SPARE, clock()

    def restarts(self) -> bool:
        """The worker has failed now: whether it is to be started again."""
        now = self._clock()
        if now - self._begin >= HEALTHY:
            self._left = SPARE
        self._left, self._begin = self._left - 1, now
        return self._left >= 0


T = TypeVar("T")


class Commands:
    """Commands in line, each with the future of its result; put on any thread, obeyed on one."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()

    def put(self, command: Callable[[], T]) -> Future[T]:
        """Get in line; never blocks."""
        future: Future[T] = Future()
        self._waiting.put((command, future))
        return future

    def obey(self) -> None:
        """Do all that waits. What a command raises is its future's."""
        for command, future in self._taken():
            try:
                future.set_result(command())
            except Exception as error:
                future.set_exception(error)

    def refuse(self, error: Exception) -> None:
        """Let all that wait fail; on any thread, on several at once too."""
        for _, future in self._taken():
            future.set_exception(error)

    def _taken(self) -> Iterator[tuple[Callable[[], Any], Future[Any]]]:
        """Those in line, without the cancelled ones, until none is left."""
        while True:
            try:
                command, future = self._waiting.get_nowait()  # between a look and a get another thread may take it
            except queue.Empty:
                return
            if future.set_running_or_notify_cancel():
                yield command, future


log = logging.getLogger(__name__)

INBOX = 8  # frames waiting for the gate and the segmenter
READY = 16  # keyframes waiting for the trainer
IDLE = 0.02  # s between looks for work while there is nothing to train


class LiveMapper:
    """Owns a Mapper and the threads around it."""

    def __init__(self, config: Config, mapper: Mapper | None = None) -> None:
        self.config = config
        self._mapper = mapper if mapper is not None else Mapper(config)
        self._ready: queue.Queue[tuple[int, Frame | LateMasks]] = queue.Queue(READY)
        self._intake = Intake(self._mapper)
        self._commands = Commands()  # for the trainer
        self._wanted: list[Future[MapSnapshot]] = []  # waiting for the next instantiation
        self._wake_instantiation = threading.Event()
        self._stopping = threading.Event()
        self._paused = threading.Event()
        self._restarts = 0
        self._seen = time.monotonic()  # the trainer, between two steps
        self._dropped: Counter[str] = Counter()
        self._inbox = Inbox(INBOX, self._dropped)
        self._frames_used = 0
        self._loss = 0.0
        self._gaussians = 0
        self._rate = 0.0
        self._instantiated_at: float | None = None
        self._instantiation_duration = 0.0
        self._error = ""
        self._dead: set[str] = set()  # names of the workers that stopped on an error
        self._threads: list[threading.Thread] = []
        self._process = psutil.Process()

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the three threads."""
        for work in (self._ingest, self._train, self._instantiate):
            thread = threading.Thread(target=self._guard, args=(work,), name=f"ig{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 2.0) -> None:
        """Ask all threads to end after what they are doing and wait for them at most `timeout` seconds."""
        self._stopping.set()
        self._wake_instantiation.set()
        self._inbox.wake()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._mapper.state.pager.close()

    def pause(self, paused: bool = True) -> None:
        """Stop training and periodic instantiation, or go on; commands and queries are still obeyed and answered."""
        if paused:
            self._paused.set()
        else:
            self._paused.clear()

    # -- input ----------------------------------------------------------------------------------------------------

    def submit(self, frame: Frame) -> None:
        """Hand over a frame; never blocks. The oldest waiting frame is dropped and counted when the inbox is full."""
        self._inbox.put(frame)

    def submit_masks(self, stamp: int, masks: Masks) -> None:
        """Hand over masks of a frame (ns) that was submitted without any, its image in whatever size; never blocks."""
        self._inbox.put(LateMasks(stamp, masks))

    def submit_points(self, xyz: FloatArray, rgb: IntArray | None) -> Future[int]:
        """Hand over sparse points (P, 3) m world with optional rgb (P, 3) u8; the result is how many became anchors."""
        return self._on_trainer(lambda: self._mapper.add_points(xyz, rgb))

    def correct_poses(self, correction: Correction) -> Future[int]:
        """Move the frames submitted so far, those that wait included, and the map with them: how many keyframes moved.

        The future raises FrameError for a motion that is not rigid.
        """
        submitted = self._inbox.frames
        return self._on_trainer(lambda: self._mapper.correct(correction, submitted))

    # -- output ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> MapSnapshot | None:
        """The newest immutable snapshot."""
        return self._mapper.latest

    def query(self, text: str, max_results: int = 1, min_score: float = 0.0, scope: Scope | None = None) -> QueryResult:
        """Answer from the newest snapshot; waits for nothing. Raises QueryError for an unusable text."""
        return self._mapper.query(text, max_results, min_score, scope)

    def view(self, stamp: int | None = None, source: str | None = None) -> Keyframe:
        """The keyframe at `stamp` (ns), None = the newest one; of one camera, or of all.

        Raises QueryError where there is none so near in time.
        """
        return self._mapper.view(stamp, source)

    def keyframe_poses(self) -> dict[int, FloatArray]:
        """Pose (4, 4) of every keyframe by its stamp (ns)."""
        return {keyframe.stamp: keyframe.T_world_camera for keyframe in list(self._mapper.keyframes.items)}

    def remove_object(self, number: int) -> Future[int]:
        """Take an object out of the map between two steps: how many anchors went. The future raises QueryError."""
        return self._on_trainer(lambda: self._mapper.remove_object(number))

    def instantiate(self) -> Future[MapSnapshot]:
        """Ask for an instantiation of the map as it is now."""
        future: Future[MapSnapshot] = Future()
        self._wanted.append(future)
        self._wake_instantiation.set()
        self._refuse_waiting()
        return future

    def reset(self) -> Future[None]:
        """Forget the map between two steps, and the frames submitted by then; its ids are not given again."""
        return self._on_trainer(self._reset)

    def save(self, directory: Path) -> Future[Path]:
        """Write the map between two steps. The future raises StorageError."""
        return self._on_trainer(lambda: lean(partial(save_map, self._mapper, directory)))

    def load(self, directory: Path) -> Future[None]:
        """Replace the map, and forget the frames submitted by then; nothing where the future raises StorageError."""
        return self._on_trainer(lambda: lean(partial(self._load, directory)))

    def stats(self) -> LiveStats:
        """Counters as of now."""
        age = None if self._instantiated_at is None else time.monotonic() - self._instantiated_at
        latest = self._mapper.latest
        return LiveStats(
            frames_in=self._inbox.frames,
            frames_used=self._frames_used,
            waiting=len(self._inbox),
            keyframes=len(self._mapper.keyframes),
            dropped=dict(self._dropped + Counter(masks_encoder=self._mapper.masks_encoder)),
            steps=self._mapper.trainer.step,
            steps_per_second=self._rate,
            anchors=len(self._mapper.scaffold.anchors),
            anchors_on_disk=self._mapper.state.pager.count(),
            gaussians=self._gaussians,
            loss=self._loss,
            instantiation_age=age,
            instantiation_duration=self._instantiation_duration,
            objects=len(latest.instances.objects) if latest else 0,
            memory_bytes=self._process.memory_info().rss,
            restarts=self._restarts,
            silence=time.monotonic() - self._seen if self._threads and not self._stopping.is_set() else 0.0,
            error=self._error,
        )

    # -- threads --------------------------------------------------------------------------------------------------

    def _guard(self, work: Callable[[], None]) -> None:
        """A worker that fails is started again; if it fails soon it is dead, and says so where diagnostics read it."""
        step_back()
        watchdog = Watchdog()
        while work.__name__ not in self._dead:
            try:
                work()
                return
            except Exception as error:
                if self._stopping.is_set():  # the interpreter goes: what a thread still asks of it fails
                    return
                reason = f"{work.__name__.strip('_')} thread stopped: {type(error).__name__}: {error}"
                log.exception(reason)
                if watchdog.restarts():
                    self._restarts += 1
                    continue
                self._error = reason
                self._dead.add(work.__name__)
                self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        """Nobody is left to answer these: say so instead of letting the callers wait."""
        if "_train" in self._dead:
            self._commands.refuse(IgError(self._error))
        if "_instantiate" in self._dead:
            waiting, self._wanted = self._wanted, []
            for future in waiting:
                future.set_exception(IgError(self._error))

    def _ingest(self) -> None:
        """Gate and segment frames, newest work first in line for the trainer."""
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

    def _put_ready(self, number: int, item: Frame | LateMasks) -> None:
        while not self._stopping.is_set():
            try:
                self._ready.put((number, item), timeout=0.2)
                return
            except queue.Full:
                continue

    def _train(self) -> None:
        """Insert, obey, step; the only thread that touches the model."""
        while not self._stopping.is_set():
            self._seen = time.monotonic()
            self._commands.obey()
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
            self._rate = 0.95 * self._rate + 0.05 / seconds if self._rate else 1 / seconds
            self._loss = 0.95 * self._loss + 0.05 * result.loss if self._loss else result.loss
            self._gaussians = result.gaussians

    def _within_memory(self, work: Callable[[], T]) -> T | None:
        """What `work` returns; where memory ends, the map shrinks, and what was being done is left undone."""
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
        elif isinstance(item, LateMasks):
            if not self._mapper.attach_masks(item.stamp, item.masks):  # the keyframe has been forgotten
                self._dropped["masks_too_late"] += 1
        else:
            self._mapper.insert(item, number)
            self._frames_used += 1

    def _on_trainer(self, command: Callable[[], T]) -> Future[T]:
        future = self._commands.put(command)
        self._refuse_waiting()
        return future

    def _instantiate(self) -> None:
        """Every interval, or when asked: freeze between two steps, group beside the training.

        At least as long as a run took passes before the next one, so that half of the machine stays with the training.
        """
        while not self._stopping.is_set():
            asked = self._wake_instantiation.wait(max(self.config.instances.interval, self._instantiation_duration))
            if self._stopping.is_set():
                return
            self._wake_instantiation.clear()
            waiting, self._wanted = self._wanted, []
            if not asked and (self._paused.is_set() or not len(self._mapper.keyframes)):
                continue
            begin = time.perf_counter()
            try:
                frozen = self._wait_for(self._on_trainer(self._mapper.freeze))
                if frozen is None:
                    return
                snapshot = lean(partial(self._mapper.instantiate, frozen))
            except Exception as error:
                for future in waiting:
                    future.set_exception(error)
                famine = is_out_of_memory(error)
                if not (famine or isinstance(error, IgError)) or "_train" in self._dead:
                    raise
                self._dropped["out_of_memory"] += famine
                log.warning("no objects this time: %s", error or "out of memory")  # for example of another encoder
                continue
            self._instantiation_duration = time.perf_counter() - begin
            self._instantiated_at = time.monotonic()
            for future in waiting:
                future.set_result(snapshot)

    def _wait_for(self, future: Future[T]) -> T | None:
        """The future's result, or None when the threads are stopping."""
        while not self._stopping.is_set():
            try:
                return future.result(timeout=0.2)
            except TimeoutError:
                continue
        return None
