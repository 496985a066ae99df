"""The grain of a film layer as a random field on pixels: aperture, spectrum, pixel covariance, kernel.

Model: density noise with the Wiener spectrum of Gaussian dye clouds, W(f) = W0 exp(-4 pi² s² f²), s the cloud's sigma.
A 48 µm disc reads sigma48 (Selwyn granularity, corrected for the cloud's size); a square pixel of side p averages what
lies in it. Everything here is float64 and exact but for rounding and the kernel's stated truncation.

Density noise is not quite normal: few clouds make it skewed (`dye_cloud_skewness`, `bend`).

Sources: J. C. Dainty and R. Shaw, Image Science, 1974, chapters 8-9 (Wiener spectrum, scanning aperture, Selwyn's
law); the pixel covariance is the autocorrelation of the square pixel, a separable triangle, applied to the Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import erf, i0e, i1e

Floats = npt.NDArray[np.float64]

DISC_UM = 48.0
"""Diameter of the microdensitometer's aperture that granularity is published for, µm."""
MAX_HALF = 64
"""Largest half-width of the kernel, pixels."""
TRUNCATION = 3e-4
"""Largest error of any covariance that cutting the kernel may cause, relative to the variance."""
RED_GREEN, GREEN_BLUE = 0.18, 0.30
"""Correlation of the layers' grain, a prior: no measurement is published. The dyes absorb in each other's bands, so a
density record also sees the next layer's grain; this is what typical dye spectra give. Red and blue hardly overlap."""


def aperture_factor(cloud_um: float, diameter_um: float = DISC_UM) -> float:
    """Return F: the variance through a disc over that of white grain of the same W0 (W0 / area).

    F = 1 - exp(-q) [I0(q) + I1(q)], q = r² / (2 s²).
    """
    q = (0.5 * diameter_um) ** 2 / (2.0 * cloud_um**2)
    return float(1.0 - (i0e(q) + i1e(q)))


def wiener_zero(sigma48: float, cloud_um: float) -> float:
    """Return W0, the Wiener spectrum at frequency 0, density² µm², from sigma of density through the 48 µm disc."""
    area = np.pi * (0.5 * DISC_UM) ** 2
    return float(sigma48**2 * area / aperture_factor(cloud_um))


def pixel_overlaps(cloud_um: float, pitch_um: float, lags: int) -> Floats:
    """Return c_j for j = 0 … lags: the integral over u of tri_p(u) exp(-(j p + u)² / (4 s²)), µm⁰.

    Closed form: the second difference of the second antiderivative of the Gaussian.
    """
    a, p = 2.0 * cloud_um, pitch_um
    x = p * np.arange(-1, lags + 2)

    second = 0.5 * a * np.sqrt(np.pi) * x * erf(x / a) + 0.5 * a * a * np.exp(-((x / a) ** 2))
    return np.asarray(np.diff(second, 2) / p**2)


def covariance(sigma48: float, cloud_um: float, pitch_um: float, lags: int) -> Floats:
    """Return the (lags + 1, lags + 1) covariance of pixel densities at lag (i, j), density²."""
    c = pixel_overlaps(cloud_um, pitch_um, lags)
    return wiener_zero(sigma48, cloud_um) / (4.0 * np.pi * cloud_um**2) * np.outer(c, c)


def pixel_ratio(cloud_um: float, pitch_um: float) -> float:
    """Return sigma of a pixel's density over sigma48."""
    return float(np.sqrt(covariance(1.0, cloud_um, pitch_um, 0)[0, 0]))


def dye_cloud_skewness(sigma48: npt.ArrayLike, net: npt.ArrayLike, cloud_um: float, pitch_um: float) -> Floats:
    """Return the skewness of a pixel's density, were it made of equal Gaussian dye clouds strewn at random (Poisson).

    Clouds are few where much noise stands in little density: lambda = net² / W0 of them lie on a µm². The cumulants of
    such a field are lambda times the integrals of the powers of one cloud as a pixel sees it (Campbell's theorem; S. O.
    Rice, Bell System Technical Journal 23, 1944), so that the skewness is T² / (S³ sqrt(lambda)), with S and T the
    integrals of the square and the cube of a cloud of unit dye along one axis.

    Parameters
    ----------
    sigma48:
        Sigma of density through the 48 µm disc.
    net:
        Density above D-min there, above 0.
    """
    reach, step = 0.5 * pitch_um + 9.0 * cloud_um, cloud_um / 32.0
    x = np.linspace(-reach, reach, 2 * int(np.ceil(reach / step)) + 1)
    a = cloud_um * np.sqrt(2.0)
    seen = (erf((x + 0.5 * pitch_um) / a) - erf((x - 0.5 * pitch_um) / a)) / (2.0 * pitch_um)
    square, cube = (float(np.sum(seen**power)) * (x[1] - x[0]) for power in (2, 3))
    root_w0 = np.asarray(sigma48, np.float64) * np.sqrt(wiener_zero(1.0, cloud_um))
    return np.asarray(cube**2 / square**3 * root_w0 / np.asarray(net, np.float64))


def bend(skewness: npt.ArrayLike) -> Floats:
    """Return s, 0 to 1: with g a standard normal, sqrt(1 - s²) g + s (g² - 1) / sqrt(2) has that skewness.

    Its mean is 0 and its variance 1, exactly, for every s; its skewness sqrt(2) (3 s - s³), at most 2 sqrt(2), beyond
    which it is held. Where g has the covariance C it has (1 - s²) C + s² C²: at a skewness of 0.66 at most 0.6 % of the
    variance less than C.

    >>> s = bend(0.66)
    >>> round(float(np.sqrt(2) * (3 * s - s**3)), 9)
    0.66
    """
    third = np.clip(np.asarray(skewness, np.float64), 0.0, np.sqrt(8.0)) / np.sqrt(8.0)
    return np.asarray(2.0 * np.sin(np.arcsin(third) / 3.0))


@dataclass(frozen=True, eq=False)
class Kernel:
    """One-dimensional zero-phase kernel: white noise filtered by it along rows and columns has the grain's covariance.

    `taps[j]` is the weight at distance j, j = 0 … half; the squares of all 2 half + 1 weights sum to 1.
    """

    taps: Floats
    error: float
    """Largest error of a covariance, relative to the variance, in one dimension."""

    @property
    def half(self) -> int:
        """Half-width in pixels."""
        return self.taps.size - 1


@lru_cache(maxsize=256)
def kernel(cloud_um: float, pitch_um: float) -> Kernel:
    """Return the kernel, as short as `TRUNCATION` allows.

    Raises ValueError where the pitch is so fine that the half-width would pass `MAX_HALF`.
    """
    lags = 4 * MAX_HALF
    c = pixel_overlaps(cloud_um, pitch_um, lags)
    c = c / c[0]
    spectrum = np.fft.rfft(np.concatenate([c, c[-2:0:-1]])).real
    full = np.fft.irfft(np.sqrt(np.maximum(spectrum, 0.0)))[: lags + 1]
    for half in range(1, MAX_HALF + 1):
        taps = full[: half + 1] / np.sqrt(full[0] ** 2 + 2.0 * np.sum(full[1 : half + 1] ** 2))
        both = np.concatenate([taps[:0:-1], taps])
        made = np.zeros(lags + 1)
        made[: 2 * half + 1] = np.correlate(both, both, "full")[2 * half :]
        error = float(np.max(np.abs(made - c)))
        if error <= TRUNCATION:
            return Kernel(taps, error)
    raise ValueError(f"pixels of {pitch_um:g} µm are too fine for grain of {cloud_um:g} µm")


def layer_weights(correlation: float) -> Floats:
    """Return the (3, 3) weights that make correlated noise of independent noise: layer c is sum_j weights[c, j] w_j.

    A factor of the correlation matrix, as Cholesky's is, of `correlation` (0 to 1) times the prior `RED_GREEN`,
    `GREEN_BLUE`: R and B keep their own noise and G takes a share of both. Every row's squares sum to 1: no layer's
    sigma or spectrum changes. For other matrices than these a full factorisation would be needed.

    >>> weights = layer_weights(1.0)
    >>> (weights @ weights.T).round(3).tolist()
    [[1.0, 0.18, 0.0], [0.18, 1.0, 0.3], [0.0, 0.3, 1.0]]
    """
    red, blue = correlation * RED_GREEN, correlation * GREEN_BLUE
    return np.array([[1.0, 0.0, 0.0], [red, np.sqrt(1.0 - red**2 - blue**2), blue], [0.0, 0.0, 1.0]])


def pixel_correlation(r: float, cloud_a: float, cloud_b: float, pitch_um: float) -> float:
    """Return what pixels of two layers correlate by when the white noise beneath them does by r.

    r (sum over j of h_a(j) h_b(j))², with h the layers' one-dimensional kernels: r itself where the dye clouds are of
    one size, less where they differ (the coherence is r at every frequency, the spectra are not the same).
    """
    a, b = kernel(cloud_a, pitch_um).taps, kernel(cloud_b, pitch_um).taps
    n = min(a.size, b.size)
    return r * float(2.0 * np.sum(a[:n] * b[:n]) - a[0] * b[0]) ** 2


def disc_kappa(weights: Floats, cloud_um: float, pitch_um: float) -> float:
    """Return kappa: what a weighted sum of pixels reads over what the disc on the film reads.

    kappa² = sum over k, l of w_k w_l C(k - l) / sigma48². Divide a reading by it.
    """
    rows, columns = weights.shape
    lag = covariance(1.0, cloud_um, pitch_um, max(rows, columns) - 1)
    spread = np.fft.irfft2(
        np.abs(np.fft.rfft2(weights, (2 * rows - 1, 2 * columns - 1))) ** 2, (2 * rows - 1, 2 * columns - 1)
    )
    i = np.minimum(np.arange(2 * rows - 1), np.arange(2 * rows - 1)[::-1] + 1)
    j = np.minimum(np.arange(2 * columns - 1), np.arange(2 * columns - 1)[::-1] + 1)
    return float(np.sqrt(np.sum(spread * lag[np.ix_(i, j)])))


def spectrum_1d(cloud_um: float, pitch_um: float, frequency: npt.ArrayLike) -> Floats:
    """Return the power spectrum of pixel rows at `frequency` (cycles a pixel), relative to variance 1 (mean 1).

    A field's two-dimensional spectrum is the product of this over both axes. Aliasing is inside.
    """
    lags = 4 * MAX_HALF
    c = pixel_overlaps(cloud_um, pitch_um, lags)
    f = np.asarray(frequency, np.float64)
    return np.asarray(1.0 + 2.0 * np.cos(2.0 * np.pi * np.multiply.outer(f, np.arange(1, lags + 1))) @ (c[1:] / c[0]))
