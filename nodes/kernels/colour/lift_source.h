// What is known of the source of a lift: codes of whole numbers, and the level where its channels clip.
#pragma once
#include "lane.h"

namespace sl {

// Code of source light (1 = the highest code) and light a code there; the table lies over the square root of light.
SL_FN F code_of(const Table& codes, F light) { return lookup(codes, 0, sqrt(clamp(light, splat(0.0f), splat(1.0f)))); }
SL_FN F step_of(const Table& codes, F light) { return lookup(codes, 1, sqrt(clamp(light, splat(0.0f), splat(1.0f)))); }

// Light that a shift by part of a code makes of light: by the step halfway, as light bends between codes.
SL_FN F shifted(const Table& codes, F light, F shift) {
    const F halfway = mad(step_of(codes, light) * 0.5f, shift, light);
    return step_of(codes, halfway) * shift;
}

// The same in pieces, 2^k to an octave of light from 2^-32 to 1: without a search, within a hundredth of a code.
struct Piece {
    I index;
    F at;  // within it, 0 ... 1
};

SL_FN Piece piece_of(int shift, F light) {
    const I b = bits(clamp(light, splat(2.3283064365386963e-10f), splat(0.99999994f)));
    const F share = from_bits(splat((127 - shift) << 23));
    return {(b >> shift) - ((127 - 32) << (23 - shift)), to_float(b & ((1 << shift) - 1)) * share};
}

// Several at once, as one alone would wait for each step.
template <int N>
SL_FN void codes_in(const Table& pieces, const Piece* p, F* code) {
    SL_UNROLL for (int j = 0; j < N; ++j) code[j] = entry(pieces, 5, p[j].index);
    SL_UNROLL for (int i = 4; i >= 0; --i)
        SL_UNROLL for (int j = 0; j < N; ++j) code[j] = mad(code[j], p[j].at, entry(pieces, i, p[j].index));
}

// Light that shifts by part of a code, at most half, add.
template <int N>
SL_FN void shifted_in(const Table& pieces, const Piece* p, const F* shift, F* added) {
    F step[N], bend[N];
    SL_UNROLL for (int j = 0; j < N; ++j) step[j] = mad(entry(pieces, 8, p[j].index), p[j].at, entry(pieces, 7, p[j].index));
    SL_UNROLL for (int j = 0; j < N; ++j) bend[j] = mad(entry(pieces, 10, p[j].index), p[j].at, entry(pieces, 9, p[j].index));
    SL_UNROLL for (int j = 0; j < N; ++j) step[j] = mad(step[j], p[j].at, entry(pieces, 6, p[j].index));
    SL_UNROLL for (int j = 0; j < N; ++j) added[j] = mad(bend[j], shift[j], step[j]) * shift[j];
}

// Whether light is that of a code: what was filtered, or painted over, is not, and has no steps to be smoothed.
SL_FN M on_code(F light, F code) {
    return (abs(code - floor(code + 0.5f)) < 0.03f) & (light > -1e-3f) & (light < 1.002f);
}

// The part of a difference from the smooth estimate that may be rounding: half a code and less as it is, no more than
// half up to a whole code, none from two on, where there is an edge.
SL_FN F within_rounding(F difference) {
    const F sure = clamp(splat(2.0f) - abs(difference), splat(0.0f), splat(1.0f));
    return clamp(difference, splat(-0.5f), splat(0.5f)) * sure;
}

// How far a channel clips at light v, 0 ... 1.
SL_FN F clipped(F v, float level) { return clamp((v * (1 / level) - 0.99f) * (1 / 0.009f), splat(0.0f), splat(1.0f)); }

SL_FN F smooth_step(F v, float from, float to) {
    const float slope = 1 / (to - from);
    const F t = clamp(mad(v, splat(slope), splat(-from * slope)), splat(0.0f), splat(1.0f));
    return t * t * mad(t, splat(-2.0f), splat(3.0f));
}

}  // namespace sl
