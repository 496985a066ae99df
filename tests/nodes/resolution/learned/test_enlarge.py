"""Pictures enlarged by nets: held to their data, the same in tiles, whole with what no net was shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError
from safelight.nodes.resolution.learned.coding import LUMA, decode, encode
from safelight.nodes.resolution.learned.enlarge import TILE, departure, enlarge, halo, tileable
from safelight.nodes.resolution.learned.models import AREA, NAMES, SameSize, find, fingerprint
from safelight.nodes.resolution.learned.sampling import enlarged, reduced

torch: Any = pytest.importorskip("torch")
Make = Callable[..., Path]
ONE = Device("cpu", 1)


def scene(height: int, width: int, channels: int = 3, seed: int = 0) -> Any:
    """Return light with edges, fine noise, values over 1 and below 0."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = 0.2 + 0.1 * np.sin(x / 3.0 + y / 5.0) + 0.05 * random.standard_normal((channels, height, width))
    light[:, (x + 2 * y) % 23 < 6] *= 4
    light[:, height // 3 : height // 3 + 2, width // 2 :] += 30
    light[:, : height // 5, : width // 5] -= 0.4
    return light.astype(np.float32)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 17), (23, 5), (61, 47)])
@pytest.mark.parametrize("channels", [1, 3])
def test_reducing_gives_the_input_back(net_file: Make, scale: int, size: tuple[int, int], channels: int) -> None:
    light = scene(*size, channels)
    made = enlarge(light, scale, model=net_file(scale=scale), device=ONE)
    assert made.shape == (channels, scale * size[0], scale * size[1]) and made.dtype == np.float32
    assert np.abs(reduced(encode(made), scale) - encode(light)).max() < 1 / 4096


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 17), (23, 5), (61, 47)])
def test_means_of_light_are_given_back(net_file: Make, scale: int, size: tuple[int, int]) -> None:
    light = scene(*size)
    made = enlarge(light, scale, model=net_file(scale=scale, reduction="area"), device=ONE)
    mean = made.astype(np.float64).reshape(3, size[0], scale, size[1], scale).mean((2, 4))
    assert (np.abs(mean - light) / (np.abs(light) + 0.01)).max() < 1 / 4096


def test_against_the_slow_way(net_file: Make) -> None:
    """The whole, in double precision: Lanczos, what the net adds to luma, bounds, the way back."""
    from safelight.nodes.resolution.learned import storing
    from safelight.nodes.resolution.learned.enlarge import SWING
    from safelight.nodes.resolution.learned.sampling import mirrored, returning, spread
    from tests.nodes.resolution.learned.test_nets import slow

    path, light = net_file(channels=3, layers=3), scene(14, 11)
    code = encode(light).astype(np.float64)
    luma = np.einsum("chw,c->hw", code, [0.299, 0.587, 0.114])
    arrays = dict(storing.load(path).arrays)
    more = slow(arrays, mirrored(mirrored(luma, 3, 3, -1), 3, 3, -2), 2)
    assert np.abs(more).max() > 0.01
    made = enlarged(code, 2) + more
    near = np.pad(code, ((0, 0), (1, 1), (1, 1)), "symmetric")
    near = np.stack([near[:, y : y + 14, x : x + 11] for y in range(3) for x in range(3)])
    low, high = near.min(0), near.max(0)
    low, high = low - SWING * (high - low), high + SWING * (high - low)
    made = made.clip(low.repeat(2, 1).repeat(2, 2), high.repeat(2, 1).repeat(2, 2))
    made += spread(code - reduced(made, 2), returning("cubic", 2))
    np.testing.assert_allclose(encode(enlarge(light, 2, model=path, device=ONE)), made, atol=2e-6)


@pytest.mark.parametrize("reduction", ["bicubic", "area"])
@pytest.mark.parametrize("scale", [2, 4])
def test_parts_are_bit_identical_to_the_whole(net_file: Make, scale: int, reduction: str) -> None:
    path = net_file(scale=scale, reduction=reduction)
    light = scene(TILE + 31, TILE + 44)
    light[0, 70, 80] = np.nan
    whole, edge = enlarge(light, scale, model=path, device=ONE), halo(path, scale)
    random = np.random.default_rng(5)
    for _ in range(4):
        y, x = (int(random.integers(size - 90)) for size in light.shape[1:])
        height, width = (int(random.integers(60, 90)) for _ in range(2))
        y0, x0 = max(0, y - edge), max(0, x - edge)
        part = light[:, y0 : y + height + edge, x0 : x + width + edge]
        got = enlarge(part, scale, model=path, device=ONE)
        got = got[:, scale * (y - y0) :, scale * (x - x0) :][:, : scale * height, : scale * width]
        want = whole[:, scale * y : scale * (y + height), scale * x : scale * (x + width)]
        np.testing.assert_array_equal(got.view(np.uint32), want.view(np.uint32))


def test_threads_and_memory_do_not_show(net_file: Make) -> None:
    path, light = net_file(), scene(TILE + 9, TILE + 9)
    want = enlarge(light, 2, model=path, device=ONE)
    np.testing.assert_array_equal(enlarge(light, 2, model=path, device=Device("cpu", 3)), want)
    np.testing.assert_array_equal(enlarge(light, 2, model=path, device=Device("cpu", 2), memory=1 << 20), want)


def test_not_finite_is_handed_on_and_does_not_spread(net_file: Make) -> None:
    path, light = net_file(), scene(60, 60)
    clean = enlarge(light, 2, model=path, device=ONE)
    spoilt = light.copy()
    spoilt[0, 20, 30], spoilt[1, 20, 31], spoilt[2, 5, 5] = np.nan, np.inf, -np.inf
    spoilt[0, 40:50, 40:50] = np.nan
    made = enlarge(spoilt, 2, model=path, device=ONE)
    whole = spoilt.repeat(2, 1).repeat(2, 2)
    lost = ~np.isfinite(whole)
    np.testing.assert_array_equal(made[lost], whole[lost])
    assert np.isfinite(made[~lost]).all()
    far = np.ones((120, 120), bool)
    reach = halo(path)
    for y, x in ((20, 30), (20, 31), (5, 5), *((y, x) for y in (40, 49) for x in (40, 49))):
        far[max(0, 2 * (y - reach)) : 2 * (y + reach + 1), max(0, 2 * (x - reach)) : 2 * (x + reach + 1)] = False
    np.testing.assert_array_equal(made[:, far], clean[:, far])
    nothing = enlarge(np.full((1, 4, 5), np.nan, np.float32), 2, model=path, device=ONE)
    assert nothing.shape == (1, 8, 10) and np.isnan(nothing).all()


def test_colour_differences_are_resampled(net_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a net for luma adds to coded R, G and B is one plane; a grey picture stays grey."""
    from safelight.nodes.resolution.learned import enlarge as module
    from safelight.nodes.resolution.learned.sampling import returning, spread

    monkeypatch.setattr(module, "SWING", 1e6)  # bounds hold single channels back
    path, light = net_file(), scene(40, 40)
    code, made = encode(light), encode(enlarge(light, 2, model=path, device=ONE))
    plain = enlarged(code, 2)
    plain += spread(code - reduced(plain, 2), returning("cubic", 2))
    more = made - plain
    assert np.abs(more).max() > 0.02 and np.ptp(more, axis=0).max() < 1e-4
    grey = enlarge(light[:1].repeat(3, 0), 2, model=path, device=ONE)
    assert np.abs(encode(grey[0]) - encode(grey[1])).max() < 1e-5


def test_a_net_for_colour_adds_to_each(net_file: Make) -> None:
    """R, G and B go in together and come out together, nothing brings them back to what they were made from."""
    from safelight.nodes.resolution.learned import storing
    from safelight.nodes.resolution.learned.sampling import mirrored
    from tests.nodes.resolution.learned.test_nets import slow

    path, light = net_file(channels=3, layers=3, planes=3, repairs=True), scene(14, 11)
    code = encode(light).astype(np.float64)
    arrays = dict(storing.load(path).arrays)
    more = slow(arrays, mirrored(mirrored(code, 3, 3, -1), 3, 3, -2), 2)
    assert np.ptp(more, axis=0).max() > 0.01
    for share in (1, 0.3, 0):
        made = enlarge(light, 2, model=path, strength=share, device=ONE)
        np.testing.assert_allclose(encode(made), enlarged(code, 2) + share * more, atol=2e-6)


def test_twice_the_size_and_back(net_file: Make) -> None:
    """At the size that the picture has, each pixel is the mean light of its four; in parts too."""
    path, light = net_file(planes=3, repairs=True), scene(90, 70)
    net = SameSize(find(path, 2))
    large = enlarge(light, 2, model=path, device=ONE).astype(np.float64)
    made = enlarge(light, 1, model=net, device=ONE)
    want = large.reshape(3, 90, 2, 70, 2).mean((2, 4))
    np.testing.assert_allclose(encode(made), encode(want.astype(np.float32)), atol=3e-6)
    np.testing.assert_allclose(enlarge(light, 1, model=net, strength=0, device=ONE), light, rtol=1e-5, atol=1e-6)
    edge = halo(net, 1)
    part = enlarge(light[:, 20 - edge :, 30 - edge :], 1, model=net, device=ONE)[:, edge:, edge:]
    np.testing.assert_array_equal(part, made[:, 20:, 30:])


def test_values_beyond_survive(net_file: Make) -> None:
    light = np.full((3, 40, 40), 0.1, np.float32)
    light[:, 18:22, 18:22], light[:, 5, 5] = 400, -0.2
    made = enlarge(light, 2, model=net_file(), device=ONE)
    code, given = encode(made), encode(light)
    assert made.max() > 300 and made.min() < -0.1
    swing = given.max() - given.min()
    assert code.max() < given.max() + swing and code.min() > given.min() - swing


@pytest.mark.parametrize(("precision", "most"), [("float16", 0.1), ("bfloat16", 1.0)])
def test_halves_are_near(net_file: Make, precision: str, most: float) -> None:
    light = decode(np.random.default_rng(0).uniform(0.2, 0.8, (1, 40, 40)).astype(np.float32))
    light[0, 9:12, 9:12] = 3e37  # and no overflow
    path = net_file()
    want, got = (enlarge(light, 2, model=path, precision=kind, device=ONE) for kind in ("float32", precision))
    apart = np.abs(encode(got) - encode(want))[:, 30:, 30:]
    assert np.isfinite(got).all() and 0 < 255 * apart.max() < most


def test_departure() -> None:
    light = scene(30, 30)
    from safelight.nodes.resolution.learned.sampling import returning, spread

    code = encode(light)
    plain = enlarged(code, 2)
    plain = decode((plain + spread(code - reduced(plain, 2), returning("cubic", 2))).astype(np.float32))
    assert departure(light, plain, 2).shape == (60, 60) and departure(light, plain, 2).max() < 1e-3
    more = plain.copy()
    more[1, 31, 17] = 2 * more[1, 31, 17] + 0.01
    found = departure(light, more, 2)
    assert found[31, 17] == pytest.approx(1, abs=1e-3) and np.delete(found.ravel(), 31 * 60 + 17).max() < 1e-3
    light[0, 3, 3] = np.nan
    assert np.isfinite(departure(light, plain.repeat(1, 0), 2)).all()


def test_wrong_use(net_file: Make, tmp_path: Path) -> None:
    path, light = net_file(), scene(8, 8)
    for model, words in (
        ("mian", "Did you mean 'main'"),
        ("none", "Use main or fast"),
        (tmp_path / "none.safetensors", "no such weights"),
        (path, "enlarge 2 times, and 4 times is asked for"),
    ):
        with pytest.raises(GraphError) as caught:
            enlarge(light, 4, model=model, device=ONE)
        assert words in str(caught.value)
    with pytest.raises(GraphError, match="unknown precision 'half'"):
        enlarge(light, 2, model=path, precision="half", device=ONE)
    with pytest.raises(GraphError, match="Give one or three planes"):
        enlarge(light[:2], 2, model=path, device=ONE)
    odd = tmp_path / "weights.bin"
    odd.write_bytes(b"x")
    with pytest.raises(GraphError, match=r"unknown kind .\.bin."):
        enlarge(light, 2, model=odd, device=ONE)


def test_gpu_out_of_memory_takes_smaller_tiles_then_says_so(net_file: Make) -> None:
    """The processor stands in for a GPU that has no room for tiles over some size."""
    from safelight.nodes.resolution.learned import enlarge as module
    from safelight.nodes.resolution.learned.models import find

    path, light = net_file(), scene(150, 70)
    want = enlarge(light, 2, model=path, device=ONE)
    net = find(path, 2)
    most = 150

    class Full:
        scale, planes, margin, local, whole, consistent = 2, 1, net.margin, True, False, True
        reduction = net.reduction

        def added(self, code: Any, precision: str) -> Any:
            if code.shape[-1] > most:
                raise torch.cuda.OutOfMemoryError("full")
            return net.added(code, precision)

    job = module._Job(Full(), "float32", True, torch.from_numpy(light), torch.device("cpu"))
    out = torch.empty((3, 300, 140))

    def work(corner: tuple[int, int], sides: tuple[int, int]) -> None:
        (y, x), (h, w) = corner, sides
        made = job.tile(y, x, sides)[:, : 2 * (150 - y), : 2 * (70 - x)]
        out[:, 2 * y : 2 * (y + h), 2 * x : 2 * (x + w)] = made

    with pytest.warns(RuntimeWarning, match="out of GPU memory") as said:
        module._on_gpu(work, 150, 70, None, job)
    assert len(said) == 1
    np.testing.assert_array_equal(out.numpy(), want)
    most = 10
    with pytest.raises(RenderError, match="no memory for a tile of 64x64"), pytest.warns(RuntimeWarning):
        module._on_gpu(work, 150, 70, None, job)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.nodes.resolution.learned import models

    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        GraphError, match=r"torch and safetensors, not installed here\. pip install 'safelight\[learned\]'"
    ):
        models.available()


def test_nothing_imports_torch_before_it_is_used() -> None:
    code = "import sys, safelight.graph.registry as r; r.default_registry(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("scale", [2, 4])
def test_shipped(model: str, scale: int) -> None:
    light = scene(40, 30)
    made = enlarge(light, scale, model=model, device=ONE)
    if model in AREA.values():
        mean = made.reshape(3, 40, scale, 30, scale).mean((2, 4))
        assert (np.abs(mean - light) / (np.abs(light) + 0.01)).max() < 1 / 4096
    else:
        assert np.abs(reduced(encode(made), scale) - encode(light)).max() < 1 / 4096
    assert tileable(model, scale) and halo(model, scale) < 32 and len(fingerprint(model, scale)) == 64


def test_eight_times_is_four_then_two() -> None:
    light = scene(12, 9)
    want = enlarge(enlarge(light, 4, model="fast", device=ONE), 2, model="fast", device=ONE)
    np.testing.assert_array_equal(enlarge(light, 8, model="fast", precision="auto", device=ONE, memory=0), want)
    assert halo("fast", 8) >= halo("fast", 4) + halo("fast", 2) / 4


@pytest.mark.parametrize(("model", "gain"), [("main", 1.7), ("fast", 1.5)])
def test_shipped_on_photographs(data: Path, model: str, gain: float) -> None:
    """Four of Kodak's pictures, which no net was trained on, over Lanczos, through light and back."""
    from PIL import Image

    from safelight.nodes.resolution.learned.training.pictures import psnr

    gains = []
    for number in (1, 7, 15, 19):
        with Image.open(data / f"images/stills/kodak/{number:02}.png") as picture:
            full = np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1)[:, 100:292, 100:356] / 255
        low = np.rint(reduced(full, 2) * 255).astype(np.float32) / np.float32(255)
        made = encode(enlarge(decode(low), 2, model=model, device=ONE))
        luma = [np.einsum("chw,c->hw", x, LUMA).astype(np.float32) for x in (made, enlarged(low, 2), full)]
        gains.append(psnr(luma[0], luma[2], 4) - psnr(luma[1], luma[2], 4))
    assert np.mean(gains) > gain
