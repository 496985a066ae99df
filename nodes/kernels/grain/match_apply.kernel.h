// Grain of a measured spectrum, laid in where it was measured: the white noise of match_white through a filter that is
// symmetric along both axes, times sigma at the pixel's level, less what keeps the mean light. Beside the picture stands
// what was added: input + grain is the picture, bit for bit.
#include "degrain/domain.h"
#include "driver.h"
#include "grain/regrain_film.h"

struct match_apply_args {
    sl::Grid grid;
    sl::In image, matte, white;  // matte: one plane, read if use_matte
    sl::Out out, grain;
    sl::Table taps;             // a plane for each channel: weights at |dy| (half + 1) + |dx|
    sl::Table sigma;            // AS_IS, LOG: over the level in the domain; DENSITY: octave table of light
    sl::Table bias;             // what to take off for the mean, in sigmas; AS_IS: over the level, else log-encoded light
    sl::Table forward, inverse;  // DENSITY: see regrain_film.h
    float e_toe[3], n_toe[3], toe_slope[3], toe_back[3], x_end[3], n_end[3], end_stops[3];
    int plane[3];
    int layers, half, domain, use_matte;
    float toe, per_toe;
};

template <bool EDGE>
SL_FN sl::F match_noise(const match_apply_args& k, const sl::At<EDGE>& at, int c) {
    using namespace sl;
    const int side = k.half + 1;
    const float* taps = k.taps.p + c * k.taps.n;
    F sum = splat(0.0f);
    for (int dy = 0; dy < side; ++dy) {
        const At<EDGE> below{at.x, (at.y + dy) >> 2, at.n}, above{at.x, (at.y - dy) >> 2, at.n};
        const int low = 4 * c + ((at.y + dy) & 3), high = 4 * c + ((at.y - dy) & 3);
        for (int dx = 0; dx < side; ++dx) {
            F pixels = below.load(k.white, low, dx);
            if (dx) pixels = pixels + below.load(k.white, low, -dx);
            if (dy) {
                F others = above.load(k.white, high, dx);
                if (dx) others = others + above.load(k.white, high, -dx);
                pixels = pixels + others;
            }
            sum = mad(splat(taps[dy * side + dx]), pixels, sum);
        }
    }
    return sum;
}

// x after a step in the log domain: a factor on |x| + toe, so that no digit of bright light is lost; through zero where
// the step is larger than the level.
SL_FN sl::F match_stepped(sl::F x, sl::F step, float toe) {
    using namespace sl;
    const F q = min((sl::abs(x) + toe) * exp2(select(x < 0.0f, -step, step)), splat(3.4028234e38f));
    const F size = select(q < toe, toe - toe * toe / q, q - toe);
    return select(x < 0.0f, -size, size);
}

template <bool EDGE>
SL_FN void match_apply(const match_apply_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    for (int c = 0; c < k.layers; ++c) {
        const F x = at.load(k.image, k.plane[c]);
        const F level = k.domain == AS_IS ? x : log_encode(x, k.per_toe);
        F weight = splat(1.0f);
        if (k.use_matte) weight = clamp(at.load(k.matte, 0), splat(0.0f), splat(1.0f));
        const F g = weight * (match_noise(k, at, c) - weight * lookup(k.bias, c, level));
        F grain;
        if (k.domain == DENSITY) {
            FilmLayer film = film_curve(k, c);
            film.sigma = k.sigma.p + c * k.sigma.n;
            grain = grained(film, x, g, splat(1.0f)) - x;
        } else {
            const F step = lookup(k.sigma, c, level) * g;
            grain = k.domain == LOG ? match_stepped(x, step, k.toe) - x : step;
            grain = select(step != splat(0.0f), grain, splat(0.0f));
        }
        const M touched = is_finite(x) & is_finite(grain) & (grain != splat(0.0f));
        at.store(k.grain, k.plane[c], select(touched, grain, splat(0.0f)));
        at.store(k.out, k.plane[c], select(touched, x + grain, x));
    }
}
SL_PIXEL_KERNEL(match_apply)
