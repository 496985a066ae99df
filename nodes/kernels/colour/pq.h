// The PQ signal on lanes, both ways, from and to the base-2 logarithm of light: within 2e-6 of float64 from 1e-4 cd/m² up.
// Written around 1, where PQ's power of 78.8 would blow the rounding of a plain evaluation up to 2e-5:
//   (c1 + c2 y) / (1 + c3 y) = 1 - (1 - c1) (1 - y) / (1 + c3 y).
// Source: SMPTE ST 2084, Rec. ITU-R BT.2100-2 table 4.
#pragma once
#include "elementary.h"
#include "pieces.h"

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

// The same of several lights in pieces, by octave: within 3e-7 of float64. What lies beyond 2^-32 ... 1 and is wanted, which
// is rare, by the formula.
template <int N>
SL_FN void pq_odd_in(const Table& encoding, M wanted, const F* light, F* q) {
    Piece p[N];
    M beyond = wanted & (splat(1.0f) < 0.0f);
    SL_UNROLL for (int j = 0; j < N; ++j) {
        const F size = abs(light[j]);
        p[j] = octave_of(23, size);
        beyond = beyond | (size < 2.3283064365386963e-10f) | (size >= 1.0f);
    }
    in_pieces<6, N>(encoding, 0, p, q);
    SL_UNROLL for (int j = 0; j < N; ++j) q[j] = select(light[j] < 0.0f, -q[j], q[j]);
    if (any(wanted & beyond))
        for (int j = 0; j < N; ++j) {
            const F size = abs(light[j]);
            q[j] = select((size < 2.3283064365386963e-10f) | (size >= 1.0f), pq_odd(light[j]), q[j]);
        }
}

// Back, in equal pieces of the signal: within 2e-7 of the light. Beyond 1/32 ... 1 by the formula.
template <int N>
SL_FN void light_odd_in(const Table& decoding, M wanted, const F* q, F* light) {
    Piece p[N];
    M beyond = wanted & (splat(1.0f) < 0.0f);
    SL_UNROLL for (int j = 0; j < N; ++j) {
        const F size = abs(q[j]);
        p[j] = part_of(32, size);
        beyond = beyond | (size < 0.03125f) | (size >= 1.0f);
    }
    in_pieces<6, N>(decoding, 0, p, light);
    SL_UNROLL for (int j = 0; j < N; ++j) light[j] = select(q[j] < 0.0f, -light[j], light[j]);
    if (any(wanted & beyond))
        for (int j = 0; j < N; ++j) {
            const F size = abs(q[j]);
            light[j] = select((size < 0.03125f) | (size >= 1.0f), light_odd(q[j]), light[j]);
        }
}

}  // namespace sl
