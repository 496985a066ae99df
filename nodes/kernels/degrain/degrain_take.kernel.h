// How much of the grain is taken at each pixel: plate + (clean - plate) * weight, where the weight is the matte's. At
// weight 0 the plate keeps its bits, at 1 the clean picture does. Pixels that are not finite are handed through.
#include "driver.h"
#include "settle.h"

struct degrain_take_args {
    sl::Grid grid;
    sl::In plate, clean;
    sl::In matte;  // coverage, one plane; nothing is taken where it is 0 or not a number
    sl::Out image, grain;
    int planes;
};

template <bool EDGE>
SL_FN void degrain_take(const degrain_take_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const F matte = clamp(at.load(k.matte, 0), splat(0.0f), splat(1.0f));
    for (int c = 0; c < k.planes; ++c) {
        const F plate = at.load(k.plate, c), clean = at.load(k.clean, c);
        const M usable = is_finite(plate) & is_finite(clean);
        const F from = select(usable, plate, splat(0.0f)), to = select(usable, clean, splat(0.0f));
        const F weight = matte;
        const M whole = weight == splat(1.0f);
        const F target = select(whole, to, settle(from, mad(to - from, weight, from)));
        const M taken = usable & (weight > 0.0f);
        at.store(k.image, c, select(taken, target, plate));
        at.store(k.grain, c, select(taken, from - target, splat(0.0f)));
    }
}
SL_PIXEL_KERNEL(degrain_take)
