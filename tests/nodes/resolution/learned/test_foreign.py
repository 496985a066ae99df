"""Other people's nets: architectures of spandrel with random weights, saved as a user would have downloaded them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned.coding import decode, encode
from safelight.nodes.resolution.learned.enlarge import enlarge, tileable
from safelight.nodes.resolution.learned.models import find
from safelight.nodes.resolution.learned.sampling import enlarged

torch: Any = pytest.importorskip("torch")
pytest.importorskip("safetensors")
ONE = Device("cpu", 1)


@pytest.fixture(scope="module")
def library() -> Any:
    import importlib.util

    if importlib.util.find_spec("spandrel") is None:
        pytest.skip("needs spandrel")
    from safelight.nodes.resolution.learned.foreign import _spandrel

    return _spandrel()


def _net(name: str, **more: Any) -> Any:
    """Build an architecture with random weights."""
    import importlib

    torch.manual_seed(1)
    if name == "Compact":
        module = importlib.import_module("spandrel.architectures.Compact.__arch.SRVGG")
        return module.SRVGGNetCompact(**{"num_feat": 16, "num_conv": 2, "upscale": 2, "act_type": "prelu", **more})
    if name == "ESRGAN":
        module = importlib.import_module("spandrel.architectures.ESRGAN.__arch.RRDB")
        return module.RRDBNet(**{"num_filters": 16, "num_blocks": 1, "scale": 4, **more})
    if name == "SPAN":
        module = importlib.import_module("spandrel.architectures.SPAN")
        return module.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2, **more)
    if name == "SwinIR":
        module = importlib.import_module("spandrel.architectures.SwinIR")
        return module.SwinIR(
            img_size=16, window_size=8, depths=[2], embed_dim=12, num_heads=[2], mlp_ratio=2, upscale=2,
            upsampler="pixelshuffledirect", resi_connection="1conv", **more,
        )  # fmt: skip
    if name == "DAT":
        module = importlib.import_module("spandrel.architectures.DAT")
        return module.DAT(
            img_size=16, split_size=[8, 16], depth=[2], embed_dim=32, num_heads=[2], expansion_factor=2, upscale=2,
            upsampler="pixelshuffledirect", **more,
        )  # fmt: skip
    module = importlib.import_module("spandrel.architectures.NAFNet")
    return module.NAFNet(width=8, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1], **more)


def _save(net: Any, path: Path, **extra: Any) -> Path:
    from safetensors.torch import save_file

    tensors = {name: value.contiguous() for name, value in net.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(tensors, str(path))
    else:
        torch.save({"params_ema": tensors, **extra}, path)
    return path


def scene(height: int, width: int) -> Any:
    random = np.random.default_rng(0)
    return decode(random.uniform(0.1, 0.9, (3, height, width)).astype(np.float32))


@pytest.mark.parametrize(
    ("name", "scale"), [("Compact", 2), ("ESRGAN", 4), ("SPAN", 2), ("SwinIR", 2), ("DAT", 2), ("NAFNet", 1)]
)
def test_downloaded_weights_load_by_path(library: Any, tmp_path: Path, name: str, scale: int) -> None:
    net = _net(name)
    path = _save(net, tmp_path / f"{name}.safetensors")
    light = scene(21, 30)
    made = enlarge(light, scale, model=path, device=ONE)
    assert made.shape == (3, 21 * scale, 30 * scale) and np.isfinite(made).all()
    found = find(path, scale)
    assert found.planes == 3 and not tileable(found)
    # The net itself, on the same picture with the same surroundings.
    code = torch.from_numpy(encode(light))
    rows, columns = (torch.from_numpy(np.pad(np.arange(n), 41, "symmetric")) for n in (21, 30))
    if name in ("Compact", "ESRGAN"):
        with torch.inference_mode():
            want = net.eval()(code[:, rows[:, None], columns[None]][None])[
                0, :, 41 * scale : -41 * scale, 41 * scale : -41 * scale
            ]
        np.testing.assert_allclose(encode(made), want.numpy().clip(0, 1), atol=2e-5)


def test_values_beyond_white_are_put_back(library: Any, tmp_path: Path) -> None:
    path = _save(_net("Compact"), tmp_path / "compact.safetensors")
    light = scene(20, 20)
    bright = light.copy()
    bright[:, 8:12, 8:12] = 50
    bright[:, 2, 2] = -0.5
    code = encode(bright)
    made, low = (encode(enlarge(x, 2, model=path, device=ONE)) for x in (bright, decode(code.clip(0, 1))))
    np.testing.assert_allclose(made, low + enlarged(code - code.clip(0, 1), 2), atol=1e-4)


def test_pickles_only_when_allowed(library: Any, tmp_path: Path) -> None:
    net = _net("Compact")
    path = _save(net, tmp_path / "compact.pth")
    with pytest.raises(GraphError, match="is a pickle: such files can hold programs"):
        find(path, 2)
    light = scene(12, 12)
    again = _save(net, tmp_path / "compact.safetensors")
    got = enlarge(light, 2, model=find(path, 2, pickled=True), device=ONE)
    np.testing.assert_array_equal(got, enlarge(light, 2, model=again, device=ONE))


class _Program:
    def __reduce__(self) -> Any:
        return print, ("this ran",)


def test_a_program_in_a_pickle_does_not_run(library: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _save(_net("Compact"), tmp_path / "bad.pth", more=_Program())
    with pytest.raises(GraphError, match="cannot be read as tensors alone") as caught:
        find(path, 2, pickled=True)
    assert caught.value.remedy and "this ran" not in capsys.readouterr().out


def _unknown(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"some.weight": torch.zeros(3, 3), "other": torch.zeros(2)}, str(path))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _nan(path: Path) -> None:
    net = _net("Compact")
    net.body[0].bias.data[3] = float("nan")
    _save(net, path)


def _misfit(path: Path) -> None:
    net = _net("Compact")
    net.body[2].weight = torch.nn.Parameter(torch.zeros(16, 16, 5, 5))
    _save(net, path)


def _four(path: Path) -> None:
    _save(_net("Compact", num_in_ch=4, num_out_ch=4), path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_unknown, "no kind that spandrel knows"),
        (_cut, "no whole safetensors file"),
        (_nan, "are not all numbers"),
        (_misfit, "do not fit the net they look like"),
        (_four, "4 channels of 4"),
    ],
)
def test_bad_weights(library: Any, tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    path = _save(_net("Compact"), tmp_path / "net.safetensors")
    spoil(path)
    with pytest.raises(GraphError, match=words) as caught:
        find(path, 2)
    assert caught.value.file == path and caught.value.remedy


def test_not_what_is_asked_for(library: Any, tmp_path: Path) -> None:
    path = _save(_net("Compact"), tmp_path / "net.safetensors")
    with pytest.raises(GraphError, match="enlarge 2 times, and 4 times is asked for"):
        find(path, 4)
    with pytest.raises(GraphError, match=r"for R, G, B, and the picture has 1 colour channel\. "):
        find(path, 2, channels=1)
    with pytest.raises(GraphError, match="cannot run in int8"):
        enlarge(scene(5, 5), 2, model=path, precision="int8", device=ONE)


def test_torchvision_is_neither_needed_nor_left_behind(library: Any) -> None:
    code = (
        "import sys; from safelight.nodes.resolution.learned.foreign import _spandrel; _spandrel();"
        "sys.exit(any(name.split('.')[0] == 'torchvision' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_restore_takes_them_too(library: Any, tmp_path: Path) -> None:
    """By their path, whole pictures, and nothing brings the result back to its data."""
    from safelight.graph.image import Clip, Image
    from safelight.graph.node import Inputs, Request, Settings
    from safelight.graph.region import Region
    from safelight.nodes.resolution.restore import Restore, RestoreParams

    path = _save(_net("Compact"), tmp_path / "compact.safetensors")
    image, node, params = Image(scene(30, 40), Region.sized(40, 30)), Restore(), RestoreParams(weights=path)
    assert not list(node.check(params, {"input": Clip(1, 1, image.region, image.region)}, Settings()))
    request = Request(1, Region(20, 10, 60, 50))
    [need] = node.needs(params, request)["input"]
    assert need.region.contains(image.region)
    out = node.compute(params, request, Inputs(request, {"input": {1: image}}, {}), ONE)
    want = enlarge(image.data, 2, model=find(path, 2), consistent=False, device=ONE)
    np.testing.assert_array_equal(out.data, want[:, 10:50, 20:60])
