// Best paths down a picture through summed evidence, by dynamic programming: for every strip, slant and column the score
// of the best path that ends there and of the best that begins there, and for every strip and column that of the best
// path through it, where a line may be followed from there.
//
// A path steps from strip to strip, by its slant in columns; its slant changes by one a strip at most, at a price. It
// gains what a strip has above `drift`, less the price of its slant, and may begin and end anywhere.
// An item is all of it: a strip needs the one before it.
#include "driver.h"

struct scratch_passes_args {
    sl::Grid grid;        // one item
    sl::In strips;        // evidence: a plane for each strip, a row for each slant, from -most to most
    sl::Out down, up;     // the same, with `edge` columns more before the first and at least as many after the last: all 0
    sl::Out best;         // a row for each strip, with as many columns more, all of them very low
    sl::Out seeds;        // a row for each strip: what the best path through a pixel has, where it is the best around
                          // and its own strip gains; else very low
    float drift, bend;
    float lean[16];       // price of each slant
    int edge;             // columns beside the picture: as many as the steepest slant, and as `apart`
    int apart;            // pixels that it must be the best in, to both sides
};

namespace sl {

static constexpr float SCRATCH_NEVER = -3.0e38f;

SL_FN F scratch_part(const float* p, int n) {  // the first n of LANES, else 0
#if SL_LANES == 1
    (void)n;
#else
    if (n < LANES) {
        F v = splat(0.0f);
        for (int i = 0; i < n; ++i) v[i] = p[i];
        return v;
    }
#endif
    return load_lanes(p);
}

SL_FN void scratch_put(float* p, F v, int n) {
#if SL_LANES == 1
    (void)n;
#else
    if (n < LANES) {
        for (int i = 0; i < n; ++i) p[i] = v[i];
        return;
    }
#endif
    store_lanes(p, v);
}

}  // namespace sl

SL_FN void scratch_passes(const scratch_passes_args& k, int, int) {
    using namespace sl;
    const int count = k.strips.planes, slants = k.strips.h, wide = k.strips.w, most = slants / 2;
    const F bend = splat(k.bend), drift = splat(k.drift), zero = splat(0.0f);
    for (int j = 0; j < count; ++j)
        for (int s = 0; s < slants; ++s) {
            const float* own = k.strips.p + j * k.strips.plane + s * k.strips.row;
            float* out = k.down.p + j * k.down.plane + s * k.down.row + k.edge;
            const float* before = k.down.p + (j - 1) * k.down.plane + k.edge;
            for (int x = 0; x < wide; x += LANES) {
                const int n = imin(LANES, wide - x);
                F gain = scratch_part(own + x, n) - drift - splat(k.lean[s]);
                if (j) {
                    F more = zero;
                    for (int t = imax(s - 1, 0); t <= imin(s + 1, slants - 1); ++t) {
                        const F came = load_lanes(before + t * k.down.row + x - (t - most));
                        more = sl::max(more, t == s ? came : came - bend);
                    }
                    gain = gain + more;
                }
                scratch_put(out + x, gain, n);
            }
        }
    for (int j = count - 1; j >= 0; --j) {
        const float* after = k.up.p + (j + 1) * k.up.plane + k.edge;
        float* best = k.best.p + j * k.best.row + k.edge;
        float* seeds = k.seeds.p + j * k.seeds.row;
        for (int x = 0; x < wide; x += LANES) {
            const int n = imin(LANES, wide - x);
            F most_gained = splat(SCRATCH_NEVER), own_gain = zero;
            for (int s = 0; s < slants; ++s) {
                const float* own = k.strips.p + j * k.strips.plane + s * k.strips.row;
                const F gain = scratch_part(own + x, n) - drift - splat(k.lean[s]);
                F total = gain;
                if (j + 1 < count) {
                    F more = zero;
                    for (int t = imax(s - 1, 0); t <= imin(s + 1, slants - 1); ++t) {
                        const F goes = load_lanes(after + t * k.up.row + x + (s - most));
                        more = sl::max(more, t == s ? goes : goes - bend);
                    }
                    total = total + more;
                }
                scratch_put(k.up.p + j * k.up.plane + s * k.up.row + k.edge + x, total, n);
                const F both = load_lanes(k.down.p + j * k.down.plane + s * k.down.row + k.edge + x) + total - gain;
                const M better = both > most_gained;
                own_gain = select(better, gain, own_gain);
                most_gained = select(better, both, most_gained);
            }
            scratch_put(best + x, most_gained, n);
            scratch_put(seeds + x, select(own_gain > zero, most_gained, splat(SCRATCH_NEVER)), n);
        }
        for (int x = 0; x < wide; x += LANES) {
            const int n = imin(LANES, wide - x);
            F around = load_lanes(best + x - k.apart);
            for (int i = 1 - k.apart; i <= k.apart; ++i) around = sl::max(around, load_lanes(best + x + i));
            const M peak = load_lanes(best + x) >= around;
            scratch_put(seeds + x, select(peak, scratch_part(seeds + x, n), splat(SCRATCH_NEVER)), n);
        }
    }
}
SL_ITEM_KERNEL(scratch_passes)
