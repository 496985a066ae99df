"""Mix: two pictures blended under a matte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import GRADED, altered, blended, changed, codes, has_record
from safelight.nodes.kernels.launch import launch


class MixParams(Params):
    """Parameters of Mix."""

    amount: float = param(
        1.0, "How much of `b` shows where the matte is 1 (or everywhere, without a matte).", ge=0, le=1
    )


class Mix(Node):
    """Blend two pictures: `a` where the matte is 0, `b` where it is 1.

    Works on scene-linear values, unclamped. Pixels whose matte is exactly 0 keep the bits of `a`; with amount 1,
    pixels whose matte is exactly 1 have those of `b`. Both pictures must have one display window and one set of
    channels; outside `b`'s or the matte's data window nothing of `b` shows.
    """

    id = "Mix"
    pointwise = True
    inputs = (
        Port("a", "Picture that shows where the matte is 0."),
        Port("b", "Picture that shows where the matte is 1."),
        Port("matte", "Coverage, first channel, 0 to 1; without it `amount` holds everywhere.", optional=True),
    )
    Params = MixParams

    def check(self, params: MixParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse pictures that cannot be laid over each other."""
        a, b = inputs["a"], inputs["b"]
        for port, clip in inputs.items():
            if clip.display != a.display:
                raise GraphError(
                    f"'{port}' is {clip.display} and 'a' is {a.display}",
                    remedy="Bring both to one size before the Mix.",
                )
        if a.channels != b.channels:
            raise GraphError(
                f"'a' has the channels {', '.join(a.channels)} and 'b' has {', '.join(b.channels)}",
                remedy="Give both the same channels.",
            )
        return ()

    def identity(self, params: MixParams, request: Request) -> str | None:
        """Amount 0 hands on `a`."""
        return "a" if params.amount == 0 else None

    def record(
        self, params: MixParams, request: Request, inputs: Inputs, outputs: Mapping[str, Image], device: Device
    ) -> Any:
        """Where the colour is `a`'s or `b`'s bit for bit, that one's; between them the further origin, and graded."""
        xp, made = device.xp, outputs["image"]
        a, b = inputs["a"].crop(made.region), inputs["b"]
        if not has_record(b) or not b.region.contains(made.region):
            return altered(a, made, GRADED, xp)
        b = b.crop(made.region)
        first, second = codes(a), codes(b)
        mixed = blended(first, second, xp) | GRADED
        return xp.where(changed(a, made, xp), xp.where(changed(b, made, xp), mixed, second), first)

    def compute(self, params: MixParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Blend; see the kernel `mix`."""
        a = inputs["a"].crop(request.region)
        b = inputs["b"]
        inside = request.region.intersect(b.region)
        if "matte" in inputs:
            inside = inside.intersect(inputs["matte"].region)
        out = device.empty(a.data.shape)
        out[...] = a.data
        y, x = inside.y0 - request.region.y0, inside.x0 - request.region.x0
        launch(
            device,
            "mix",
            inside,
            a=a,
            b=b,
            matte=inputs.get("matte") or a,
            out=(out[:, y : y + inside.height, x : x + inside.width], inside),
            amount=params.amount,
            use_matte="matte" in inputs,
            planes=len(a.channels),
        )
        return a.with_data(out)
