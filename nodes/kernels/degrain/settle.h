// A picture and what was taken from it, as two floats that add up to the plate again.
#pragma once
#include "../lane.h"

namespace sl {

// `target` rounded no finer than the coarser of it and `from` can hold: then the difference, too, has all its digits.
SL_FN F settle(F from, F target) {
    const F largest = max(max(abs(from), abs(target)), splat(1.0e-30f));
    const F unit = from_bits((bits(largest) & 0x7f800000) - (23 << 23));
    return floor(target / unit + 0.5f) * unit;
}

}  // namespace sl
