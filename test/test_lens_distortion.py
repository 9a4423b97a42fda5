"""A camera_info says which rays the pixels of its images are: with binning, regions, autofocus and large images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from camera_messages import info

from ig_ros.errors import FrameError
from ig_ros.lens_distortion import DRIFT, MOST_KEPT, Lens, Rectifier, Rectifiers, reduction
from ig_ros.types import Camera

CAMERA = Camera(np.array([[500.0, 0, 330.5], [0, 510.0, 236.5], [0, 0, 1]]), 640, 480)
D = (-0.25, 0.08, 0.0005, -0.001, 0.0)
WINDOWS = pytest.mark.field("device", "camera_info with binning and ROI", "K of the image as it is")


@WINDOWS
@pytest.mark.parametrize("rectified", [False, True])
def test_binning_and_roi_give_the_camera_of_that_part_of_the_sensor(rectified: bool) -> None:
    """A ray meets the pixel that the region has at the place where the whole sensor has it."""
    message = info(CAMERA, p_scale=0.9, roi=(100, 60, 400, 300), binning=(2, 4))
    camera = Rectifier.from_info(message, rectified).camera
    assert (camera.width, camera.height) == (200, 75)
    whole = CAMERA.K * np.array([[0.9, 1, 1], [1, 0.9, 1], [1, 1, 1]]) if rectified else CAMERA.K
    ray = np.array([0.1, -0.05, 1.0])
    x, y, _ = whole @ ray
    np.testing.assert_allclose((camera.K @ ray)[:2], [(x - 100) / 2, (y - 60) / 4])


@WINDOWS
def test_the_lens_is_that_of_the_whole_sensor() -> None:
    """Undistorted, the part shows a ray where the same part of the whole image, undistorted, has it."""
    roi = (64, 48, 512, 384)
    ray = np.array([[[0.35, -0.2, 1.0]]])
    rectifier = Rectifier.from_info(info(CAMERA, D, roi=roi, binning=(2, 2)))
    seen = cv2.projectPoints(ray, np.zeros(3), np.zeros(3), CAMERA.K, np.array(D))[0].reshape(2)
    there = (seen - roi[:2]) / 2
    np.testing.assert_allclose(rectifier.point(*there), (rectifier.camera.K @ ray.reshape(3))[:2], atol=1e-3)


@WINDOWS
def test_a_region_that_was_calibrated_itself_and_one_outside_of_the_sensor() -> None:
    """Some drivers write the region's own size as width and height, and beside them where it lies on the sensor."""
    np.testing.assert_array_equal(Lens.from_info(info(CAMERA, roi=(100, 60, 640, 480))).camera.K, CAMERA.K)
    with pytest.raises(FrameError, match="let roi be 0") as caught:
        Lens.from_info(info(CAMERA, roi=(100, 60, 600, 400)))
    assert caught.value.cause == "bad_camera_info"


def focused(by: float) -> Camera:
    return Camera(CAMERA.K * np.array([[1 + by, 1, 1], [1, 1 + by, 1], [1, 1, 1]]), CAMERA.width, CAMERA.height)


AUTOFOCUS = pytest.mark.field("device", "intrinsics that differ in each message (autofocus)", "each image has its own")


@AUTOFOCUS
@pytest.mark.parametrize("d", [(), D])
def test_autofocus_moves_the_camera_and_keeps_the_maps(d: tuple[float, ...]) -> None:
    rectifiers, ray = Rectifiers(), np.array([[[0.3, 0.25, 1.0]]])
    first = rectifiers.of(Lens.from_info(info(CAMERA, d)))
    for by in (0.0004, -0.002, 0.9 * DRIFT):
        own = rectifiers.of(Lens.from_info(info(focused(by), d)))
        assert own.maps is first.maps
        assert own.camera.K[0, 0] == pytest.approx(first.camera.K[0, 0] * (1 + by))
        K = focused(by).K
        seen = cv2.projectPoints(ray, np.zeros(3), np.zeros(3), K, np.array([*d, 0.0, 0, 0, 0][:5]))[0].reshape(2)
        if own.maps is None:
            place = seen
        else:  # where the image that was made with the first maps shows that pixel
            x, y = own.maps
            apart = np.hypot(x + 0.5 - seen[0], y + 0.5 - seen[1])
            row, column = np.unravel_index(apart.argmin(), apart.shape)
            place = np.array([column, row]) + 0.5
        np.testing.assert_allclose((own.camera.K @ ray.reshape(3))[:2], place, atol=0.8)


@AUTOFOCUS
def test_maps_are_computed_anew_once_the_lens_has_moved_far(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Lens] = []
    original = Rectifier.of
    monkeypatch.setattr(Rectifier, "of", staticmethod(lambda lens: (made.append(lens), original(lens))[1]))
    rectifiers = Rectifiers()
    cameras = [rectifiers.of(Lens.from_info(info(focused(0.001 * i), D))).camera for i in range(12)]
    assert len(made) == 2 + int(11 * 0.001 / DRIFT) - 1
    focal = np.array([camera.K[0, 0] for camera in cameras])
    np.testing.assert_allclose(focal / focal[0], 1 + 0.001 * np.arange(12), rtol=DRIFT)


@pytest.mark.field("device", "images above 2.1 million pixels", "reduced while decoding, intrinsics follow")
@pytest.mark.parametrize(("width", "height", "n"), [
    (640, 480, 1), (1920, 1080, 1), (1920, 1200, 2), (3840, 2160, 2), (4032, 3024, 4), (8000, 6000, 8), (1999, 1501, 1),
])  # fmt: skip
def test_large_images_are_reduced_to_what_is_kept(width: int, height: int, n: int) -> None:
    assert reduction(width, height) == n
    assert width * height / n**2 <= MOST_KEPT or width % 2
    assert reduction(width, height, least_width=width) == 1
    whole = Camera(np.array([[width / 2, 0, 0.45 * width], [0, width / 2, 0.55 * height], [0, 0, 1]]), width, height)
    rectifier = Rectifier.from_info(info(whole))
    assert (rectifier.camera.width, rectifier.camera.height) == (width // n, height // n)
    np.testing.assert_allclose(rectifier.camera.K[:2], whole.K[:2] / n)
    labels = np.arange(width * height).reshape(height, width)
    small = rectifier.fitted(labels)
    assert small.shape == (height // n, width // n)
    assert small[3, 5] == labels[3 * n + n // 2, 5 * n + n // 2]
    np.testing.assert_array_equal(rectifier.fitted(small), small)
