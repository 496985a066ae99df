"""The kernels "unpack" and "pack": files' samples to planes and back, every bit of them."""

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.nodes.io.files.pixels import pack, unpack
from safelight.nodes.kernels.launch import isas

CPU = Device("cpu", 2)
SHAPES = [(1, 1, 1), (1, 1, 3), (3, 7, 1), (5, 683, 3), (4, 513, 4), (3, 100, 5), (2, 2049, 2), (2, 3, 2048)]


def half_to_float_bits(h: int) -> int:
    """A half's value as float32 bits, written out from the standard."""
    sign, exponent, mantissa = h >> 15, (h >> 10) & 31, h & 1023
    if exponent == 31:
        return sign << 31 | 0x7F800000 | mantissa << 13
    value = mantissa * 2.0**-24 if exponent == 0 else (1024 + mantissa) * 2.0 ** (exponent - 25)
    return int(np.float32(-value if sign else value).view(np.uint32))


@pytest.mark.parametrize("isa", isas())
def test_every_half_survives(isa):
    halfs = np.arange(65536, dtype=np.uint16)
    want = np.array([half_to_float_bits(int(h)) for h in halfs], np.uint32)
    planes = unpack(halfs.view(np.float16).reshape(64, 1024, 1), "half", CPU, isa=isa)
    assert np.array_equal(planes.view(np.uint32).ravel(), want)
    back = pack(planes, "half", CPU, isa=isa)
    assert np.array_equal(back.view(np.uint16).ravel(), halfs)


@pytest.mark.parametrize("isa", isas())
def test_rounding_to_half(isa):
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2**32, 300_000, dtype=np.uint32)
    edges = np.array([0, -0.0, 65504, 65519.996, 65520, 1e9, -1e9, 2**-24, 2**-25, 2**-25 * 1.0001, 2**-14, 6.1e-5,
                      np.inf, -np.inf, 1e-45], np.float32).view(np.uint32)  # fmt: skip
    values = np.concatenate([bits, edges]).view(np.float32)
    values = values[~np.isnan(values)]
    with np.errstate(over="ignore"):
        want = values.astype(np.float16)
    got = pack(values.reshape(1, 1, -1), "half", CPU, isa=isa)
    assert np.array_equal(got.view(np.uint16).ravel(), want.view(np.uint16))


@pytest.mark.parametrize("isa", isas())
def test_nan_with_a_small_payload_stays_nan(isa):
    value = np.array([0x7F800001, 0xFF800001], np.uint32).view(np.float32).reshape(1, 1, 2)
    assert np.isnan(pack(value, "half", CPU, isa=isa)).all()


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["uint8", "uint10", "uint12", "uint16", "half", "float"])
def test_there_and_back(isa, shape, kind):
    rng = np.random.default_rng(sum(shape))
    if kind == "float":
        samples = rng.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32)
    elif kind == "half":
        samples = rng.integers(0, 2**16, shape, dtype=np.uint16).view(np.float16)
    elif kind == "uint8":
        samples = rng.integers(0, 256, shape, dtype=np.uint8)
    else:
        bits = int(kind[4:])
        code = rng.integers(0, 2**bits, shape, dtype=np.uint16)
        samples = (code << (16 - bits)) | (code >> (2 * bits - 16))
        want = code.astype(np.float64) / (2**bits - 1)
        got = unpack(samples, kind, CPU, isa=isa)
        assert np.array_equal(np.moveaxis(got, 0, 2), want.astype(np.float32))
    planes = unpack(samples, kind, CPU, isa=isa)
    assert planes.shape == (shape[2], shape[0], shape[1])
    whole = {1: np.uint8, 2: np.uint16, 4: np.uint32}[samples.itemsize]
    assert np.array_equal(pack(planes, kind, CPU, isa=isa).view(whole), samples.view(whole))
    if kind == "float":
        assert np.array_equal(planes.view(np.uint32), np.moveaxis(samples, 2, 0).view(np.uint32))


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("kind", ["uint8", "uint10", "uint16"])
def test_rounding_to_whole_numbers(isa, kind):
    rng = np.random.default_rng(3)
    values = rng.uniform(-0.5, 1.5, (3, 11, 97)).astype(np.float32)
    values[:, 0, :5] = [np.nan, np.inf, -np.inf, 1e30, -0.0]
    most = 2 ** int(kind[4:]) - 1
    exact = np.clip(np.nan_to_num(values.astype(np.float64), nan=0, posinf=1, neginf=0), 0, 1) * most
    got = pack(values, kind, CPU, isa=isa).astype(np.int64)
    code = np.moveaxis(got >> (16 - int(kind[4:])) if kind == "uint10" else got, 2, 0)
    # Only where float32 cannot tell which side of a half it stands on may the nearest code differ.
    assert (np.abs(code - exact) <= 0.5 + most * 2.0**-23).all()
    assert (code[:, 0, :3] == [0, most, 0]).all()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "half", "float"])
def test_builds_and_threads_agree(kind):
    rng = np.random.default_rng(5)
    planes = rng.normal(size=(3, 37, 333)).astype(np.float32)
    first = pack(planes, kind, Device("cpu", 1), isa=isas()[0])
    for isa in isas():
        for threads in (1, 2, 3):
            again = pack(planes, kind, Device("cpu", threads), isa=isa)
            assert again.tobytes() == first.tobytes()
            assert (
                unpack(again, kind, Device("cpu", threads), isa=isa).tobytes()
                == unpack(first, kind, CPU, isa=isas()[0]).tobytes()
            )


def test_a_view_of_a_picture_packs_like_its_copy():
    planes = np.random.default_rng(1).normal(size=(4, 20, 40)).astype(np.float32)
    part = planes[1:4, 3:17, 5:33]
    assert pack(part, "half", CPU).tobytes() == pack(part.copy(), "half", CPU).tobytes()


def test_ids_travel_as_their_bits():
    ids = np.random.default_rng(2).integers(0, 2**32, (9, 31, 2), dtype=np.uint32)
    planes = unpack(ids, "uint32", CPU)
    assert np.array_equal(planes.view(np.uint32), np.moveaxis(ids, 2, 0))
    assert np.array_equal(pack(planes, "uint32", CPU), ids)
