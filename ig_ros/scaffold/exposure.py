"""The camera's exposure and white balance, which change from image to image; the map has those of the mean image.

A keyframe's log gain per channel is the median over its pixels of log(photograph / render): what is out of place or not
yet learnt on less than half of the image does not change it, and a blurred render is no darker than a sharp one.
"""

from __future__ import annotations

import numpy as np
import torch

from ig_ros.scaffold.keyframes import Keyframe, KeyframeStore
from ig_ros.types import FloatArray, RenderResult

STRIDE = 4  # every n-th pixel and line is compared
DARK, BRIGHT = 16 / 255, 240 / 255  # pixels outside are noise or saturated
COVERED = 0.9  # opacity from which a pixel shows the map
LEAST = 0.05  # share of the compared pixels that must be usable


def measured_gain(rendered: RenderResult, rgb: torch.Tensor) -> FloatArray | None:
    """Returns log gain (3,) of an image (H, W, 3) u8 over its render; None where too little of it is comparable."""
    part = (slice(None, None, STRIDE), slice(None, None, STRIDE))
    image = rgb[part].to(rendered.features) / 255
    model = rendered.features[part][..., :3].detach()
    usable = (rendered.alpha[part].detach() > COVERED) & (image > DARK).all(2) & (image < BRIGHT).all(2)
    usable &= (model > DARK).all(2)
    if usable.float().mean() < LEAST:
        return None
    return np.asarray((image[usable].log() - model[usable].log()).median(dim=0).values.cpu().numpy(), np.float64)


def compensated(keyframe: Keyframe, keyframes: KeyframeStore) -> torch.Tensor:
    """Returns the keyframe's image (H, W, 3) float in [0, 1] as it would be at the mean exposure of all keyframes."""
    mean = np.mean([k.log_gain for k in keyframes.items], axis=0)
    gain = torch.as_tensor(np.exp(keyframe.log_gain - mean), dtype=torch.float32)
    return (keyframe.rgb / (255 * gain)).clamp(0, 1)
