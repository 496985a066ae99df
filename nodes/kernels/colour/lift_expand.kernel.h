// Twice the size, joined with what is there: own * fine + up * doubled; or, rounded, fine + the part of the
// difference that may be rounding.
#include "driver.h"
#include "halves.h"
#include "lift_source.h"

struct lift_expand_args {
    sl::Grid grid;
    sl::InOwn half;
    sl::In fine;
    sl::Out out;  // may be fine itself
    float own, up;
    int rounded, planes;
};

template <bool EDGE>
SL_FN void lift_expand(const lift_expand_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    for (int c = 0; c < k.planes; ++c) {
        const F wide = doubled(k.half, c, at.x, at.y);
        if (k.own == 0.0f) {
            at.store(k.out, c, wide * k.up);
            continue;
        }
        const F here = at.load(k.fine, c);
        at.store(k.out, c, k.rounded ? here + within_rounding(wide - here) : mad(wide, splat(k.up), here * k.own));
    }
}
SL_PIXEL_KERNEL(lift_expand)
