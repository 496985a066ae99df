// The PQ signal on lanes, both ways, from and to the base-2 logarithm of light: within 2e-6 of float64 from 1e-4 cd/m² up.
// Written around 1, where PQ's power of 78.8 would blow the rounding of a plain evaluation up to 2e-5:
//   (c1 + c2 y) / (1 + c3 y) = 1 - (1 - c1) (1 - y) / (1 + c3 y).
// Source: SMPTE ST 2084, Rec. ITU-R BT.2100-2 table 4.
#pragma once
#include "elementary.h"

namespace sl {

static constexpr float PQ_M1 = 2610.0f / 16384, PQ_M2 = 2523.0f / 32, PQ_C3 = 2392.0f / 128, PQ_GAP = 1 - 3424.0f / 4096;

// Signal of light 2^v, in units of 10,000 cd/m².
SL_FN F pq_of_log2(F v) {
    const F y = exp2(v * PQ_M1);
    const F ratio = (y - 1.0f) * PQ_GAP / mad(y, splat(PQ_C3), splat(1.0f));
    return exp2(log1p_small(ratio) * (PQ_M2 * LOG2E));
}

// Base-2 logarithm of the light of a signal; signals outside 1e-6 ... 1.9, where the formula ends, count as these.
SL_FN F log2_of_pq(F q) {
    const F w = expm1_small(log2(clamp(q, splat(1e-6f), splat(1.9f))) * (LN2 / PQ_M2));
    const F y = max(w + PQ_GAP, splat(1e-9f)) / mad(w, splat(-PQ_C3), splat(PQ_GAP));
    return log2(y) * (1 / PQ_M1);
}

// Odd continuations, so that cone responses below zero, of colours beyond every display, survive the way there and back.
SL_FN F pq_odd(F light) {
    const F q = pq_of_log2(log2(max(abs(light), splat(1e-30f))));
    return select(light < 0.0f, -q, q);
}

SL_FN F light_odd(F q) {
    const F light = exp2(log2_of_pq(abs(q)));
    return select(q < 0.0f, -light, light);
}

}  // namespace sl
