"""Procedural textures: small colour images that repeat, or that cover one side of a thing."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import numpy.typing as npt

Texture = npt.NDArray[np.uint8]  # (H, W, 3)
Color = tuple[int, int, int]
Random = np.random.Generator

FONT = cv2.FONT_HERSHEY_DUPLEX


def hue(random: Random, saturation: float = 0.6, value: float = 0.75, at: float | None = None) -> Color:
    """A colour of given saturation and brightness, of any hue unless one is given in [0, 1)."""
    r, g, b = colorsys.hsv_to_rgb(random.random() if at is None else at % 1.0, saturation, value)
    return round(255 * r), round(255 * g), round(255 * b)


def shade(color: Color, factor: float) -> Color:
    r, g, b = (int(np.clip(c * factor, 0, 255)) for c in color)
    return r, g, b


def smooth_noise(
    random: Random, height: int, width: int, scale: float, scale_y: float | None = None
) -> npt.NDArray[np.float32]:
    """(height, width) float32 noise with mean 0 and deviation 1, seamless, with blobs of about `scale` pixels."""
    sigma = np.array([scale if scale_y is None else scale_y, scale])
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    response = np.exp(-2 * np.pi**2 * ((fy * sigma[0]) ** 2 + (fx * sigma[1]) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(random.standard_normal((height, width))) * response, s=(height, width))
    return (field / max(float(field.std()), 1e-12)).astype(np.float32)


def disc(image: Texture, centre: tuple[int, int], radius: int, color: Color) -> None:
    """Draw a filled circle into the picture."""
    cv2.circle(image, centre, radius, color, -1, cv2.LINE_AA)


def tinted(color: Color, light: npt.NDArray[np.floating]) -> Texture:
    """A colour whose brightness varies by the factors (H, W)."""
    image: Texture = (np.asarray(color) * light[..., None]).clip(0, 255).astype(np.uint8)
    return image


def plain(random: Random, color: Color, roughness: float = 0.04, size: int = 128) -> Texture:
    """Painted or moulded material: one colour, faintly uneven."""
    mottle = smooth_noise(random, size, size, 6) + 0.7 * smooth_noise(random, size, size, 1)
    return tinted(color, 1 + roughness * mottle)


def wood(random: Random, color: Color, planks: int = 4, size: int = 512) -> Texture:
    """Boards along u: grain, a tone of its own for each board, dark joints."""
    grain = smooth_noise(random, size, size, 40, 1.2) * 0.08 + smooth_noise(random, size, size, 90, 5) * 0.08
    board = np.arange(size) * planks // size
    tone = 1 + 0.12 * random.standard_normal(planks)
    light = (1 + grain) * tone[board][:, None]
    edges = np.flatnonzero(np.diff(board, append=board[0]))
    light[edges] *= 0.55
    for i in range(planks):
        joint = int(random.integers(size))
        light[board == i, joint : joint + 2] *= 0.6
    return tinted(color, light)


def checks(random: Random, first: Color, second: Color, count: int = 4, size: int = 256) -> Texture:
    """Chequered cloth or tiles."""
    cell = (np.arange(size) * count * 2 // size) % 2
    odd = (cell[:, None] ^ cell[None]).astype(bool)
    light = 1 + 0.05 * smooth_noise(random, size, size, 1.5)
    return np.where(odd[..., None], tinted(first, light), tinted(second, light))


def tiles(random: Random, color: Color, count: int = 4, size: int = 512) -> Texture:
    """Square floor tiles with joints, each with a tone and marbling of its own."""
    cell = np.arange(size) * count // size
    tone = 1 + 0.06 * random.standard_normal((count, count))
    light = tone[cell[:, None], cell[None]] + 0.05 * smooth_noise(random, size, size, 8)
    joint = (np.arange(size) % (size // count)) < 3
    light[joint] = light[:, joint] = 0.62
    return tinted(color, light)


def stripes(random: Random, colors: list[Color], count: int = 8, size: int = 256, vertical: bool = False) -> Texture:
    """Bands across v (or u), colours in turn."""
    band = (np.arange(size) * count // size) % len(colors)
    image = np.broadcast_to(np.asarray(colors)[band][:, None], (size, size, 3)).astype(np.float32)
    image = image.transpose(1, 0, 2) if vertical else image
    return (image * (1 + 0.04 * smooth_noise(random, size, size, 1.5))[..., None]).clip(0, 255).astype(np.uint8)


def fabric(random: Random, color: Color, size: int = 256) -> Texture:
    """Woven cloth: threads and wear."""
    x = np.arange(size)
    weave = 0.06 * (np.sin(x * np.pi / 2)[:, None] + np.sin(x * np.pi / 2 + 1)[None])
    wear = 0.07 * smooth_noise(random, size, size, 12) + 0.08 * smooth_noise(random, size, size, 1)
    return tinted(color, 1 + weave + wear)


def plaster(random: Random, color: Color, size: int = 512) -> Texture:
    """Painted wall: roller marks, stains, a little grit."""
    light = 1 + 0.02 * smooth_noise(random, size, size, 30) + 0.025 * smooth_noise(random, size, size, 4)
    light += 0.015 * smooth_noise(random, size, size, 1)
    specks = random.random((size, size)) < 0.0008
    return tinted(color, light * np.where(cv2.dilate(specks.astype(np.uint8), np.ones((2, 2))) > 0, 0.8, 1.0))


def wallpaper(random: Random, color: Color, size: int = 256) -> Texture:
    """Faint printed pattern on paint."""
    image = plaster(random, color, size).copy()
    step = size // 4
    for row in range(4):
        for col in range(4):
            centre = (col * step + step // 2 + (row % 2) * step // 2, row * step + step // 2)
            axes = (step // 5, step // 3)
            cv2.ellipse(image, (centre[0] % size, centre[1]), axes, 30, 0, 360, shade(color, 0.88), 2, cv2.LINE_AA)
    return image


def carpet(random: Random, color: Color, accent: Color, size: int = 512) -> Texture:
    """A whole rug: border, field of diamonds, pile."""
    image = np.full((size, size, 3), color, np.uint8)
    cv2.rectangle(image, (18, 18), (size - 19, size - 19), accent, 14)
    cv2.rectangle(image, (50, 50), (size - 51, size - 51), shade(accent, 0.6), 4)
    for row in range(5):
        for col in range(5):
            x, y = 96 + col * 80, 96 + row * 80
            diamond = np.array([(x, y - 30), (x + 30, y), (x, y + 30), (x - 30, y)])
            cv2.fillPoly(image, [diamond], accent if (row + col) % 2 else shade(color, 0.7), cv2.LINE_AA)
            disc(image, (x, y), 9, shade(color, 1.3))
    pile = 1 + 0.09 * smooth_noise(random, size, size, 1)
    return (image * pile[..., None]).clip(0, 255).astype(np.uint8)


def speckled(
    random: Random, color: Color, spot: Color, count: int = 60, radius: float = 3.0, size: int = 256
) -> Texture:
    """A colour with random round spots: ripe fruit, sponge pores, terrazzo."""
    image = plain(random, color, 0.06, size)
    for _ in range(count):
        x, y = (int(v) for v in random.integers(0, size, 2))
        wide = max(1, round(radius * random.uniform(0.4, 1.5)))
        disc(image, (x, y), wide, shade(spot, random.uniform(0.8, 1.2)))
    return image


def printed(random: Random, base: Color, accent: Color, title: str, size: int = 256) -> Texture:
    """Printed packaging or cover: title band, picture of blobs, rows of small print."""
    image = plain(random, base, 0.03, size)
    cv2.rectangle(image, (0, size // 10), (size, size * 35 // 100), accent, -1)
    for _ in range(7):
        x, y = int(random.integers(size)), int(random.integers(size * 42 // 100, size * 78 // 100))
        disc(image, (x, y), int(random.integers(6, size // 9)), hue(random, 0.7, 0.85))
    scale = size / 256 * min(1.1, 9.5 / max(len(title), 1))
    ink = shade(base, 1.4) if sum(accent) < 380 else (25, 25, 30)
    cv2.putText(image, title, (size // 20, size * 29 // 100), FONT, scale, ink, 2, cv2.LINE_AA)
    for line in range(4):
        y = size * 84 // 100 + line * size // 28
        cv2.line(image, (size // 12, y), (int(size * random.uniform(0.5, 0.9)), y), shade(base, 0.45), 2)
    return image


def banded(random: Random, base: Color, label: Color, title: str, low: float, high: float, size: int = 256) -> Texture:
    """A wrap-around label between two heights (fractions of v from the top) on a bottle, can or jar."""
    image = plain(random, base, 0.03, size)
    top, bottom = int(low * size), int(high * size)
    image[top:bottom] = label
    cv2.line(image, (0, top + 4), (size, top + 4), shade(label, 0.5), 2)
    cv2.line(image, (0, bottom - 5), (size, bottom - 5), shade(label, 0.5), 2)
    ink = (250, 250, 245) if sum(label) < 420 else (30, 30, 40)
    for start in (0, size // 2):
        cv2.putText(image, title, (start + 8, (top + bottom) // 2), FONT, 0.75, ink, 2, cv2.LINE_AA)
        emblem = (start + size // 4, bottom - (bottom - top) // 4)
        disc(image, emblem, max(4, (bottom - top) // 9), hue(random, 0.7, 0.8))
    return image


def keyboard(random: Random, size: int = 512) -> Texture:
    """Laptop deck: rows of keys and a touchpad."""
    image = plain(random, (168, 170, 175), 0.02, size)
    for row in range(5):
        for col in range(13):
            x, y = 26 + col * 36, 40 + row * 50
            cv2.rectangle(image, (x, y), (x + 29, y + 41), (32, 33, 36), -1)
            letter = chr(ord("A") + (row * 13 + col) % 26)
            cv2.putText(image, letter, (x + 7, y + 28), FONT, 0.6, (190, 190, 190), 1, cv2.LINE_AA)
    cv2.rectangle(image, (170, 320), (345, 470), (140, 142, 148), -1)
    return image


def screen(random: Random, size: int = 512) -> Texture:
    """Monitor picture: wallpaper, a window of text, a dock."""
    image = np.full((size, size, 3), (20, 21, 24), np.uint8)
    rows = np.linspace(0, 1, size - 48)[:, None, None]
    image[24:-24, 24:-24] = ((1 - rows) * hue(random, 0.7, 0.65) + rows * hue(random, 0.5, 0.35)).astype(np.uint8)
    cv2.rectangle(image, (70, 80), (330, 400), (238, 238, 240), -1)
    cv2.rectangle(image, (70, 80), (330, 105), (90, 120, 190), -1)
    for line in range(13):
        y = 128 + line * 20
        cv2.line(image, (85, y), (int(random.integers(150, 315)), y), (70, 75, 90), 4)
    for i in range(6):
        disc(image, (130 + i * 50, 455), 16, hue(random, 0.7, 0.85))
    return image


def landscape(random: Random, size: int = 512) -> Texture:
    """A framed print: sky, sun, hills."""
    rows = np.linspace(0, 1, size)[:, None, None]
    sky, glow = np.asarray(hue(random, 0.5, 0.8, random.uniform(0.5, 0.7))), np.asarray(hue(random, 0.45, 0.95, 0.08))
    image = np.broadcast_to((1 - rows) * sky + rows * glow, (size, size, 3)).astype(np.uint8).copy()
    disc(image, (int(random.integers(80, size - 80)), size // 3), 34, (250, 232, 170))
    for layer in range(4):
        ridge = size * (0.45 + 0.13 * layer) + 22 * smooth_noise(random, 1, size, 30)[0]
        points = np.concatenate([np.stack([np.arange(size), ridge], 1), [(size, size), (0, size)]]).astype(np.int32)
        cv2.fillPoly(image, [points], hue(random, 0.45, 0.55 - 0.1 * layer, 0.3 + 0.05 * layer), cv2.LINE_AA)
    return image


def panel(random: Random, color: Color, rows: int = 3, cols: int = 2, size: int = 512) -> Texture:
    """Door or cupboard front with recessed panels."""
    image = np.ascontiguousarray(wood(random, color, 1, size).transpose(1, 0, 2))  # grain runs upwards
    gap = size // 16
    w, h = (size - gap * (cols + 1)) // cols, (size - gap * (rows + 1)) // rows
    for row in range(rows):
        for col in range(cols):
            x, y = gap + col * (w + gap), gap + row * (h + gap)
            cv2.rectangle(image, (x, y), (x + w, y + h), shade(color, 0.62), 3)
            cv2.rectangle(image, (x + 6, y + 6), (x + w - 6, y + h - 6), shade(color, 1.12), 2)
    return image
