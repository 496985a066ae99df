"""Pipelines loaded and run, a tile at a time."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import GraphError, RenderError
from safelight.nodes.resolution.diffusion.folder import LEFT_OUT, UPSCALE, Facts
from safelight.nodes.resolution.diffusion.memory import largest, needed

if TYPE_CHECKING:
    import torch

Planes = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Wish:
    """What is asked of a pipeline, the same for all tiles."""

    prompt: str = ""
    negative: str = ""
    steps: int = 50
    guidance: float = 7.5
    noise_level: int = 20
    precision: str = "float32"

    @property
    def guided(self) -> bool:
        """Whether the net runs twice, with and without the prompt: without words both are the same."""
        return bool(self.prompt or self.negative) and self.guidance > 1


@dataclass(eq=False)
class Loaded:
    """A pipeline in memory, its nets where they run. The text encoder stays on the processor."""

    facts: Facts
    held: Any
    place: torch.device
    precision: str
    _words: dict[Any, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _own: threading.local = field(default_factory=threading.local, repr=False)

    def made(self, seen: Planes, seed: int, wish: Wish) -> Planes:
        """Return a tile enlarged: (3, S, S) → (3, scale S, scale S), display code 0 to 1, the same bits for the same
        seed on a processor whatever ran before; all noise is drawn there, on a GPU's behalf too.
        """
        import torch

        pipeline = self._pipeline()
        noise = torch.Generator("cpu").manual_seed(seed)
        image = torch.from_numpy(np.ascontiguousarray(seen))[None]
        with torch.inference_mode():
            if self.facts.kind == UPSCALE:
                words = self._embedded(wish)
                made = pipeline(
                    image=image,
                    prompt_embeds=words[0],
                    negative_prompt_embeds=words[1] if wish.guided else None,
                    num_inference_steps=wish.steps,
                    guidance_scale=wish.guidance if wish.guided else 1.0,
                    noise_level=wish.noise_level,
                    generator=noise,
                    output_type="np",
                    return_dict=False,
                )[0]
            else:
                made = pipeline(
                    2 * image - 1,
                    num_inference_steps=wish.steps,
                    generator=noise,
                    output_type="np",
                    return_dict=False,
                )[0]
        out = np.ascontiguousarray(np.asarray(made[0], np.float32).transpose(2, 0, 1))
        if not np.isfinite(out).all():
            raise RenderError(
                f"the pipeline made values that are no numbers, in {self.precision}",
                file=self.facts.path,
                remedy="Use precision = 'float32', or another pipeline.",
            )
        return out

    def _pipeline(self) -> Any:
        """Return the pipeline with schedulers of this thread's own: they hold where they stand in the run."""
        if not hasattr(self._own, "pipeline"):
            parts = {name: part for name, part in self.held.components.items() if name not in LEFT_OUT}
            for name in ("scheduler", "low_res_scheduler"):
                if name in parts:
                    parts[name] = copy.deepcopy(parts[name])
            for name in ("text_encoder", "tokenizer"):
                if name in parts:
                    parts[name] = None
            with _quiet():
                self._own.pipeline = type(self.held)(**parts)
            self._own.pipeline.set_progress_bar_config(disable=True)
        return self._own.pipeline

    def _embedded(self, wish: Wish) -> tuple[torch.Tensor, torch.Tensor | None]:
        with self._lock:
            key = (wish.prompt, wish.negative, wish.guided)
            if key not in self._words:
                words = self.held.encode_prompt(wish.prompt, "cpu", 1, wish.guided, wish.negative or None)
                kind = next(self.held.unet.parameters()).dtype
                self._words[key] = tuple(None if part is None else part.to(self.place, kind) for part in words[:2])
            found: tuple[torch.Tensor, torch.Tensor | None] = self._words[key]
            return found


def load(facts: Facts, precision: str, place: torch.device) -> Loaded:
    """Return a pipeline in memory; one is kept from call to call."""
    with _LOADING:
        return _loaded(_Key(facts, precision, str(place)))


_LOADING = threading.Lock()
_SILENCE = threading.RLock()


@dataclass(frozen=True)
class _Key:
    facts: Facts = field(compare=False)
    precision: str
    place: str
    digest: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", f"{self.facts.path}\0{self.facts.digest}")


@lru_cache(maxsize=1)
def _loaded(key: _Key) -> Loaded:
    import torch

    facts = key.facts
    kinds = {"float16": torch.float16, "bfloat16": torch.bfloat16}
    pass_torchvision()
    with _quiet():
        import diffusers

        options: dict[str, Any] = dict.fromkeys(LEFT_OUT) if facts.kind == UPSCALE else {}
        try:
            held = getattr(diffusers, facts.kind).from_pretrained(
                str(facts.path),
                local_files_only=True,
                use_safetensors=not facts.pickled,
                variant=facts.variant,
                low_cpu_mem_usage=False,
                **options,
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise GraphError(
                f"the pipeline does not load ({type(error).__name__}: {reason})",
                file=facts.path,
                remedy="Fetch it again, or another one.",
            ) from None
    place, kind = torch.device(key.place), kinds.get(key.precision, torch.float32)
    for name, net in held.components.items():
        if isinstance(net, torch.nn.Module):
            _whole(name, net, facts)
            # The decoder of the first kind overflows in halves; the other's takes what its U-Net gives.
            halved = name == "unet" or (name == "vqvae" and facts.kind != UPSCALE)
            with _quiet():
                net.to("cpu" if name == "text_encoder" else place, kind if halved else torch.float32)
            _settle(net.eval().requires_grad_(False))
    return Loaded(facts, held, place, key.precision)


def _settle(net: torch.nn.Module) -> None:
    """Move weights to memory of their own: where they lie in a file decides in which order some processors sum, and the
    same weights out of other files would make other bits."""
    for value in (*net.parameters(), *net.buffers()):
        value.data = value.data.clone()


def _whole(name: str, net: torch.nn.Module, facts: Facts) -> None:
    """Refuse weights that left something to chance, or hold what is no number."""
    import torch

    wanted = sum(part.numel() for part in net.parameters())
    if facts.stored.get(name, 0) and facts.stored[name] < wanted:
        raise GraphError(
            f"the weights hold {facts.stored[name]} values, and the net needs {wanted}",
            file=facts.path / name,
            remedy="Fetch weights and configuration together.",
        )
    for part, value in net.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise GraphError(
                f"the weights '{part}' are not all numbers", file=facts.path / name, remedy="Fetch them again."
            )


def short_of_memory(facts: Facts, tile: int, wish: Wish, free: int) -> RenderError:
    """Return the error of a GPU that is full: a smaller tile is another picture, so it is for the user to choose."""
    fits = largest(facts.sizes, free, precision=wish.precision, guided=wish.guided, most=tile - facts.sizes.multiple)
    other = f"set tile = {fits} for every frame of the shot (another picture, so the node does not choose it itself)"
    takes = needed(facts.sizes, tile, precision=wish.precision, guided=wish.guided) / 1e9
    return RenderError(
        f"the GPU has no memory for tiles of {tile} pixels, which take about {takes:.1f} GB",
        remedy=f"Free it{', ' + other if fits else ''}, or use --device cpu.",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress bars and advice off the user's screen; what matters is checked here."""
    with _SILENCE:
        kept = [(module, module.get_verbosity(), module.is_progress_bar_enabled()) for module in _loggers()]
        for module, _, _ in kept:
            module.set_verbosity(module.CRITICAL)
            module.disable_progress_bar()
        try:
            yield
        finally:
            for module, level, bars in kept:
                module.set_verbosity(level)
                if bars:
                    module.enable_progress_bar()


def _loggers() -> list[Any]:
    from diffusers.utils import logging as ours

    try:
        from transformers.utils import logging as theirs
    except ImportError:
        return [ours]
    return [ours, theirs]


def pass_torchvision() -> None:
    """Hide a torchvision that does not load beside this torch; to be called before diffusers is imported.

    transformers takes any that is installed, gives up over one made for another torch, and needs none here.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except Exception:  # whatever a broken library raises
        sys.modules["torchvision"] = None  # type: ignore[assignment]
