"""Every error the user can cause or must act on: one root, one subclass per border.

The text of an error is one line that says what is wrong, where, and what to do about it.
"""

import difflib
from collections.abc import Iterable


class IgError(Exception):
    """Root of all errors raised on purpose by ig_ros."""


class ConfigError(IgError):
    """A parameter is unknown, of the wrong type or out of range."""


class FrameError(IgError):
    """An incoming image, depth, pose, calibration or mask cannot be used. `cause` is its diagnostics counter."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class DatasetError(IgError):
    """A dataset folder or bag is incomplete or unreadable. `cause` counts the frames of which that is true."""

    def __init__(self, message: str, cause: str = "unreadable") -> None:
        super().__init__(message)
        self.cause = cause


class SegmenterError(IgError):
    """A segmenter cannot be built (weights or package missing) or cannot work on this input."""


class EncoderError(IgError):
    """A text or image encoder cannot be built, or embeddings of two different encoders meet."""


class QueryError(IgError):
    """A query cannot be answered as asked (empty text, unknown frame, ...)."""


class StorageError(IgError):
    """A map cannot be written or read."""


class DownloadError(IgError):
    """Weights cannot be fetched: no network, a broken file, an unknown name."""


class RasterError(IgError):
    """The compiled rasteriser is missing or was called with impossible arguments."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns " (did you mean 'x'?)" for the known word that is nearest to a mistyped one, "" where none is near."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def one_line(error: BaseException) -> str:
    """The text of any error, its line breaks taken out, cut to what a log line bears."""
    return " ".join(str(error).split())[:300]


def viewer_missing(error: ModuleNotFoundError) -> ConfigError:
    """What to do about a package the web page needs; only viser is left out of an installation on purpose."""
    advice = (
        "pip install viser==1.1.1" if error.name == "viser" else "the installation is incomplete, see docs/robot.md"
    )
    return ConfigError(f"the web page needs {error.name}, which is not installed: {advice}")
