"""A virtual microdensitometer: reads the granularity of flat patches from density pictures.

A disc of 48 µm is laid over the pixel grid and the density under it averaged; sigma over many places is what a
published granularity means, but for the pixels: they blur what the disc sees, and it reads low. `kappa` says by how
much for grain of a given cloud size, and readings are divided by it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from safelight.nodes.grain.spectrum import DISC_UM, disc_kappa

Floats = npt.NDArray[np.float64]


def disc_weights(diameter_um: float, pitch_um: float) -> Floats:
    """Return the share of the disc that lies in each pixel: (k, k), k odd, sum 1, centred on a pixel's centre.

    Coverage by exact integration over columns of 64 sub-lines a pixel.
    """
    radius = 0.5 * diameter_um / pitch_um
    half = int(np.ceil(radius - 0.5))
    lines = 64
    x = (np.arange((2 * half + 1) * lines) + 0.5) / lines - (half + 0.5)
    reach = np.sqrt(np.maximum(radius**2 - x**2, 0.0))
    edges = np.arange(2 * half + 2) - (half + 0.5)
    top = np.clip(edges[1:, None], -reach, reach)
    bottom = np.clip(edges[:-1, None], -reach, reach)
    cover = (top - bottom).reshape(2 * half + 1, 2 * half + 1, lines).mean(-1)
    cover = 0.5 * (cover + cover.T)
    return np.asarray(cover / cover.sum())


class Microdensitometer:
    """A disc aperture on a pixel grid.

    Parameters
    ----------
    pitch_um:
        Distance of pixels on the film, µm.
    diameter_um:
        Diameter of the disc, µm.
    """

    def __init__(self, pitch_um: float, diameter_um: float = DISC_UM) -> None:
        self.pitch_um = pitch_um
        self.weights = disc_weights(diameter_um, pitch_um)

    def kappa(self, cloud_um: float) -> float:
        """Return how low the disc on this grid reads for Gaussian clouds of that sigma (1: as on film)."""
        return disc_kappa(self.weights, cloud_um, self.pitch_um)

    def readings(self, density: npt.ArrayLike, step: int = 0) -> Floats:
        """Return the mean density under the disc at places `step` pixels apart; 0 lays the discs side by side.

        `density`: (H, W). Places where the disc would leave the picture are left out.
        """
        picture = np.asarray(density)
        size = self.weights.shape[0]
        step = step or size
        if picture.ndim != 2 or min(picture.shape) < size:
            raise ValueError(f"a density picture must be (H, W) and at least {size} pixels wide and high")
        rows = (picture.shape[0] - size) // step + 1
        columns = (picture.shape[1] - size) // step + 1
        total = np.zeros((rows, columns))
        for (y, x), weight in np.ndenumerate(self.weights):
            if weight > 0:
                total += weight * picture[y : y + (rows - 1) * step + 1 : step, x : x + (columns - 1) * step + 1 : step]
        return total

    def sigma(self, density: npt.ArrayLike, cloud_um: float, step: int = 0) -> float:
        """Return sigma of density that a 48 µm disc would read on the film itself, from one flat patch (H, W)."""
        return float(np.std(self.readings(density, step), ddof=1) / self.kappa(cloud_um))
