// Four pixels held to what the small pixel says: none outside the range of the 3 x 3 small pixels (further only where
// the middle is a crest or a trough along some line through it), and their mean light that of the small pixel. What is
// left between the two is handed back, in the domain, to be spread again; with `rounds` the mean is brought right here, and
// the four are handed back as light.
#include "degrain/domain.h"
#include "driver.h"

struct upscale_settle_args {
    sl::Grid grid;
    sl::In small;  // in the domain
    sl::In good;   // a plane for each of `small`: 1; 0 where the small pixel is no number
    sl::In given;  // four planes for each of `small`, see upscale_spread
    sl::Out large, left;
    int planes, domain, rounds;
    float crest;  // how much further a crest may rise, over its height above the lower of two opposite neighbours
    float toe, per_toe;
};

SL_FN sl::F upscale_light(const upscale_settle_args& k, sl::F v) { return k.domain == sl::LOG ? sl::log_decode(v, k.toe) : v; }

// What the four would have to be moved by, each, for their mean to be the small pixel's.
SL_FN sl::F upscale_short(const upscale_settle_args& k, const sl::F* v, sl::F want) {
    using namespace sl;
    const F mean = ((upscale_light(k, v[0]) + upscale_light(k, v[1])) +
                    (upscale_light(k, v[2]) + upscale_light(k, v[3]))) * 0.25f;
    return want - (k.domain == LOG ? log_encode(mean, k.per_toe) : mean);
}

template <bool EDGE>
SL_FN void upscale_settle(const upscale_settle_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    for (int c = 0; c < k.planes; ++c) {
        const F want = at.load(k.small, c);
        F low = want, high = want, rise = splat(0.0f), fall = splat(0.0f);
        for (int n = 0; n < 4; ++n) {
            const int dx = n == 0 ? 1 : n == 1 ? 0 : 1, dy = n == 0 ? 0 : n == 1 ? 1 : n == 2 ? 1 : -1;
            const F a = at.load(k.small, c, dx, dy), b = at.load(k.small, c, -dx, -dy);
            const F less = sl::min(a, b), more = sl::max(a, b);
            low = sl::min(low, less);
            high = sl::max(high, more);
            rise = sl::max(rise, want - more);
            fall = sl::max(fall, less - want);
        }
        low = mad(fall, splat(-k.crest), low);
        high = mad(rise, splat(k.crest), high);
        F v[4];
        for (int p = 0; p < 4; ++p) v[p] = clamp(at.load(k.given, 4 * c + p), low, high);
        F left = upscale_short(k, v, want);
        for (int round = 0; round < k.rounds; ++round) {
            F step = left;
            if (k.domain != LOG) {  // what a bound keeps some from, the others take over: exact once no more reach a bound
                F able = splat(0.0f);
                for (int p = 0; p < 4; ++p)
                    able = able + select(left > 0.0f, select(v[p] < high, splat(1.0f), splat(0.0f)),
                                         select(v[p] > low, splat(1.0f), splat(0.0f)));
                step = left * 4.0f / sl::max(able, splat(1.0f));
            }
            for (int p = 0; p < 4; ++p) v[p] = clamp(v[p] + step, low, high);
            left = upscale_short(k, v, want);
        }
        if (k.rounds > 0 && k.domain == LOG) {
            // What is still missing goes to each in proportion to its size: exact whatever the signs, and small by now.
            // Twice, for where large values fell away and left their last bits.
            const F light = log_decode(want, k.toe);
            for (int p = 0; p < 4; ++p) v[p] = log_decode(v[p], k.toe);
            for (int pass = 0; pass < 2; ++pass) {
                F size = splat(0.0f), mean = splat(0.0f);
                for (int p = 0; p < 4; ++p) {
                    mean = mad(v[p], splat(0.25f), mean);
                    size = mad(sl::abs(v[p]), splat(0.25f), size);
                }
                const F share = (light - mean) / (size + k.toe);
                for (int p = 0; p < 4; ++p) v[p] = mad(sl::abs(v[p]) + k.toe, share, v[p]);
            }
        }
        for (int p = 0; p < 4; ++p) at.store(k.large, 4 * c + p, v[p]);
        at.store(k.left, c, select(at.load(k.good, c) > 0.0f, left, splat(0.0f)));
    }
}
SL_PIXEL_KERNEL(upscale_settle)
