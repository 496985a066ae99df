"""Training: it learns, it goes on where it stopped, it gives the same again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned.nets import Shape
from safelight.nodes.resolution.learned.sampling import enlarged
from safelight.nodes.resolution.learned.training.loop import Recipe, State, Training, enlarge, entering
from safelight.nodes.resolution.learned.training.pictures import pair, psnr
from safelight.nodes.resolution.learned.training.recipes import NETS, STAGES, STEPS, grown, recipe

torch: Any = pytest.importorskip("torch")
PLAN = Recipe(Shape(8, 3, 2), steps=40, batch=4, side=20, rate=6e-3)


def edges(seed: int) -> Any:
    """Return luma full of sharp, slanted edges: what Lanczos softens and a net can learn to sharpen."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:192, :192].astype(np.float32)
    luma = np.zeros((192, 192), np.float32)
    for _ in range(24):
        angle, place, level = random.uniform(0, np.pi), random.uniform(-150, 250), random.uniform(-0.3, 0.3)
        luma += np.where(np.cos(angle) * x + np.sin(angle) * y > place, level, 0).astype(np.float32)
    return (luma - luma.min()) / np.ptp(luma)


@pytest.fixture(scope="module")
def pictures() -> Any:
    return [(False, pair(f"edges {k}", edges(k), 2)) for k in range(3)], [pair("held", edges(9), 2)]


def test_it_learns(pictures: Any) -> None:
    shown, held = pictures
    training = Training(PLAN, shown, held)
    told: list[int] = []
    state = training.run(every=20, tell=lambda state: told.append(state.step))
    known = psnr(enlarged(held[0].low, 2), held[0].full, 4)
    assert told == [20, 40] and state.step == 40
    assert state.losses[-1][1] < state.losses[0][1]
    assert state.scores[-1][1] > known + 0.05
    assert training.weights["0.weight"].sum((2, 3)).abs().max() < 1e-5, "the first kernels sum to nothing"


def test_colour_is_trained_too(pictures: Any) -> None:
    tint = np.float32([1, 0.7, 0.4])[:, None, None]
    *shown, held = (pair(f"edges {k}", edges(k) * tint, 2) for k in (0, 1, 2, 9))
    training = Training(replace(PLAN, shape=Shape(8, 3, 2, 3), steps=100), [(False, one) for one in shown], [held])
    state = training.run(every=20)
    known = psnr(enlarged(held.low, 2), held.full, 4)
    assert state.scores[-1][1] > known + 0.05
    assert enlarge(training.mean, held.low, 2).shape == (3, 192, 192)


def test_resumed_is_the_same(pictures: Any, tmp_path: Path) -> None:
    shown, held = pictures
    whole = Training(PLAN, shown, held)
    whole.run(every=20)
    part = Training(PLAN, shown, held)

    class Stop(Exception):  # noqa: N818
        pass

    def stop(state: State) -> None:
        if state.step == 20:
            raise Stop

    with pytest.raises(Stop):
        part.run(every=20, checkpoint=tmp_path / "c", tell=stop)
    again = Training(PLAN, shown, held)
    again.load(tmp_path / "c")
    assert again.state.step == 20
    again.run(every=20)
    for name, value in whole.mean.items():
        assert torch.equal(value, again.mean[name]), name
    assert again.state.losses == whole.state.losses


def test_checkpoints_that_do_not_fit(pictures: Any, tmp_path: Path) -> None:
    shown, held = pictures
    path = tmp_path / "c"
    Training(PLAN, shown, held).save(path)
    with pytest.raises(GraphError, match="of another recipe"):
        Training(Recipe(Shape(8, 3, 2), steps=41, batch=4, side=20), shown, held).load(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(GraphError, match="no whole checkpoint"):
        Training(PLAN, shown, held).load(path)


def test_the_clock_ends_it(pictures: Any) -> None:
    shown, held = pictures
    training = Training(Recipe(Shape(8, 3, 2), steps=10**6, batch=4, side=24), shown, held)
    state = training.run(minutes=0.01, every=10**6)
    assert 0 < state.step < 10**5 and len(state.losses) == 1


def test_grown_nets_make_the_same() -> None:
    plan = PLAN.shape
    small = {name: value.numpy() for name, value in Training(PLAN, [(False, pair("x", edges(0), 2))], []).mean.items()}
    low = pair("x", edges(1), 2).low[:40, :40]
    tensors = {name: torch.from_numpy(array) for name, array in small.items()}
    large = grown(small, plan, Shape(24, 5, 2), 0)
    assert {name: tuple(value.shape) for name, value in large.items()}["4.weight"] == (4, 24, 3, 3)
    got, want = enlarge(large, low, 2), enlarge(tensors, low, 2)
    np.testing.assert_allclose(got[4:-4, 4:-4], want[4:-4, 4:-4], atol=1e-6)
    assert not torch.equal(large["1.weight"][:, :8], large["1.weight"][:, 8:16]), "twins would learn the same for ever"
    other = grown(small, plan, Shape(8, 3, 4), 0)
    assert other["2.weight"].shape == (16, 8, 3, 3) and other["1.weight"].equal(tensors["1.weight"])
    with pytest.raises(ValueError, match="cannot be grown"):
        grown(small, plan, Shape(12, 3, 2), 0)


def test_what_enters_layers() -> None:
    from safelight.nodes.resolution.learned.nets import fresh

    weights = fresh(PLAN.shape, 0)
    found = entering(weights, [np.full((9, 9), 0.7, np.float32)])
    assert found[0] == pytest.approx(0.7) and len(found) == 3
    assert found[1] == pytest.approx(0, abs=1e-5), "nothing of flat light enters beyond the first layer"


def test_recipes() -> None:
    for (net, scale), steps in STEPS.items():
        plan = recipe(net, scale)
        assert plan.shape == Shape(*{**NETS, **STAGES}[net][:2], scale, {**NETS, **STAGES}[net][2])
        assert plan.steps == steps and plan.side > 2 * plan.shape.halo


def test_the_sequence_has_as_many_weights_and_steps() -> None:
    """A comparison of two ways says something only if both were given the same."""
    whole, *parts = (recipe(net, scale) for net, scale in (("restore", 2), ("clean", 1), ("enlarge", 2)))
    assert sum(part.shape.parameters for part in parts) == pytest.approx(whole.shape.parameters, rel=0.01)
    for part in parts:
        assert (part.steps, part.batch, part.side, part.rate, part.squares, part.seed) == (
            whole.steps, whole.batch, whole.side, whole.rate, whole.squares, whole.seed,
        )  # fmt: skip
