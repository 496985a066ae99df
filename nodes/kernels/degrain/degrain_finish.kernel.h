// The clean picture from the domain that grain was taken in back to light, and what is taken, rounded so that both parts
// add up to the plate again. Pixels that are not finite are handed through.
#include "domain.h"
#include "driver.h"
#include "settle.h"

struct degrain_finish_args {
    sl::Grid grid;
    sl::In plate, coded;  // scene-linear; clean, encoded, opponent
    sl::Out image, grain;
    sl::Table uncurve;    // DENSITY: log-encoded light over density
    int planes, domain;
    float toe;
    float amount[3];      // how much of the grain is taken, R, G, B
};

template <bool EDGE>
SL_FN void degrain_finish(const degrain_finish_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F v[3];
    for (int c = 0; c < k.planes; ++c) v[c] = at.load(k.coded, c);
    if (k.planes == 3) from_opponent(v[0], v[1], v[2]);
    for (int c = 0; c < k.planes; ++c) {
        const F plate = at.load(k.plate, c);
        F clean = v[c];
        if (k.domain == DENSITY) {
            const F light = lookup(k.uncurve, c, sl::abs(clean));
            clean = select(clean < 0.0f, -light, light);
        }
        if (k.domain != AS_IS) clean = log_decode(clean, k.toe);
        const M usable = is_finite(plate) & is_finite(v[c]) & is_finite(clean);
        const F from = select(usable, plate, splat(0.0f));
        const F target = mad(select(usable, clean, splat(0.0f)) - from, splat(k.amount[c]), from);
        const F rounded = settle(from, target);
        at.store(k.image, c, select(usable, rounded, plate));
        at.store(k.grain, c, select(usable, from - rounded, splat(0.0f)));
    }
}
SL_PIXEL_KERNEL(degrain_finish)
