"""What speaks against a measurement of noise: too little to measure, clipping, a codec."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FEWEST = 24
"""Blocks without which nothing is measured."""
ENOUGH = 240
"""Blocks from which a class has its `FEWEST` calm ones."""

# Pixels at one end of the plate's range from which it is called clipped.
_CLIPPED = 0.2
# Equal neighbours among the calmest blocks: codecs that quantise to nothing leave most pixels so; grain and noise of a
# sensor few, down to half a code of sigma. What a codec leaves lies in low frequencies; noise under a code is white.
_FLAT, _LOW_PASS = 0.5, 0.2


def few(count: int) -> list[str]:
    """Say so where there are few usable blocks."""
    if count < FEWEST:
        return [f"only {count} usable blocks of 8 × 8 pixels: {FEWEST} are needed to measure noise"]
    if count < ENOUGH:
        return [f"only {count} usable blocks of 8 × 8 pixels: the figures are rough"]
    return []


def clipped(shares: Sequence[tuple[float, float]]) -> list[str]:
    """Say so where much of the plate lies at its smallest or largest value; one pair of shares for each frame."""
    means = np.mean(shares, axis=0) if len(shares) else (0.0, 0.0)
    return [
        f"{share:.0%} of the pixels lie at the plate's {end} value (clipped): nothing was measured there"
        for share, end in zip(means, ("smallest", "largest"), strict=True)
        if share > _CLIPPED
    ]


def equal_neighbours(blocks: npt.NDArray[np.float32]) -> Floats:
    """Return the share of horizontal neighbours that are equal in all channels, for blocks (N, C, 8, 8)."""
    return np.asarray((blocks[..., 1:] == blocks[..., :-1]).all(1).mean((1, 2)), np.float64)


def codec(equal: Floats, power: Floats) -> list[str]:
    """Say so where noise was taken by a codec before.

    Parameters
    ----------
    equal:
        Of each block, from `equal_neighbours`.
    power:
        Squared DCT coefficients of the blocks in each channel, (N, C, 8, 8).
    """
    total = power.sum((1, 2, 3)) - power[:, :, 0, 0].sum(1)
    calm = np.argsort(total, kind="stable")[: max(1, len(total) // 5)]
    share = float(equal[calm].mean())
    low = float(np.median(power[calm][:, :, 1:4, 1:4].mean((1, 2, 3))))
    high = float(np.median(power[calm][:, :, 5:, 5:].mean((1, 2, 3))))
    # Rounding leaves a float's dust where nothing is.
    ratio = high / low if low > 1e-10 else 0.0
    if share < _FLAT or ratio > _LOW_PASS:
        return []
    seen = f"in the calmest fifth {share:.0%} of neighbouring pixels are equal"
    if low > 1e-10:
        seen += f" and high frequencies hold {ratio:.1%} of the power of low ones"
    return [f"{seen}: a codec's spectrum, or a drawn picture's, and no grain's"]
