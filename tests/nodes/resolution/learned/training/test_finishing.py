"""The last part of training: its loss is what it says, and what it counts gets less."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from safelight.nodes.resolution.learned.binning import binned
from safelight.nodes.resolution.learned.nets import Shape, fresh
from safelight.nodes.resolution.learned.sampling import enlarged, reduced, returning, spread
from safelight.nodes.resolution.learned.training.drawn import SIDE, drawing, drawings
from safelight.nodes.resolution.learned.training.finishing import EDGE, Finish, back, finishing
from safelight.nodes.resolution.learned.training.loop import Recipe, Training, enlarge
from safelight.nodes.resolution.learned.training.patches import Patches
from safelight.nodes.resolution.learned.training.pictures import Picture, pair, phased
from safelight.nodes.resolution.learned.training.recipes import recipe

torch: Any = pytest.importorskip("torch")


def picture(scale: int, *, drawn: bool) -> Picture:
    """Return a drawing under a ramp, with its phases; as a drawing, or not."""
    luma = drawing(96, 1, 3) * np.float32(0.8) + np.linspace(0, 0.2, 96, dtype=np.float32)
    made = phased(luma, scale, lambda shown: pair("one", shown, scale, codes=False))
    return replace(made, drawn=drawn)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("shape", [(8, 12), (5, 9)])
def test_back_gives_the_data_back(scale: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(scale)
    code = torch.from_numpy(random.uniform(0, 1, (2, 1, *shape)).astype(np.float32))
    made = torch.from_numpy(random.uniform(0, 1, (2, 1, scale * shape[0], scale * shape[1])).astype(np.float32))
    np.testing.assert_allclose(reduced(back(made, code, scale, "bicubic"), scale)[..., 2:-2, 2:-2],
                               code[..., 2:-2, 2:-2], atol=0.02)  # fmt: skip
    np.testing.assert_allclose(binned(back(made, code, scale, "area"), scale), code, atol=2e-3)


@pytest.mark.parametrize("scale", [2, 4])
def test_places_come_twice(scale: int) -> None:
    one = picture(scale, drawn=True)
    side, halo, seen = 14, 3, set()
    patches = Patches([(False, one)], scale, side, halo, 7)
    for _ in range(40):
        twice = patches.twice(2)
        assert twice.low.shape == (4, 1, side, side) and twice.drawn.tolist() == [1] * 4
        down, right = twice.shift
        seen.add((twice.shift, twice.turns))
        first, second = (twice.upright(half)[:, 0] for half in torch.from_numpy(twice.full.copy()).chunk(2))
        assert torch.equal(first[:, down:, right:], second[:, : second.shape[1] - down, : second.shape[2] - right])
        lows = twice.upright(torch.from_numpy(twice.low.copy()))[:, 0].numpy()
        fulls = torch.cat([first, second]).numpy()
        for low, full in zip(lows, fulls, strict=True):
            # Where a patch lies is told by what lies in its middle.
            [(y, x)] = [
                (y, x)
                for y in range(96 - len(full) + 1)
                for x in range(96 - len(full) + 1)
                if one.full[y, x] == full[0, 0] and np.array_equal(one.full[y:, x:][: len(full), : len(full)], full)
            ]
            start = one.full[y % scale :, x % scale :]
            start = start[: len(start) // scale * scale, : start.shape[1] // scale * scale]
            want = reduced(start, scale)[y // scale - halo :, x // scale - halo :][:side, :side]
            np.testing.assert_allclose(low, want, atol=1e-6)
    assert len({shift for shift, _ in seen}) > scale and len({turns for _, turns in seen}) == 8
    assert (0, 0) not in {shift for shift, _ in seen}


@pytest.mark.parametrize("drawn", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_loss_is_what_it_says(drawn: bool, channels: int) -> None:
    """An obvious reference in double precision, of a net that adds nothing."""
    scale, shape, side = 2, Shape(4, 3, 2, channels), 22
    one = picture(scale, drawn=drawn)
    if channels == 3:
        one = replace(one, full=np.stack([one.full] * 3), low=np.stack([one.low] * 3),
                      phases=tuple(np.stack([low] * 3) for low in one.phases))  # fmt: skip
    weights = fresh(shape, 0)
    weights["2.weight"].zero_()
    weights["2.weight"].requires_grad_()
    finish = Finish(0.7, 20)
    loss, mean = finishing(weights, shape, Patches([(False, one)], scale, side, 3, 5), 2, finish, "cpu")

    twice = Patches([(False, one)], scale, side, 3, 5).twice(2)
    cut = EDGE * scale
    code = twice.low.astype(np.float64)
    inner = code[..., 3:-3, 3:-3]
    made = enlarged(code, scale)[..., 6:-6, 6:-6]
    made = made + spread(inner - reduced(made, scale), returning("cubic", scale))
    made, full = made[..., cut:-cut, cut:-cut], twice.full[..., cut:-cut, cut:-cut].astype(np.float64)
    error = made - full
    want = np.mean(error**2)
    upright = [np.rot90(half, -(twice.turns & 3), (-2, -1)) for half in (error[:2], error[2:])]
    first, second = (half.swapaxes(-1, -2) if twice.turns & 4 else half for half in upright)
    (down, right), (height, width) = twice.shift, error.shape[-2:]
    apart = [
        (first[..., y + down, x + right] - second[..., y, x]) ** 2
        for y in range(height - down)
        for x in range(width - right)
    ]
    want += 0.7 * np.mean(apart)
    beyond = []
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            near = full[..., y - 1 : y + 2, x - 1 : x + 2]
            got = made[..., y, x]
            beyond.append(np.maximum(0, np.maximum(got - near.max((-2, -1)), near.min((-2, -1)) - got)) ** 2)
    want += 20 * np.mean(beyond) * drawn
    assert float(loss.detach()) == pytest.approx(want, rel=1e-3)
    assert mean == pytest.approx(np.abs(error).mean(), rel=1e-4)
    loss.backward()
    assert weights["2.weight"].grad.abs().max() > 0


def test_pictures_without_a_pixel_to_spare_are_left_out() -> None:
    tight = phased(np.zeros((40, 60), np.float32), 2, lambda shown: pair("tight", shown, 2))
    patches = Patches([(False, tight), (False, picture(2, drawn=False))], 2, 20, 3, 0)
    assert all(patches.twice(1).full.std() > 0 for _ in range(20))


def apart(weights: Any, one: Picture) -> float:
    """Return how far results are apart that begin a pixel further on."""
    first, second = (enlarge(weights, one.phases[at], 2) for at in (0, 3))
    return float(np.square(first[1:, 1:][8:80, 8:80] - second[8:80, 8:80]).mean() ** 0.5)


def beyond(weights: Any, one: Picture) -> float:
    """Return how far the result leaves its true surroundings."""
    made = back(torch.from_numpy(enlarge(weights, one.low, 2)), torch.from_numpy(one.low), 2, "bicubic")[None]
    full = torch.from_numpy(one.full)[None]
    top, bottom = (sign * torch.nn.functional.max_pool2d(sign * full, 3, 1) for sign in (1, -1))
    inner = made[:, 1:-1, 1:-1]
    return float(((inner - top).clamp(min=0) + (bottom - inner).clamp(min=0)).square().mean() ** 0.5)


def test_what_counts_gets_less() -> None:
    shown = drawings([(False, Picture("", np.zeros((4 * SIDE, 4 * SIDE), np.float32), np.zeros(1)))], 2, 1, 0,
                     share=0.25, phases=True)  # fmt: skip
    assert len(shown) == 4 and all(one.drawn and len(one.phases) == 4 for _, one in shown)
    one = picture(2, drawn=True)

    def trained(finish: Finish) -> Any:
        plan = Recipe(Shape(12, 3, 2), 150, batch=4, side=28, rate=4e-3, squares=1, finish=finish)
        training = Training(plan, shown, [])
        training.run(every=150)
        return training.mean

    neither, steady, even = (trained(Finish(*weights)) for weights in ((0, 0), (20, 0), (0, 300)))
    assert apart(steady, one) < 0.95 * apart(neither, one)
    assert beyond(even, one) < 0.8 * beyond(neither, one)


def test_what_is_finished() -> None:
    for scale in (2, 4):
        for net in ("fast", "main"):
            plain, area = recipe(net, scale).finish, recipe(net, scale, worn="area").finish
            assert plain and area and plain.even > 0 and plain.steady > 0
            assert plain.reduction == "bicubic" and area == replace(plain, reduction="area")
            assert recipe(net, scale, worn="film").finish is None, "nothing is brought back to what is wrong"
    assert recipe("restore", 2, worn="film").finish is None and recipe("enlarge", 2).finish is None


@pytest.mark.parametrize("reduction", ["bicubic", "area"])
def test_what_is_scored_is_what_one_gets(reduction: str) -> None:
    """The score is that of the picture brought back, as `enlarge` of the node makes it."""
    from safelight.nodes.resolution.learned import storing
    from safelight.nodes.resolution.learned.coding import decode, encode
    from safelight.nodes.resolution.learned.enlarge import enlarge as whole
    from safelight.nodes.resolution.learned.models import Plain

    shape, low = Shape(8, 3, 2), np.random.default_rng(0).uniform(0.2, 0.8, (30, 41)).astype(np.float32)
    weights = fresh(shape, 1)
    stored = storing.Stored(shape, {k: v.numpy() for k, v in weights.items()}, False, (), {}, reduction)
    want = encode(whole(decode(low[None]), 2, model=Plain(stored)))[0]
    np.testing.assert_allclose(enlarge(weights, low, 2, reduction), want, atol=2e-5)
    assert np.abs(enlarge(weights, low, 2) - want).max() > 1e-3
