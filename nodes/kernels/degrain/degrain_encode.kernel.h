// From scene-linear planes to the domain that grain is taken in: encoded, then turned to opponent axes; beside them the
// luma for motion search in whole numbers. Pixels that are not finite must have been replaced before.
#include "domain.h"
#include "driver.h"

struct degrain_encode_args {
    sl::Grid grid;
    sl::In plate;
    sl::Out out, luma;
    sl::Table curve;    // DENSITY: density over log-encoded light, one plane for each channel
    int planes;         // 3 (R, G, B) or 1
    int domain;
    float per_toe;
    float search_scale;  // whole steps of the search luma for each unit
};

template <bool EDGE>
SL_FN void degrain_encode(const degrain_encode_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F v[3];
    for (int c = 0; c < k.planes; ++c) {
        v[c] = at.load(k.plate, c);
        if (k.domain == LOG) v[c] = log_encode(v[c], k.per_toe);
        if (k.domain == DENSITY) {
            const F density = lookup(k.curve, c, log_encode(sl::abs(v[c]), k.per_toe));
            v[c] = select(v[c] < 0.0f, -density, density);
        }
    }
    if (k.planes == 3) to_opponent(v[0], v[1], v[2]);
    for (int c = 0; c < k.planes; ++c) at.store(k.out, c, v[c]);
    at.store(k.luma, 0, sl::floor(clamp(mad(v[0], splat(k.search_scale), splat(0.5f)), splat(-8191.0f), splat(8191.0f))));
}
SL_PIXEL_KERNEL(degrain_encode)
