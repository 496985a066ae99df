"""A moving scene for tests of the grain nodes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def moving_scene(frames: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Draw a pan over texture, edges and shading with a disc that moves against it: (frames, height, width, 3)."""
    rng = np.random.default_rng(5)
    fy, fx = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    radius = np.hypot(fy, fx) + 1e-3
    texture = []
    for amount in (1.0, 0.5, 0.4):
        phase = np.fft.rfft2(rng.normal(size=(height, width)))
        texture.append((phase, amount, phase / radius**1.1 * np.exp(-((radius / 0.25) ** 2))))
    y, x = np.mgrid[:height, :width]
    out = np.empty((frames, height, width, 3), np.uint8)
    for t in range(frames):
        dx, dy = 3.3 * t, 0.7 * t
        shift = np.exp(-2j * np.pi * (fx * dx + fy * dy))
        grey = np.fft.irfft2(texture[0][2] * shift, (height, width))
        side = [np.fft.irfft2(spectrum * shift, (height, width)) * amount for _, amount, spectrum in texture[1:]]
        base = grey / grey.std() * 18
        bars = 15 * np.tanh(6 * np.sin(2 * np.pi * (x - dx) / (width / 5)))
        colour = [s / s.std() * 8 for s in side]
        planes = np.stack([base + bars + colour[0], base + bars, base + bars + colour[1]], axis=-1) + 120
        cx, cy = width * 0.3 + 5.4 * t, height * 0.5 - 1.9 * t
        inside = np.clip(height * 0.18 - np.hypot(x - cx, y - cy), 0, 1)[..., None]
        disc = np.stack([200 - 0.2 * (x - cx), 90 + 0.3 * (y - cy), 60 + 20 * np.sin((x - cx) / 4)], axis=-1)
        out[t] = np.clip(np.rint(planes * (1 - inside) + disc * inside), 0, 255)
    return out
