// Grain removal: dense 8 x 8 DCT patches of a picture and its motion-compensated neighbours. In every patch each
// neighbour is weighted, band by band, by how well it agrees with the centre given the noise; what the weighted mean
// leaves of the noise is known, and coefficients that do not rise above it are dropped. All patches that cover a pixel
// are averaged, each weighted by the noise it kept.
//
// References: Hasinoff et al. 2016 (robust temporal merge in frequency), Dabov et al. 2007 (aggregation weights),
// Yaroslavsky 1996 (sliding DCT shrinkage).
//
// An item is a tile of TILE columns and ROWS rows that no other item writes; neighbouring items recompute the patches
// they share, so nothing is summed across items. Inside, sums run over patches by increasing y, then x, whatever the
// lane count: a run of patches adds its columns from the last to the first.
#include "dct.h"
#include "domain.h"
#include "driver.h"
#include "settle.h"

struct degrain_args {
    sl::Grid grid;           // x: 0 .. 1, y: items
    sl::In plate;            // the plate, scene-linear
    sl::In centre, others;   // encoded, with a border of at least 8; others: planes * count, moved into place
    sl::Out image, grain;
    sl::Out scratch;         // CUDA: DEGRAIN_SCRATCH floats for each item
    sl::Table variance;      // noise variance over the encoded level, one plane for each channel
    sl::Table spectrum;      // 64 relative variances of the DCT coefficients for each opponent channel
    sl::Table uncurve;       // DENSITY: log-encoded light over density
    int planes, count, domain, tiles_x, rows, step, colour_step, width, height;
    float toe, scale;        // scale: on the noise variance
    float agree, doubt;      // neighbours: expected square difference in variances; slope of the penalty beyond it
    float band[12];          // mean of the spectrum in each band, for each opponent channel
    float keep[3];           // squared thresholds in variances
    float amount[3];         // how much of the grain is taken, R, G, B
};

static constexpr int DEGRAIN_TILE = 121, DEGRAIN_RUN = 128, DEGRAIN_WIDE = 144, DEGRAIN_MOST = 8;
static constexpr int DEGRAIN_SCRATCH = DEGRAIN_WIDE * (8 * (3 + DEGRAIN_MOST + 1 + 6) + 4);

// Which of four bands a coefficient belongs to: by the higher of its two frequencies.
SL_FN int degrain_band(int u, int v) {
    const int high = u > v ? u : v;
    return high < 2 ? 0 : high < 4 ? 1 : high < 6 ? 2 : 3;
}

// One row of patches of one channel: `centre` and `others` hold the vertical DCT of the centre's columns and of the
// neighbours' differences from it; `sums` and `weights` receive the weighted horizontal inverse.
SL_FN void degrain_patches(const degrain_args& k, int c, const float* centre, const float* others,
                           const float* variance, int run, float* sums, float* weights) {
    using namespace sl;
    SL_COLUMNS(x, run) {
        const F noise = load_lanes(variance + x);
        F f[64], acc[64], d[64];
        for (int v = 0; v < 8; ++v) {
            for (int j = 0; j < 8; ++j) f[v * 8 + j] = load_lanes(centre + v * DEGRAIN_WIDE + x + j);
            dct8(f + v * 8);
        }
        F den[4] = {splat(1.0f), splat(1.0f), splat(1.0f), splat(1.0f)};
        for (int i = 0; i < 64; ++i) acc[i] = splat(0.0f);
        for (int n = 0; n < k.count; ++n) {
            F energy[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
            for (int v = 0; v < 8; ++v) {
                for (int j = 0; j < 8; ++j) d[v * 8 + j] = load_lanes(others + (n * 8 + v) * DEGRAIN_WIDE + x + j);
                dct8(d + v * 8);
                for (int u = 0; u < 8; ++u) {
                    F& e = energy[degrain_band(u, v)];
                    e = mad(d[v * 8 + u], d[v * 8 + u], e);
                }
            }
            F w[4];
            const float size[4] = {1.0f / 4, 1.0f / 12, 1.0f / 20, 1.0f / 28};
            for (int b = 0; b < 4; ++b) {
                const F expected = noise * k.band[c * 4 + b];
                const F excess = sl::max(energy[b] * size[b] - expected * k.agree, splat(0.0f));
                w[b] = expected / mad(excess, splat(k.doubt), expected);
                den[b] = den[b] + w[b];
            }
            for (int v = 0; v < 8; ++v)
                for (int u = 0; u < 8; ++u) acc[v * 8 + u] = mad(w[degrain_band(u, v)], d[v * 8 + u], acc[v * 8 + u]);
        }
        F left[4], limit[4];
        for (int b = 0; b < 4; ++b) {
            left[b] = splat(1.0f) / den[b];
            limit[b] = noise * left[b] * k.keep[c];
        }
        const float* spectrum = k.spectrum.p + c * 64;
        F kept = splat(0.0f);
        for (int v = 0; v < 8; ++v)
            for (int u = 0; u < 8; ++u) {
                const int i = v * 8 + u, b = degrain_band(u, v);
                const F value = mad(acc[i], left[b], f[i]);
                if (i == 0) {
                    f[i] = value;
                    kept = left[b] * spectrum[i];
                } else {
                    const M strong = value * value > limit[b] * spectrum[i];
                    f[i] = select(strong, value, splat(0.0f));
                    kept = kept + select(strong, left[b] * spectrum[i], splat(0.0f));
                }
            }
        const F weight = splat(1.0f) / (kept * noise);
        for (int v = 0; v < 8; ++v) {
            idct8(f + v * 8);
            for (int j = 0; j < 8; ++j) f[v * 8 + j] = f[v * 8 + j] * weight;
        }
        for (int j = 7; j >= 0; --j) {
            for (int v = 0; v < 8; ++v) {
                float* sum = sums + v * DEGRAIN_WIDE + x + j;
                store_lanes(sum, load_lanes(sum) + f[v * 8 + j]);
            }
            store_lanes(weights + x + j, load_lanes(weights + x + j) + weight);
            SL_SYNC();
        }
    }
}

// The noise variance that an opponent channel has in each patch, from the level of its mean.
SL_FN void degrain_levels(const degrain_args& k, const float* const* means, int run, float* variance) {
    using namespace sl;
    SL_COLUMNS(x, run) {
        F level[3];
        for (int c = 0; c < k.planes; ++c) {
            F sum = splat(0.0f);
            for (int j = 0; j < 8; ++j) sum = sum + load_lanes(means[c] + x + j);
            level[c] = sum * (DCT_H / 8.0f);
        }
        if (k.planes == 3) from_opponent(level[0], level[1], level[2]);
        F s[3];
        for (int c = 0; c < k.planes; ++c) s[c] = lookup(k.variance, c, level[c]) * k.scale;
        if (k.planes == 3) {
            store_lanes(variance + x, (s[0] + s[1] + s[2]) * (1.0f / 3.0f));
            store_lanes(variance + DEGRAIN_WIDE + x, (s[0] + s[2]) * 0.5f);
            store_lanes(variance + 2 * DEGRAIN_WIDE + x, mad(s[1], splat(4.0f), s[0] + s[2]) * (1.0f / 6.0f));
        } else {
            store_lanes(variance + x, s[0]);
        }
    }
}

// A finished row of the tile: weighted means, back to light, what is taken rounded so that both parts add up again.
SL_FN void degrain_finish(const degrain_args& k, int x0, int y, const float* sums, const float* weights) {
    using namespace sl;
    const int n = imin(DEGRAIN_TILE, k.width - x0);
    SL_COLUMNS(x, n) {
        const At<true> at = {k.plate.x0 + x0 + x, k.plate.y0 + y, imin(LANES, n - x)};
        F v[3];
        for (int c = 0; c < k.planes; ++c)
            v[c] = load_lanes(sums + c * 8 * DEGRAIN_WIDE + x + 7) / load_lanes(weights + c * 8 * DEGRAIN_WIDE + x + 7);
        if (k.planes == 3) from_opponent(v[0], v[1], v[2]);
        for (int c = 0; c < k.planes; ++c) {
            const F plate = at.load(k.plate, c);
            F clean = v[c];
            if (k.domain == DENSITY) {
                const F light = lookup(k.uncurve, c, sl::abs(clean));
                clean = select(clean < 0.0f, -light, light);
            }
            if (k.domain != AS_IS) clean = log_decode(clean, k.toe);
            const M usable = is_finite(plate) & is_finite(clean);
            const F from = select(usable, plate, splat(0.0f));
            const F target = mad(select(usable, clean, splat(0.0f)) - from, splat(k.amount[c]), from);
            const F rounded = settle(from, target);
            at.store(k.image, c, select(usable, rounded, plate));
            at.store(k.grain, c, select(usable, from - rounded, splat(0.0f)));
        }
    }
}

SL_FN void degrain(const degrain_args& k, int item) {
    using namespace sl;
    static constexpr int LINE = DEGRAIN_WIDE, BLOCK = 8 * LINE;
#if SL_CUDA
    float* memory = k.scratch.p + (long long)(item - k.grid.y0) * DEGRAIN_SCRATCH;
#else
    alignas(64) float memory[DEGRAIN_SCRATCH];
#endif
    float* centre = memory;                          // 3 x 8 lines: vertical DCT of the centre's columns
    float* others = centre + 3 * BLOCK;              // 8 lines for each neighbour, of one channel: differences
    float* across = others + DEGRAIN_MOST * BLOCK;   // 8 lines: sums of horizontal inverses
    float* sums = across + BLOCK;                    // 3 x 8 lines: the rows being summed, a ring
    float* weights = sums + 3 * BLOCK;               // 3 x 8 lines
    float* variance = weights + 3 * BLOCK;           // 3 lines
    float* weight = variance + 3 * LINE;             // 1 line
    const int x0 = item % k.tiles_x * DEGRAIN_TILE, y0 = item / k.tiles_x * k.rows;
    const int y1 = imin(y0 + k.rows, k.height);
    // Patches, in whole vectors of the widest build, and the columns they read: few in the last tile of a row.
    const int run = imin(DEGRAIN_RUN, (imin(DEGRAIN_TILE, k.width - x0) + 7 + 15) & ~15), wide = run + 16;
    const int left = x0 - 7 + k.plate.x0 - k.centre.x0;

    SL_COLUMNS(x, LINE) {
        for (int i = 0; i < 48; ++i) store_lanes(sums + i * LINE + x, splat(0.0f));
    }
    for (int y = y0 - 8 + k.step; y < y1; y += k.step) {
        const int top = y + k.plate.y0 - k.centre.y0;
        const float* means[3] = {centre, centre + BLOCK, centre + 2 * BLOCK};
        for (int c = 0; c < k.planes; ++c) {
            SL_COLUMNS(x, wide) {
                const float* p = k.centre.p + c * k.centre.plane + top * k.centre.row + left + x;
                F v[8];
                for (int j = 0; j < 8; ++j) v[j] = load_lanes(p + j * k.centre.row);
                dct8(v);
                for (int j = 0; j < 8; ++j) store_lanes(centre + c * BLOCK + j * LINE + x, v[j]);
            }
        }
        SL_SYNC();
        degrain_levels(k, means, run, variance);
        for (int c = 0; c < k.planes; ++c) {
            if (c > 0 && y % k.colour_step != 0) continue;
            SL_COLUMNS(x, wide) {
                const float* p = k.centre.p + c * k.centre.plane + top * k.centre.row + left + x;
                for (int n = 0; n < k.count; ++n) {
                    const float* q = k.others.p + (n * k.planes + c) * k.others.plane + top * k.others.row + left + x;
                    F v[8];
                    for (int j = 0; j < 8; ++j) v[j] = load_lanes(q + j * k.others.row) - load_lanes(p + j * k.centre.row);
                    dct8(v);
                    for (int j = 0; j < 8; ++j) store_lanes(others + n * BLOCK + j * LINE + x, v[j]);
                }
                for (int j = 0; j < 8; ++j) store_lanes(across + j * LINE + x, splat(0.0f));
                store_lanes(weight + x, splat(0.0f));
            }
            SL_SYNC();
            degrain_patches(k, c, centre + c * BLOCK, others, variance + c * LINE, run, across, weight);
            SL_SYNC();
            SL_COLUMNS(x, wide) {
                F v[8];
                for (int j = 0; j < 8; ++j) v[j] = load_lanes(across + j * LINE + x);
                idct8(v);
                const F w = load_lanes(weight + x);
                for (int j = 0; j < 8; ++j) {
                    float* sum = sums + c * BLOCK + ((y + j) & 7) * LINE + x;
                    float* whole = weights + c * BLOCK + ((y + j) & 7) * LINE + x;
                    store_lanes(sum, load_lanes(sum) + v[j]);
                    store_lanes(whole, load_lanes(whole) + w);
                }
            }
        }
        SL_SYNC();
        for (int row = y; row < y + k.step; ++row) {
            const int slot = (row & 7) * LINE;
            if (row >= y0 && row < y1) degrain_finish(k, x0, row, sums + slot, weights + slot);
            SL_SYNC();
            SL_COLUMNS(x, wide) {
                for (int c = 0; c < 6; ++c) store_lanes(sums + c * BLOCK + slot + x, splat(0.0f));
            }
        }
        SL_SYNC();
    }
}
SL_BLOCK_KERNEL(degrain)
