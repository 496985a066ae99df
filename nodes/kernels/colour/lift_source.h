// What is known of the source of a lift: codes of whole numbers, and the level where its channels clip.
#pragma once
#include "pieces.h"

namespace sl {

// Code of source light (1 = the highest code) and light a code there; the table lies over the square root of light.
SL_FN F code_of(const Table& codes, F light) { return lookup(codes, 0, sqrt(clamp(light, splat(0.0f), splat(1.0f)))); }
SL_FN F step_of(const Table& codes, F light) { return lookup(codes, 1, sqrt(clamp(light, splat(0.0f), splat(1.0f)))); }

// Light that a shift by part of a code makes of light: by the step halfway, as light bends between codes.
SL_FN F shifted(const Table& codes, F light, F shift) {
    const F halfway = mad(step_of(codes, light) * 0.5f, shift, light);
    return step_of(codes, halfway) * shift;
}

// The same in pieces by octave of light: without a search, within 0.015 of a code.
template <int N>
SL_FN void codes_in(const Table& pieces, const Piece* p, F* code) { in_pieces<5, N>(pieces, 0, p, code); }

// Light that shifts by part of a code, at most half, add.
template <int N>
SL_FN void shifted_in(const Table& pieces, const Piece* p, const F* shift, F* added) {
    F step[N], bend[N];
    in_pieces<2, N>(pieces, 6, p, step);
    in_pieces<1, N>(pieces, 9, p, bend);
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
