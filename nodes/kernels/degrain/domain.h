// Working domains of the grain nodes and the opponent axes.
#pragma once
#include "../elementary.h"

namespace sl {

// What `domain` of a kernel says.
static constexpr int AS_IS = 0, LOG = 1, DENSITY = 2;

// Stops above the toe, odd about zero: sign(x) log2(1 + |x| / toe).
SL_FN F log_encode(F x, float per_toe) {
    const F magnitude = log2(mad(sl::abs(x), splat(per_toe), splat(1.0f)));
    return select(x < 0.0f, -magnitude, magnitude);
}

SL_FN F log_decode(F v, float toe) {
    const F magnitude = (exp2(sl::abs(v)) - 1.0f) * toe;
    return select(v < 0.0f, -magnitude, magnitude);
}

// Orthonormal: grey, red - blue, green against both.
static constexpr float OPP_A = 0.577350269189625765f, OPP_B = 0.707106781186547524f, OPP_C = 0.408248290463863016f;

SL_FN void to_opponent(F& r, F& g, F& b) {
    const F y = (r + g + b) * OPP_A, u = (r - b) * OPP_B, v = ((r + b) - (g + g)) * OPP_C;
    r = y;
    g = u;
    b = v;
}

SL_FN void from_opponent(F& y, F& u, F& v) {
    const F grey = y * OPP_A, side = v * OPP_C, half = u * OPP_B;
    y = grey + side + half;
    v = grey + side - half;
    u = grey - (side + side);
}

}  // namespace sl
