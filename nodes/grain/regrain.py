"""Regrain: the grain of a film stock, measured, on any picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Array, Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import GRAINED
from safelight.nodes.grain.laying import Grain, Original, film, lay, lay_original
from safelight.nodes.grain.stock import load_format, load_stock, pushed
from safelight.nodes.grain.taking import coverage

GREEN = 1
"""Layer that a picture of one channel is exposed on."""


class RegrainParams(Params):
    """Parameters of Regrain."""

    stock: str = param(
        "500T", "Camera negative: Kodak Vision3 50D, 250D, 200T or 500T, or its number (5203, 5207, 5213, 5219)."
    )
    format: str = param(
        "super35_4perf", "Negative format: with the picture's width it gives the size of a pixel on the film."
    )
    pitch: float = param(
        0.0,
        "Distance of pixels on the film; 0 takes the format's width over the picture's. Scanners that cover 24.576 mm "
        "give 12 at 2K and 6 at 4K.",
        unit="µm",
        ge=0,
        le=1000,
    )
    strength: float = param(
        1.0,
        "Sigma of the grain in density over the stock's: 1 is calibrated, 0 hands the picture on untouched. The mean "
        "density is kept, as on film; noise being symmetric there, the mean linear light of dark, coarse-grained areas "
        "becomes brighter, by up to about a tenth.",
        ge=0,
        le=10,
    )
    left: float = param(
        0.0,
        "For a plate that still has grain, as after a Degrain: its sigma in density over the one asked for. What is "
        "missing is added, sigma² (1 - left²), so that both together have the sigma asked for. 1 adds nothing.",
        ge=0,
        le=1,
    )
    correlation: float = param(
        0.0,
        "How much grain the layers share: 0 none, 1 the amount that overlapping dyes suggest (0.18 between red and "
        "green, 0.30 between green and blue; a prior, not published). Sigma and spectrum of every layer stay as they "
        "are.",
        ge=0,
        le=1,
    )
    skew: float = param(
        1.0,
        "Skewness of the grain's density over that of dye clouds strewn at random, few of which make the grain of dark "
        "areas: 0.66 at most for the blue of 500T at 4K, under 0.1 for most from mid-grey up. Derived from the stock's "
        "sigma, density and cloud size, not published. 0 makes it symmetric, with the very bits of versions before it.",
        ge=0,
        le=1,
    )
    push: float = param(
        0.0,
        "The film was exposed this many stops less (more, below 0) and printed back to normal: every tone has the "
        "grain that the stock has at its lower exposure. That much follows from the stock's measured figures. What the "
        "longer development itself adds in grain and contrast is not published for these stocks: where you know it, "
        "say it with strength.",
        unit="stops",
        ge=-2,
        le=3,
    )
    seed: int = param(
        1, "Number of the grain pattern. The same seed gives the same grain, frame by frame.", ge=0, le=2**32 - 1
    )


def film_layers(channels: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return (planes of the picture, film layers they are exposed on): R, G, B on theirs, a lone Y on the green one.

    >>> film_layers(("B", "G", "R", "A"))
    ((2, 1, 0), (0, 1, 2))
    """
    planes = colour_planes(channels)
    return planes, tuple({"R": 0, "G": 1, "B": 2}.get(channels[plane].upper(), GREEN) for plane in planes)


class Regrain(Node):
    """Expose a picture on a camera negative: its grain, at its size, as strong as the stock's at each exposure.

    The picture is taken as scene-linear camera exposure, 0.18 a mid-grey at normal exposure. Each colour is turned into
    the density of its layer by the stock's characteristic curve, grain is added there, and the same curve leads back:
    only grain is added, no look. Its sigma follows the exposure (strongest four to five stops under mid-grey), its
    spectrum the layer's dye clouds and the size of a pixel on the film. A 48 µm microdensitometer reads what the
    stock's data sheet says.

    The mean density is kept, as on film. Mean linear light is not: noise in density brightens dark, coarse-grained
    areas (4K 500T blue by up to a tenth).

    In the toe, where few dye clouds make much of the noise, the density is skewed: more pixels a little thinner, fewer
    much denser. By how much follows from the stock's sigma, density and cloud size (`Stock.skewness_at`); sigma and
    mean stay exact, the 48 µm reading falls by at most 0.7 % from -4 stops up and 1.7 % in the blackest black. `skew`
    turns it down.

    `push` moves the scene down the curves, as when film is exposed for a higher index and developed longer. Only the
    exposure is modelled, from measured figures; what the longer development adds is not published.

    `correlation` makes the layers share grain: pixels of two layers with dye clouds of one size then correlate by what
    it says, those of unequal clouds by a known factor less (`spectrum.pixel_correlation`).

    `left` is for a plate whose grain was not taken out altogether: its own grain and the added one, which knows nothing
    of it, together have the sigma asked for, at every exposure where `left` is true. The spectrum is completed only as
    far as what is left has the stock's: a denoiser leaves mostly the low frequencies.

    A matte weighs the grain's sigma: 1 grains as without a matte, a half adds half the sigma in density. Where it is 0,
    and outside its data window, pixels keep their bits. Values beyond 0 and 1 count as these, NaN as 0.

    Original grain. After a Degrain and work on its clean picture, connect the Degrain's outputs `grain` and `image` to
    `grain` and `clean`, and a matte of what was painted or laid over to `changed`. Where that is 0 the plate's own
    grain comes back: input + grain, which for a picture that is still the clean one is the plate, bit for bit wherever
    Degrain promises it (keep all in one document, or in float files: half ones round). Where it is 1 there is fresh
    grain; between them both, weighed by sqrt(1 - c) and sqrt(c), so that the variance stays. On light that is not the
    clean picture's, as after a grade, the plate's grain is carried over in density, as much stronger or weaker as the
    stock's sigma is there. Without a `changed`, and outside its data window, all is unchanged; outside the data windows
    of grain and clean picture nothing is.

    The fresh grain is the stock's: name the stock, format and push that were shot. For grain measured on the plate,
    connect a picture that carries it already (the input through a GrainMatch) to `fresh`; the stock then only says what
    density is. `strength` and `left` are the fresh grain's alone.

    Black, negative and very bright values have grain too and are not clamped. Pixels that are not finite, and channels
    other than R, G, B or a lone Y, stay as they are. The grain depends on seed, frame and pixel alone.

    Sources: the data files in `stocks/` (third-party readings of Kodak's charts: the absolute level perhaps 25 %
    uncertain, the dye-cloud size a prior); `safelight.nodes.grain.spectrum`.
    """

    id = "Regrain"
    version = 2  # 2: skewed grain
    inputs = (
        Port("input", "Picture without grain, scene-linear."),
        Port("matte", "Where the grain goes, first channel, 0 to 1; without it, everywhere.", optional=True),
        Port("grain", "The plate's own grain, as Degrain's output `grain`: it comes back.", optional=True),
        Port("clean", "What that grain was taken from, before any work: Degrain's output `image`.", optional=True),
        Port(
            "changed",
            "Where the picture is no longer the plate's, first channel: 0 its own grain, 1 fresh grain.",
            optional=True,
        ),
        Port("fresh", "The input with the fresh grain to use, instead of the stock's.", optional=True),
    )
    outputs = (Port("image", "The picture with grain."),)
    Params = RegrainParams
    mark = GRAINED
    scratch = 2.1  # on a CUDA device: white noise and filtered rows; on the CPU none

    def invents(self, params: RegrainParams) -> str:
        """It lays in grain of its own."""
        return "lays in grain that was never on the film"

    def check(self, params: RegrainParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse an unknown stock or format, no colour, a matte of another size, and pixels too fine for the filter."""
        clip = inputs["input"]
        for port, other in inputs.items():
            if other.display != clip.display:
                raise GraphError(
                    f"'{port}' is {other.display} and 'input' is {clip.display}",
                    remedy="Bring both to one size before the Regrain.",
                )
        stock = load_stock(params.stock)
        planes, layers = film_layers(clip.channels)
        if not planes:
            raise GraphError(
                f"the picture has no R, G, B or Y channel, only {', '.join(clip.channels) or 'none'}",
                remedy="Give Regrain the picture itself.",
            )
        pitch = pitch_of(params, clip)
        try:
            film(pushed(stock, params.push), pitch, layers, params.skew)
        except ValueError as error:
            raise GraphError(str(error), remedy="Set a coarser pitch, or the format that was really scanned.") from None
        return self._check_original(params, inputs, [clip.channels[plane] for plane in planes])

    def _check_original(
        self, params: RegrainParams, inputs: Mapping[str, Clip], colours: Sequence[str]
    ) -> Iterable[str]:
        """Refuse what would lose the plate's own grain, or lay in another's."""
        connected = [port for port in ("grain", "clean", "changed", "fresh") if port in inputs]
        for port in ("grain", "clean"):
            if connected and port not in inputs:
                output = "image" if port == "clean" else port
                raise GraphError(
                    f"'{connected[0]}' is connected and '{port}' is not",
                    remedy=f"Connect the Degrain's output '{output}' to '{port}', or leave {', '.join(connected)} out.",
                )
        if not connected:
            return ()
        for port in ("grain", "clean", "fresh"):
            channels = inputs[port].channels if port in inputs else colours
            lacking = [name for name in colours if name.upper() not in [channel.upper() for channel in channels]]
            if lacking:
                raise GraphError(
                    f"'{port}' has no channel {', '.join(lacking)}, only {', '.join(channels) or 'none'}",
                    remedy="Connect one that was made from the same plate.",
                )
        if added_strength(params) == 0:
            raise GraphError(
                "without fresh grain (strength 0, or left 1) Regrain hands the picture on, without its own grain too",
                remedy="Leave strength above 0: where 'changed' is 0 there is no fresh grain anyway, and a 'matte' "
                "keeps all grain away.",
            )
        if "changed" not in inputs:
            return ("'changed' is not connected: the whole picture counts as unchanged and gets its own grain back",)
        return ()

    def identity(self, params: RegrainParams, request: Request) -> str | None:
        """Strength 0, or a plate that has all its grain, hands on the input."""
        return None if added_strength(params) else "input"

    def compute(self, params: RegrainParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Grain the colour planes; see the kernel `regrain`."""
        image = inputs["input"].crop(request.region)
        planes, layers = film_layers(image.channels)
        strength = added_strength(params)
        if strength == 0 or not planes or not request.region:
            return image
        stock = pushed(load_stock(params.stock), params.push)
        ready = film(stock, pitch_of(params, inputs.clips["input"]), layers, params.skew)
        matte = inputs.get("matte")
        inside = image.region if matte is None else image.region.intersect(matte.region)
        if not inside:
            return image
        out = device.empty(image.data.shape)
        made = set(planes) if inside == image.region else set()
        for plane in set(range(len(image.channels))) - made:
            out[plane] = image.data[plane]
        y, x = inside.y0 - image.region.y0, inside.x0 - image.region.x0
        part = out[:, y : y + inside.height, x : x + inside.width]
        grain = Grain(ready, strength, params.seed, request.frame, params.correlation, matte)
        if "grain" in inputs:
            _restore(device, image.crop(inside), planes, part, grain, inputs)
        else:
            lay(device, image.crop(inside), planes, part, grain)
        return image.with_data(out)


def _restore(device: Device, image: Image, planes: tuple[int, ...], out: Array, grain: Grain, inputs: Inputs) -> None:
    """Make the original-grain mode's picture: fresh grain where it is needed, then the plate's own (`lay_original`)."""
    xp, region = device.xp, image.region
    own, clean, mask, matte = inputs["grain"], inputs["clean"], inputs.get("changed"), grain.matte
    known = own.region.intersect(clean.region).intersect(region)
    changed = xp.ones((1, region.height, region.width), dtype=np.float32)
    if known:
        y, x = known.y0 - region.y0, known.x0 - region.x0
        unchanged = 0.0 if mask is None else coverage(mask, known, device)
        changed[:, y : y + known.height, x : x + known.width] = unchanged
    else:
        own = clean = image  # of no weight: all is changed
    ready = inputs.get("fresh")
    if ready is None:
        needed = device.empty(changed.shape)
        needed[...] = changed > 0 if matte is None else (changed > 0) & (matte.crop(region).data[:1] > 0)
        lay(device, image, planes, out, replace(grain, matte=Image(needed, region, ("A",))))
    else:
        for plane in planes:
            out[plane] = image.data[plane]
        given = ready.region.intersect(region)
        y, x = given.y0 - region.y0, given.x0 - region.x0
        fresh = ready.crop(given)
        for plane, source in zip(planes, _same_planes(image, planes, fresh), strict=True):
            out[plane, y : y + given.height, x : x + given.width] = fresh.data[source]
    weights = Image(changed, region, ("A",))
    sources = (_same_planes(image, planes, other) for other in (own, clean))
    lay_original(device, image, planes, out, grain.film, Original(own, clean, weights, *sources), matte)


def _same_planes(image: Image, planes: tuple[int, ...], other: Image) -> tuple[int, ...]:
    """Return the planes of another image that have the names of these."""
    names = [channel.upper() for channel in other.channels]
    return tuple(names.index(image.channels[plane].upper()) for plane in planes)


def added_strength(params: RegrainParams) -> float:
    """Return sigma to add over the stock's: independent noises add by their squares, sigma_target² - sigma_left²."""
    return params.strength * float(np.sqrt(1.0 - params.left**2))


def pitch_of(params: RegrainParams, clip: Clip) -> float:
    """Return the distance of pixels on the film, µm. Pixels are square on the negative, whatever they are on screen."""
    fmt = load_format(params.format)
    return params.pitch or fmt.pitch(max(1, clip.display.width))
