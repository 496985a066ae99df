// What blocks cost, put back pixel by pixel: a linear filter over the coded picture and its smoothed twin, chosen by where
// in its 8 x 8 block the pixel lies, how busy the smoothed picture is there and which way it runs. Turned and mirrored
// blocks share filters.
// Reference: Shao, Zhang, Kirenko 2008 (coding artefacts reduced by classified least-squares filters).
#include "driver.h"

struct deblock_refine_args {
    sl::Grid grid;
    sl::In coded, smooth;
    sl::In steer;       // of `smooth`, see upscale_steer
    sl::Out out;
    sl::Table filters;  // DEBLOCK_TAPS for each of 10 places, 5 degrees of business, 5 directions
    int x0, y0;         // a corner of the grid
    float busy[4];      // variances of 5 x 5 smooth pixels, ascending
    float sure;         // coherence from which a direction counts
};

static constexpr int DEBLOCK_TAPS = 73;  // 7 x 7 of coded minus smooth, 5 x 5 of smooth without its middle

SL_FN sl::F deblock_weight(const sl::Table& t, sl::I filter, int tap) {
#if SL_LANES == 1
    return t.p[filter * DEBLOCK_TAPS + tap];
#else
    sl::F v;
    for (int i = 0; i < sl::LANES; ++i) v[i] = t.p[filter[i] * DEBLOCK_TAPS + tap];
    return v;
#endif
}

template <bool EDGE>
SL_FN void deblock_refine(const deblock_refine_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F sum = splat(0.0f), squares = splat(0.0f);
    const F middle = at.load(k.smooth, 0);
    for (int j = -2; j <= 2; ++j)
        for (int i = -2; i <= 2; ++i) {
            const F v = at.load(k.smooth, 0, i, j) - middle;
            sum = sum + v;
            squares = mad(v, v, squares);
        }
    const F mean = sum * 0.04f, variance = sl::max(mad(mean, -mean, squares * 0.04f), splat(0.0f));
    I busy = splat(0);
    for (int i = 0; i < 4; ++i) busy = busy + select(variance >= k.busy[i], splat(1), splat(0));

    // Where in the block, and the signs and the swap that bring it to the upper left eighth.
    const I column = (at.xs() - k.x0) & 7;
    const int row = (at.y - k.y0) & 7;
    const I left = select(column > 3, 7 - column, column);
    const int up = row > 3 ? 7 - row : row, sy = row > 3 ? -1 : 1;
    const I sx = select(column > 3, splat(-1), splat(1));
    const M swap = left < splat(up);
    const I low = select(swap, left, splat(up)), high = select(swap, splat(up), left);
    const I place = ((low * (9 - low)) >> 1) + high - low;  // 0 .. 9: pairs low <= high

    const F cosine = at.load(k.steer, 0), sine = at.load(k.steer, 1);
    F twice = mad(cosine * cosine, splat(2.0f), splat(-1.0f)), cross = cosine * sine * 2.0f;
    const F turn = to_float(sx) * float(sy);
    cross = cross * turn;
    twice = select(swap, -twice, twice);
    const I bin = select(sl::abs(twice) >= sl::abs(cross), select(twice >= 0.0f, splat(1), splat(3)),
                         select(cross >= 0.0f, splat(2), splat(4)));
    const I direction = select(at.load(k.steer, 2) >= k.sure, bin, splat(0));
    const I filter = (place * 5 + busy) * 5 + direction;

    F out = middle;
    int tap = 0;
    for (int j = -3; j <= 3; ++j)
        for (int i = -3; i <= 3; ++i) {
            const I x = at.xs() + select(swap, splat(j), splat(i)) * sx, y = splat(at.y) + select(swap, splat(i), splat(j)) * sy;
            out = mad(deblock_weight(k.filters, filter, tap++), gather(k.coded, 0, x, y) - gather(k.smooth, 0, x, y), out);
        }
    for (int j = -2; j <= 2; ++j)
        for (int i = -2; i <= 2; ++i) {
            if (i == 0 && j == 0) continue;
            const I x = at.xs() + select(swap, splat(j), splat(i)) * sx, y = splat(at.y) + select(swap, splat(i), splat(j)) * sy;
            out = mad(deblock_weight(k.filters, filter, tap++), gather(k.smooth, 0, x, y) - middle, out);
        }
    at.store(k.out, 0, out);
}
SL_PIXEL_KERNEL(deblock_refine)
