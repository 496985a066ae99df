"""PQ, HLG, primaries and ICtCp against colour-science and OpenColorIO, which know nothing of ours."""

from __future__ import annotations

import numpy as np
import PyOpenColorIO as OCIO
import pytest

import colour as oracle  # colour-science
from safelight.colour.ictcp import ictcp, ictcp_light
from safelight.colour.primaries import CHROMATICITIES, D65, from_xyz, to_xyz
from safelight.colour.transfer import hlg, hlg_gamma, hlg_light, hlg_scene, hlg_signal, pq, pq_light

LIGHT = np.concatenate([[0.0], np.geomspace(1e-5, 10000, 400)])
NAMES = {"rec709": "ITU-R BT.709", "rec2020": "ITU-R BT.2020", "p3d65": "Display P3"}


def colours(count: int = 500, peak: float = 4000.0) -> np.ndarray:
    """Return linear Rec.2020 light (3, n), black, greys and near-black among it."""
    random = np.random.default_rng(5)
    light = peak * random.random((3, count)) ** 4
    light[:, :20] = np.geomspace(1e-4, peak, 20)
    light[:, 20] = 0
    return light


def test_pq_is_the_published_one() -> None:
    np.testing.assert_allclose(pq(LIGHT), oracle.models.eotf_inverse_ST2084(LIGHT), rtol=1e-9, atol=1e-12)
    signal = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(pq_light(signal)[1:], oracle.models.eotf_ST2084(signal)[1:], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(pq_light(pq(LIGHT)), LIGHT, rtol=1e-9, atol=1e-12)


def test_pq_beyond_its_ends() -> None:
    assert pq(-1.0) == pq(0.0) and pq_light(-0.1) == pq_light(0.0) == 0
    assert pq_light(pq(20000.0)) == pytest.approx(20000, rel=1e-6)
    assert pq_light(2.5) == np.inf and np.isnan(pq(np.nan)) and np.isnan(pq_light(np.nan))


def test_pq_is_opencolorios() -> None:
    """OCIO's curve has 1.0 at 100 cd/m² and interpolates a table: to 1e-4 of the light."""
    signal = np.linspace(0.05, 1, 200, dtype=np.float32)
    group = OCIO.GroupTransform([OCIO.BuiltinTransform("CURVE - ST-2084_to_LINEAR")])
    processor = OCIO.Config.CreateRaw().getProcessor(group).getOptimizedCPUProcessor(OCIO.OPTIMIZATION_LOSSLESS)
    rgb = np.repeat(signal[:, None], 3, axis=1).copy()
    processor.applyRGB(rgb)
    np.testing.assert_allclose(rgb[:, 1] * 100, pq_light(signal), rtol=2e-4)


def test_hlg_is_the_published_one() -> None:
    scene = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(hlg(scene), oracle.models.oetf_BT2100_HLG(scene), atol=1e-9)
    np.testing.assert_allclose(hlg_scene(hlg(scene)), scene, atol=1e-12)
    # Rec. ITU-R BT.2408: reference white of 203 cd/m² on a display of 1,000 is signal 0.75.
    assert hlg_signal(np.full(3, 203.0))[0] == pytest.approx(0.75, abs=0.002)


@pytest.mark.parametrize("peak", [100.0, 600.0, 1000.0, 2000.0, 4000.0])
def test_hlg_on_a_display(peak: float) -> None:
    signal = hlg(np.maximum(colours(peak=1.0), 1e-9))  # theirs divides by black
    want = oracle.models.eotf_BT2100_HLG(signal.T, L_B=0, L_W=peak, gamma=hlg_gamma(peak)).T
    np.testing.assert_allclose(hlg_light(signal, peak), want, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(hlg_signal(hlg_light(signal, peak), peak), signal, atol=1e-9)
    assert not hlg_light(np.zeros(3), peak).any() and not hlg_signal(np.zeros(3), peak).any()


def test_system_gamma_is_steady_where_its_formulas_meet() -> None:
    assert hlg_gamma(1000) == pytest.approx(1.2) and hlg_gamma(399.9) == pytest.approx(hlg_gamma(400), abs=0.02)
    assert hlg_gamma(2000) == pytest.approx(hlg_gamma(2000.1), abs=0.01)


@pytest.mark.parametrize("name", CHROMATICITIES)
def test_primaries(name: str) -> None:
    want = oracle.RGB_COLOURSPACES[NAMES[name]]
    np.testing.assert_allclose(to_xyz(name), want.matrix_RGB_to_XYZ, atol=3e-4)
    np.testing.assert_allclose(from_xyz(name) @ D65, np.ones(3), atol=1e-12)


def test_ictcp_is_the_published_one() -> None:
    light = colours()
    want = oracle.RGB_to_ICtCp(light.T, method="ITU-R BT.2100-2 PQ").T
    np.testing.assert_allclose(ictcp(to_xyz("rec2020") @ light), want, atol=1e-9)


def test_ictcp_turns_round() -> None:
    xyz = to_xyz("rec2020") @ colours()
    np.testing.assert_allclose(ictcp_light(ictcp(xyz)), xyz, rtol=1e-6, atol=1e-6)
    assert ictcp(np.ones((3, 4, 5))).shape == ictcp_light(np.zeros((3, 4, 5))).shape == (3, 4, 5)
