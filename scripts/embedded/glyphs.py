# Part of the Nibble project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Images of hand-drawn-looking letters and digits, made from strokes.

Every character is a few polylines on a grid 4 wide and 6 high. An image bends
them by a random affine map and by moving each point, draws them as antialiased
lines of random width, and adds a stray line, uneven light and noise.
"""

from __future__ import annotations

import numpy as np

SIZE = 24
"""Images are SIZE x SIZE grey values, 0 to 1."""

# Points are two digits, x then y (y downwards); a blank starts a new stroke.
_STROKES = {
    "0": "1030414536163605030110 0541",
    "1": "112026 1636",
    "2": "011030414204064646",
    "3": "0110304142234445361605 1323",
    "4": "3000044434 3036",
    "5": "400002334445361605",
    "6": "4130100105163645443303",
    "7": "00402326",
    "8": "1030414233130201 10 1323 1304051636454433",
    "9": "430313020110304145361605",
    "A": "062046 1333",
    "B": "0030414233 03334445360600",
    "C": "4130100105163645",
    "D": "00304145360600",
    "E": "40000646 0333",
    "F": "400006 0333",
    "G": "41301001051636454323",
    "H": "0006 4046 0343",
    "J": "2040 3035261605",
    "K": "0006 4003 1346",
    "L": "000646",
    "M": "0600234046",
    "N": "06004640",
    "P": "0600304142330333",
    "R": "06003041423303 2346",
    "S": "4130100102134445361605",
    "T": "0040 2026",
    "U": "000516364540",
    "V": "002640",
    "X": "0046 4006",
    "Y": "002340 2326",
    "Z": "00400646",
}

CLASSES = "".join(_STROKES)
"""The characters, in the order of the class numbers."""


def _segments() -> tuple[np.ndarray, np.ndarray]:
    """End points float [classes, most, 2, 2] and a mask of the real ones."""
    shapes = []
    for strokes in _STROKES.values():
        lines = []
        for stroke in strokes.split():
            points = [(int(stroke[i]), int(stroke[i + 1])) for i in range(0, len(stroke) - 1, 2)]
            lines += list(zip(points, points[1:]))
        shapes.append(lines)
    most = max(map(len, shapes))
    ends = np.zeros((len(shapes), most, 2, 2), np.float32)
    mask = np.zeros((len(shapes), most), bool)
    for i, lines in enumerate(shapes):
        ends[i, : len(lines)] = lines
        mask[i, : len(lines)] = True
    return ends - np.float32([2, 3]), mask


_ENDS, _MASK = _segments()


def _ink(ends: np.ndarray, mask: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Coverage [n, SIZE, SIZE] of lines [n, s, 2, 2] in pixels, `width` [n] pixels wide."""
    axis = np.arange(SIZE, dtype=np.float32) + 0.5
    pixel = np.stack(np.meshgrid(axis, axis), -1).reshape(1, 1, -1, 2)
    start, along = ends[:, :, None, 0], ends[:, :, None, 1] - ends[:, :, None, 0]
    t = ((pixel - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-6)
    nearest = start + np.clip(t, 0, 1)[..., None] * along
    distance = np.sqrt(((pixel - nearest) ** 2).sum(-1))
    distance = np.where(mask[..., None], distance, 1e3).min(1)
    return np.clip(0.5 + width[:, None] / 2 - distance, 0, 1).reshape(-1, SIZE, SIZE)


def make_glyphs(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns images float32 [count, 1, SIZE, SIZE] and labels int64 [count]."""
    labels = rng.integers(0, len(CLASSES), count)
    mask = _MASK[labels]
    # Joints of two lines move alike: the shift is a smooth function of the place.
    ends = _ENDS[labels]
    wave = rng.normal(0, 0.35, (count, 2, 2, 2)).astype(np.float32)
    bend = np.sin(ends @ np.float32([[0.9, 0.4], [-0.4, 0.7]]) + 3 * wave[:, None, :1, 0])
    ends = ends + bend @ wave[:, None, 1]
    angle = rng.normal(0, 0.22, count)
    shear = rng.normal(0, 0.2, count)
    scale = rng.uniform(1.9, 3.1, (count, 2))
    rotate = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1)
    affine = rotate.reshape(count, 2, 2) * scale[:, None]
    affine[:, 0, 1] += shear * scale[:, 1]
    centre = SIZE / 2 + rng.normal(0, 1.2, (count, 2))
    ends = np.einsum("nij,nskj->nski", affine, ends) + centre[:, None, None]
    image = _ink(ends.astype(np.float32), mask, rng.uniform(1.0, 3.0, count).astype(np.float32))

    stray = rng.uniform(0, SIZE, (count, 1, 2, 2)).astype(np.float32)
    line = _ink(
        stray, rng.random((count, 1)) < 0.5, rng.uniform(0.3, 1.4, count).astype(np.float32)
    )
    image = np.maximum(image, rng.uniform(0.3, 0.8, (count, 1, 1)) * line)
    image *= rng.uniform(0.4, 0.9, (count, 1, 1))
    slope = rng.normal(0, 0.006, (count, 2, 1))
    ramp = np.arange(SIZE) - SIZE / 2
    light = (
        rng.uniform(0, 0.2, (count, 1, 1))
        + slope[:, :1] * ramp
        + (slope[:, 1:] * ramp).swapaxes(1, 2)
    )
    image = image + light + rng.normal(0, 0.13, image.shape)
    # Sixteen grey levels, so that the stored test images are exactly these.
    image = np.round(np.clip(image, 0, 1) * 15) / 15
    return image[:, None].astype(np.float32), labels
