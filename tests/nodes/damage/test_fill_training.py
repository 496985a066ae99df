"""Training of the net for holes: damage as film has it, it learns, it goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.errors import GraphError
from safelight.nodes.damage import fill_training as fill
from safelight.nodes.damage.draws import Draws
from safelight.nodes.damage.fill_training import FillRecipe, FillTraining, damage, psnr, spoiled
from safelight.nodes.resolution.learned.filling import FillShape, find

torch: Any = pytest.importorskip("torch")
PLAN = FillRecipe(FillShape(8, 8, 8), steps=40, batch=3, side=64, rate=4e-3)


def stripes(seed: int) -> Any:
    """A coded picture of fine, slanted lines: what runs on from a hole's edges misses their curves."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :176].astype(np.float32)
    far = np.hypot(y - random.uniform(-50, 50), x - random.uniform(-50, 50))
    return np.stack([0.5 + 0.4 * np.sin(far / 3 + c) for c in range(3)]).astype(np.float32)


@pytest.fixture(scope="module")
def shown() -> Any:
    return [spoiled(str(k), stripes(k), k, noise=0.0) for k in range(3)]


def test_damage_takes_its_share_and_repeats() -> None:
    kinds = {kind: damage((300, 400), Draws(1, 2), (kind,)) for kind in fill.KINDS}
    for one in kinds.values():
        assert 0.02 < one.mean() < 0.12
    assert kinds["scratches"].sum(0).max() > 100 and kinds["blobs"].sum() > 0
    np.testing.assert_array_equal(damage((90, 60), Draws(5)), damage((90, 60), Draws(5)))
    assert damage((1, 1), Draws(1)).shape == (1, 1)


def test_only_holes_are_filled(shown: Any) -> None:
    one, full = shown[0], stripes(0)
    np.testing.assert_allclose(one.base[:, ~one.hole], full[:, ~one.hole], atol=2e-3)
    assert 5 < psnr(one.base.astype(np.float32), full, one.hole) < 40
    grained = spoiled("x", full, 0, noise=0.03)
    np.testing.assert_array_equal(grained.hole, one.hole)
    off = (grained.base - full)[:, ~one.hole]
    assert float(off.std()) == pytest.approx(0.03, rel=0.1)


def test_patches_hold_a_hole_each(shown: Any) -> None:
    given, wanted = FillTraining(PLAN, shown, []).batch()
    assert given.shape == (3, 4, 64, 64) and wanted.shape == (3, 3, 64, 64)
    assert (given[:, 3].sum((1, 2)) > 0).all() and set(np.unique(given[:, 3])) == {0, 1}


def test_it_learns(shown: Any) -> None:
    """Fills that are all a tenth too dark: what is foretold by where a hole is."""
    dark = [replace(one, base=one.full - np.float16(0.1) * one.hole) for one in shown]
    training = FillTraining(PLAN, dark, dark[:1])
    known = psnr(dark[0].base.astype(np.float32), dark[0].full, dark[0].hole)
    assert known == pytest.approx(20, abs=0.1) and training.score() == pytest.approx(known, abs=0.02)
    state = training.run(every=20)
    assert state.scores[-1][1] > known + 3
    first = training.weights["a0.weight"][:, :4].sum((1, 2, 3))
    assert float(first.detach().abs().max()) < 1e-5


def test_it_goes_on_where_it_stopped(shown: Any, tmp_path: Path) -> None:
    plan = FillRecipe(FillShape(4, 4, 4), steps=6, batch=2, side=32)
    whole = FillTraining(plan, shown, [])
    whole.run()
    part = FillTraining(plan, shown, [])
    for step in range(3):
        part._step(part.rate(step / 6), True)
        part.state.step += 1
    part.save(tmp_path / "c")
    again = FillTraining(plan, shown, [])
    again.load(tmp_path / "c")
    again.run()
    for name, value in whole.mean.items():
        np.testing.assert_array_equal(value.numpy(), again.mean[name].numpy())
    with pytest.raises(GraphError, match="another recipe"):
        FillTraining(PLAN, shown, []).load(tmp_path / "c")


def test_errors_count_in_holes_away_from_the_edges(shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    training = FillTraining(PLAN, shown, [])  # fresh: adds nothing yet
    given, wanted = training.batch()
    monkeypatch.setattr(training, "batch", lambda: (given, wanted))
    hole = given[:, 3].astype(bool)
    for edge in (hole[:, : fill.BORDER], hole[:, -fill.BORDER :], hole[..., : fill.BORDER], hole[..., -fill.BORDER :]):
        edge[:] = False
    error = np.moveaxis(given[:, :3] - wanted, 1, -1)[hole]
    for squared, wanted_loss in ((True, np.mean(error**2)), (False, np.mean(np.abs(error)))):
        loss, told = training.loss(squared)
        assert float(loss.detach()) == pytest.approx(float(wanted_loss), rel=1e-4)
        assert told == pytest.approx(float(np.mean(np.abs(error))), rel=1e-4)


def test_from_a_folder_to_a_file(tmp_path: Path) -> None:
    from PIL import Image

    from safelight.nodes.resolution.learned.training.make import Job

    for k in range(2):
        Image.fromarray((stripes(k).transpose(1, 2, 0) * 255).astype(np.uint8)).save(tmp_path / f"{k}.png")
    told: list[int] = []
    out = tmp_path / "out" / "fill.safetensors"
    made = fill.make(
        Job(tmp_path, out, net="fill", steps=2, test=tmp_path), lambda state, total: told.append(state.step)
    )
    assert made.base == "structure" and told[-1] == 2 and made.test is not None
    assert find(out).notes["steps"] == 2 and made.parameters == FillShape().parameters
    assert abs(made.held - made.held_base) < 1.0  # two steps: nearly the fill that it began as
    with pytest.raises(GraphError, match="another shape"):
        from safelight.nodes.resolution.learned import filling

        small = tmp_path / "small.safetensors"
        arrays = {k: v.numpy() for k, v in filling.fresh(FillShape(4, 4, 4), 1).items()}
        filling.save(small, filling.StoredFill(FillShape(4, 4, 4), arrays))
        fill.make(Job(tmp_path, out, net="fill", steps=2, start=small), lambda state, total: None)


def test_no_pictures_that_fit(tmp_path: Path) -> None:
    from PIL import Image

    from safelight.nodes.resolution.learned.training.make import Job

    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(GraphError, match="large enough"):
        fill.make(Job(tmp_path, tmp_path / "o.safetensors", net="fill", steps=2), lambda state, total: None)
