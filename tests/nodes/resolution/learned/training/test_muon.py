"""Momentum brought near to orthogonal."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.nodes.resolution.learned.training import muon

torch: Any = pytest.importorskip("torch")


@pytest.mark.parametrize("size", [(8, 36), (48, 27)])
def test_steps_are_orthogonal(size: tuple[int, int]) -> None:
    matrix = torch.randn(*size, generator=torch.Generator().manual_seed(1))
    made = muon._orthogonal(matrix)
    stretched = torch.linalg.svdvals(made)
    assert float(stretched.min()) > 0.6 and float(stretched.max()) < 1.3


def test_it_goes_down() -> None:
    torch.manual_seed(0)
    weight, bias = torch.zeros(4, 2, 3, 3, requires_grad=True), torch.zeros(4, requires_grad=True)
    wanted, x = torch.randn(4, 2, 3, 3), torch.randn(8, 2, 9, 9)
    optimiser = muon.orthogonal([weight, bias], 0.05)
    losses = []
    for _ in range(200):
        loss = (torch.nn.functional.conv2d(x, weight, bias) - torch.nn.functional.conv2d(x, wanted) - 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.05 * losses[0]
