// How much light what clips is given, in stops.
// Where all channels clip: a dome that begins at nothing at the rim, the higher the smaller and the more sudden the
// highlight. None on large areas, which were white rather than lamps, and none where the surroundings are nearly as
// bright, as light that rises slowly does not rise far. Where some do, and it is asked for: the light that the colour around, scaled
// to the channels that do not clip, would have there.
#include "driver.h"
#include "lift_source.h"

struct lift_recover_args {
    sl::Grid grid;
    sl::In light;        // three channels
    sl::In around;       // weighted light of three channels; weight
    sl::In near_, far_;  // how much clips, all at once; light; if led, three channels: within a highlight's size; the first two: a large area's
    sl::Out out;         // stops for all that clip at once; if led, for three channels one by one
    float level, most;
    int led;
};

template <bool EDGE>
SL_FN void lift_recover(const lift_recover_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const F one = splat(1.0f);
    const F large = at.load(k.far_, 0);
    const F dome = smooth_step(at.load(k.near_, 0), 0.5f, 1.0f) * (one - smooth_step(large, 0.04f, 0.3f));
    // Light of what does not clip, in stops below the level.
    const F rest = (at.load(k.far_, 1) - large) / max(one - large, splat(0.1f));
    const F below = log2(clamp(rest, splat(0.01f), one)) * -1.0f - 0.75f;
    at.store(k.out, 0, dome * clamp(below, splat(0.0f), splat(k.most)));
    if (!k.led) return;
    const F weight = max(at.load(k.around, 3), splat(1e-20f));
    F hold[3], open[3], have = splat(0.0f), would = splat(0.0f), free = splat(0.0f);
    for (int c = 0; c < 3; ++c) {
        hold[c] = at.load(k.around, c) / weight;
        open[c] = one - clamp(at.load(k.near_, 2 + c), splat(0.0f), one);
        have = mad(open[c], at.load(k.light, c), have);
        would = mad(open[c], hold[c], would);
        free = free + open[c];
    }
    const F scale = have / max(would, splat(1e-3f)) * (1 / k.level);
    const F sure = clamp(free, splat(0.0f), one);
    for (int c = 0; c < 3; ++c) {
        const F told = clamp(log2(clamp(hold[c] * scale, splat(1e-3f), splat(1e3f))), splat(0.0f), splat(k.most));
        at.store(k.out, 1 + c, told * sure * smooth_step(one - open[c], 0.5f, 1.0f));
    }
}
SL_PIXEL_KERNEL(lift_recover)
