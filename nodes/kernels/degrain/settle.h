// A picture and what was taken from it, as two floats that add up to the plate again.
#pragma once
#include "../lane.h"

namespace sl {

// `target`, moved by no more than a unit in the last place of it or of `from`, so that with g = from - settled the float
// sum settled + g is `from`.
//
// g rounds from - target once, and settled is from - g. Let 2^e <= |from| < 2^(e+1). Where target lies between from / 2
// and 2 from, g is exact, so settled is target. Where |target| < |from| otherwise, g lies between from / 2 and 2 from, so
// from - g is exact (Sterbenz 1974). Where |target| is larger, all three are multiples of the spacing of floats at 2^e,
// and below 2^(e+1) every such multiple is a float: g is exact if |g| < 2^(e+1), and from - g is if that is. What is
// left are |settled| and |g| both at least 2^(e+1): their floats, hence their sums, are spaced wider than `from` may
// need, and no pair of floats does better than this one, which is right to half a unit in the last place of g.
SL_FN F settle(F from, F target) {
    const F grain = from - target;
    return select(is_finite(grain), from - grain, from);
}

}  // namespace sl
