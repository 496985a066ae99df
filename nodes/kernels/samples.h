// Samples as files hold them, to and from floats. Whole-number arithmetic wherever a NaN's payload must survive: the
// processor's own conversions turn signalling NaNs into quiet ones.
// IEEE 754-2019 binary16; rounding to nearest, ties to even, as OpenEXR's Imath does.
#pragma once
#include "driver.h"

namespace sl {

enum Sample { SAMPLE_U8 = 0, SAMPLE_U16 = 1, SAMPLE_HALF = 2, SAMPLE_FLOAT = 3 };

// Longest run of samples a kernel converts before it sorts them into planes, or after it has interleaved them.
static constexpr int RUN = 2048;

SL_FN I half_to_float(I h) {
    const I sign = (h & 0x8000) << 16, exponent = h & 0x7c00, mantissa = h & 0x3ff;
    const I normal = ((h & 0x7fff) << 13) + (112 << 23);
    const I special = (mantissa << 13) | 0x7f800000;
    const I tiny = bits(to_float(mantissa) * 5.9604644775390625e-8f);
    return sign | select(exponent == 0, tiny, select(exponent == 0x7c00, special, normal));
}

SL_FN I float_to_half(I v) {
    const I sign = (v >> 16) & 0x8000, a = v & 0x7fffffff;
    // The shift by the parity of the bit that stays makes ties even.
    const I normal = (a - (112 << 23) + 0xfff + ((a >> 13) & 1)) >> 13;
    // Adding 0.5 leaves multiples of 2^-24, the smallest half, in the low bits.
    const I tiny = bits(from_bits(a) + 0.5f) - 0x3f000000;
    const I payload = (a & 0x7fffff) >> 13;
    const I nan = payload | 0x7c00 | select(payload == 0, splat(1), splat(0));
    I h = select(a < 0x38800000, tiny, normal);
    h = select(a >= 0x477ff000, splat(0x7c00), h);
    h = select(a > 0x7f800000, nan, h);
    return sign | h;
}

SL_FN int load_sample(const unsigned char* p, int kind, long long i) {
    if (kind == SAMPLE_U8) return p[i];
    if (kind == SAMPLE_FLOAT) return reinterpret_cast<const int*>(p)[i];
    return reinterpret_cast<const unsigned short*>(p)[i];
}

SL_FN void store_sample(unsigned char* p, int kind, long long i, int v) {
    if (kind == SAMPLE_U8) p[i] = (unsigned char)v;
    else if (kind == SAMPLE_FLOAT) reinterpret_cast<int*>(p)[i] = v;
    else reinterpret_cast<unsigned short*>(p)[i] = (unsigned short)v;
}

#if SL_LANES > 1
typedef unsigned char B8 __attribute__((vector_size(SL_LANES), aligned(1), may_alias));
typedef unsigned short B16 __attribute__((vector_size(2 * SL_LANES), aligned(1), may_alias));
typedef int B32 __attribute__((vector_size(4 * SL_LANES), aligned(1), may_alias));
#endif

// LANES neighbouring samples.
SL_FN I load_samples(const unsigned char* p, int kind, long long i) {
#if SL_LANES == 1
    return load_sample(p, kind, i);
#else
    if (kind == SAMPLE_U8) return __builtin_convertvector(*reinterpret_cast<const B8*>(p + i), I);
    if (kind == SAMPLE_FLOAT) return *reinterpret_cast<const B32*>(p + 4 * i);
    return __builtin_convertvector(*reinterpret_cast<const B16*>(p + 2 * i), I);
#endif
}

SL_FN void store_samples(unsigned char* p, int kind, long long i, I v) {
#if SL_LANES == 1
    store_sample(p, kind, i, v);
#else
    if (kind == SAMPLE_U8) *reinterpret_cast<B8*>(p + i) = __builtin_convertvector(v, B8);
    else if (kind == SAMPLE_FLOAT) *reinterpret_cast<B32*>(p + 4 * i) = v;
    else *reinterpret_cast<B16*>(p + 2 * i) = __builtin_convertvector(v, B16);
#endif
}

}  // namespace sl
