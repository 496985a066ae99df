// Colours times a 3 x 3 matrix, given by rows.
#pragma once
#include "lane.h"

namespace sl {

SL_FN void times(const float* matrix, const F in[3], F out[3]) {
    for (int c = 0; c < 3; ++c)
        out[c] = mad(in[2], splat(matrix[3 * c + 2]), mad(in[1], splat(matrix[3 * c + 1]), in[0] * matrix[3 * c]));
}

}  // namespace sl
