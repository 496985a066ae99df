// How much of the grain is taken at each pixel: plate + (clean - plate) * weight, where the weight is the matte's times
// the strength of the channel and of the tone. At weight 0 the plate keeps its bits, at 1 the clean picture does.
// Pixels that are not finite are handed through.
#include "../elementary.h"
#include "driver.h"
#include "settle.h"

struct degrain_take_args {
    sl::Grid grid;
    sl::In plate, clean;
    sl::In matte;       // coverage, one plane; nothing is taken where it is 0 or not a number
    sl::Out image, grain;
    int planes, use_matte;
    float strength[3];  // of each plane; with the tone's, more than 1 is 1
    float tone[3];      // strength in shadows, midtones, highlights
};

// The strength at a level of light: shadows end between 3 stops and 1 stop below 0.18, highlights begin between 1 stop
// and 3 stops above it (cubic smoothstep).
SL_FN sl::F degrain_tone(sl::F light, const float* tone) {
    using namespace sl;
    const F stops = log2(max(light, splat(1.0e-12f)) * (1.0f / 0.18f));
    const F below = clamp(stops * -0.5f - 0.5f, splat(0.0f), splat(1.0f));
    const F above = clamp(stops * 0.5f - 0.5f, splat(0.0f), splat(1.0f));
    const F shadows = below * below * (3.0f - 2.0f * below), highlights = above * above * (3.0f - 2.0f * above);
    // Written so that equal strengths, and full shares, come out exactly.
    const F dark = mad(shadows, splat(tone[0] - tone[1]), splat(tone[1]));
    const F value = select(highlights > 0.0f, mad(highlights, splat(tone[2] - tone[1]), splat(tone[1])), dark);
    return select(below == splat(1.0f), splat(tone[0]), select(above == splat(1.0f), splat(tone[2]), value));
}

template <bool EDGE>
SL_FN void degrain_take(const degrain_take_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const F matte = k.use_matte ? clamp(at.load(k.matte, 0), splat(0.0f), splat(1.0f)) : splat(1.0f);
    for (int c = 0; c < k.planes; ++c) {
        const F plate = at.load(k.plate, c), clean = at.load(k.clean, c);
        const M usable = is_finite(plate) & is_finite(clean);
        const F from = select(usable, plate, splat(0.0f)), to = select(usable, clean, splat(0.0f));
        const F weight = matte * min(degrain_tone(to, k.tone) * k.strength[c], splat(1.0f));
        const M whole = weight == splat(1.0f);
        const F target = select(whole, to, settle(from, mad(to - from, weight, from)));
        const M taken = usable & (weight > 0.0f);
        at.store(k.image, c, select(taken, target, plate));
        at.store(k.grain, c, select(taken, from - target, splat(0.0f)));
    }
}
SL_PIXEL_KERNEL(degrain_take)
