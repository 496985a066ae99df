// Grain removal: dense 8 x 8 DCT patches of a picture and its motion-compensated neighbours. In every patch each
// neighbour is weighted, band by band, by how well it agrees with the centre given the noise; what the weighted mean
// leaves of the noise is known. The first stage drops coefficients that do not rise above it. The second knows what the
// first made, the pilot: it compares neighbours with that, and keeps of each coefficient the share p^4 / (p^4 + noise^4),
// steeper than Wiener's, because a pilot of nothing but noise is small and not zero. All patches that cover a pixel are averaged, each weighted by the
// noise it kept.
//
// References: Hasinoff et al. 2016 (robust temporal merge in frequency), Dabov et al. 2007 (aggregation weights, a
// pilot), Yaroslavsky 1996 (sliding DCT shrinkage).
//
// An item is a tile of TILE columns and ROWS rows that no other item writes; neighbouring items recompute the patches
// they share, so nothing is summed across items. Inside, sums run over patches by increasing y, then x, whatever the
// lane count: a run of patches adds its columns from the last to the first. Patches begin at every other column, so a
// line is kept as its even columns and, HALF further on, its odd ones: what neighbouring patches read is consecutive.
#include "dct.h"
#include "domain.h"
#include "driver.h"

struct degrain_args {
    sl::Grid grid;           // x: 0 .. 1, y: items
    sl::In centre, others;   // encoded, with a border of at least 8; others: planes * count, moved into place
    sl::In pilot;            // second stage: what the first made of `centre`, with the same border
    sl::Out image;           // clean, encoded
    sl::Out scratch;         // CUDA: DEGRAIN_SCRATCH floats for each item
    sl::Table variance;      // noise variance over the encoded level, one plane for each channel
    sl::Table spectrum;      // 64 relative variances of the DCT coefficients for each opponent channel
    int planes, count, tiles_x, rows, step, colour_step, width, height;
    int second;              // whether this is the second stage
    float scale;             // on the noise variance
    float agree[4], doubt;   // neighbours: square difference in variances that is expected in each band; slope beyond it
    float band[12];          // mean of the spectrum in each band, for each opponent channel
    float keep[3];           // squared thresholds in variances
};

static constexpr int DEGRAIN_TILE = 122, DEGRAIN_RUN = 64, DEGRAIN_HALF = 80, DEGRAIN_WIDE = 2 * DEGRAIN_HALF, DEGRAIN_MOST = 8;
static constexpr int DEGRAIN_LEAD = 6;  // columns before the tile's first whose patches reach it
static constexpr int DEGRAIN_SCRATCH = DEGRAIN_WIDE * (8 * (3 + 1 + DEGRAIN_MOST + 1 + 6) + 4);

// Where column j of the patches is, from the first of them on.
SL_FN int degrain_column(int j) { return (j & 1) * DEGRAIN_HALF + (j >> 1); }

// Which of four bands a coefficient belongs to: by the higher of its two frequencies.
SL_FN int degrain_band(int u, int v) {
    const int high = u > v ? u : v;
    return high < 2 ? 0 : high < 4 ? 1 : high < 6 ? 2 : 3;
}

// Patches of one channel, from column pair `x` on: `centre`, `pilot` and `others` hold the vertical DCT of the centre's
// columns, of the pilot's and of the neighbours' differences from the centre. `f` receives the horizontal inverse of
// what is kept, times the weight that is returned.
template <bool SECOND>
SL_FN sl::F degrain_patch(const degrain_args& k, int c, const float* centre, const float* pilot, const float* others,
                          const float* variance, int x, sl::F* f) {
    using namespace sl;
    const F noise = load_lanes(variance + x);
    F acc[64], d[64], p[SECOND ? 64 : 1], off[SECOND ? 64 : 1];
    for (int v = 0; v < 8; ++v) {
        for (int j = 0; j < 8; ++j) f[v * 8 + j] = load_lanes(centre + v * DEGRAIN_WIDE + x + degrain_column(j));
        dct8(f + v * 8);
        if (SECOND) {
            for (int j = 0; j < 8; ++j) p[v * 8 + j] = load_lanes(pilot + v * DEGRAIN_WIDE + x + degrain_column(j));
            dct8(p + v * 8);
            for (int u = 0; u < 8; ++u) off[v * 8 + u] = f[v * 8 + u] - p[v * 8 + u];
        }
    }
    F den[4] = {splat(1.0f), splat(1.0f), splat(1.0f), splat(1.0f)};
    for (int i = 0; i < 64; ++i) acc[i] = splat(0.0f);
    for (int n = 0; n < k.count; ++n) {
        F energy[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
        for (int v = 0; v < 8; ++v) {
            const float* line = others + (n * 8 + v) * DEGRAIN_WIDE + x;
            for (int j = 0; j < 8; ++j) d[v * 8 + j] = load_lanes(line + degrain_column(j));
            dct8(d + v * 8);
            for (int u = 0; u < 8; ++u) {
                F& e = energy[degrain_band(u, v)];
                const F apart = SECOND ? d[v * 8 + u] + off[v * 8 + u] : d[v * 8 + u];
                e = mad(apart, apart, e);
            }
        }
        F w[4];
        const float size[4] = {1.0f / 4, 1.0f / 12, 1.0f / 20, 1.0f / 28};
        for (int b = 0; b < 4; ++b) {
            const F expected = noise * k.band[c * 4 + b];
            const F excess = sl::max(energy[b] * size[b] - expected * k.agree[b], splat(0.0f));
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
            } else if (SECOND) {
                // A ratio of at most 2^20 squares without overflow, and is as good as none.
                const F ratio = sl::min(p[i] * p[i] / (limit[b] * spectrum[i]), splat(1048576.0f));
                const F power = ratio * ratio, gain = power / (power + 1.0f);
                f[i] = value * gain;
                kept = mad(gain * gain, left[b] * spectrum[i], kept);
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
    return weight;
}

// A row of patches of one channel: `sums` and `weights` receive what `degrain_patch` makes.
template <bool SECOND>
SL_FN void degrain_patches(const degrain_args& k, int c, const float* centre, const float* pilot, const float* others,
                           const float* variance, int run, float* sums, float* weights) {
    using namespace sl;
    SL_ROUNDS(x, run) {
        F f[64], weight = splat(0.0f);
        if (x < run) weight = degrain_patch<SECOND>(k, c, centre, pilot, others, variance, x, f);
        for (int j = 7; j >= 0; --j) {
            if (x < run) {
                for (int v = 0; v < 8; ++v) {
                    float* sum = sums + v * DEGRAIN_WIDE + x + degrain_column(j);
                    store_lanes(sum, load_lanes(sum) + f[v * 8 + j]);
                }
                float* whole = weights + x + degrain_column(j);
                store_lanes(whole, load_lanes(whole) + weight);
            }
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
            for (int j = 0; j < 8; ++j) sum = sum + load_lanes(means[c] + x + degrain_column(j));
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

// A finished row of the tile: weighted means.
SL_FN void degrain_row(const degrain_args& k, int x0, int y, const float* sums, const float* weights) {
    using namespace sl;
    const int n = imin(DEGRAIN_TILE, k.width - x0);
    SL_COLUMNS(x, (n + 1) / 2) {
        for (int c = 0; c < k.planes; ++c) {
            F mean[2], part[2];
            for (int odd = 0; odd < 2; ++odd) {
                const int at = c * 8 * DEGRAIN_WIDE + odd * DEGRAIN_HALF + x + DEGRAIN_LEAD / 2;
                mean[odd] = load_lanes(sums + at) / load_lanes(weights + at);
            }
            join_pairs(mean[0], mean[1], part[0], part[1]);
            for (int i = 0; i < 2; ++i) {
                const int from = 2 * x + i * LANES;
                const At<true> at = {k.image.x0 + x0 + from, k.image.y0 + y, imin(LANES, n - from)};
                if (from < n) at.store(k.image, c, part[i]);
            }
        }
    }
}

// The vertical DCT of two columns, into eight lines.
SL_FN void degrain_down(sl::F* even, sl::F* odd, float* lines) {
    using namespace sl;
    dct8(even);
    dct8(odd);
    for (int j = 0; j < 8; ++j) {
        store_lanes(lines + j * DEGRAIN_WIDE, even[j]);
        store_lanes(lines + j * DEGRAIN_WIDE + DEGRAIN_HALF, odd[j]);
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
    float* pilot = centre + 3 * BLOCK;               // 8 lines: the same of the pilot, of one channel
    float* others = pilot + BLOCK;                   // 8 lines for each neighbour, of one channel: differences
    float* across = others + DEGRAIN_MOST * BLOCK;   // 8 lines: sums of horizontal inverses
    float* sums = across + BLOCK;                    // 3 x 8 lines: the rows being summed, a ring
    float* weights = sums + 3 * BLOCK;               // 3 x 8 lines
    float* variance = weights + 3 * BLOCK;           // 3 lines
    float* weight = variance + 3 * LINE;             // 1 line
    const int x0 = item % k.tiles_x * DEGRAIN_TILE, y0 = item / k.tiles_x * k.rows;
    const int y1 = imin(y0 + k.rows, k.height);
    // Patches, in whole vectors of the widest build, and the pairs of columns they read: few in the last tile of a row.
    const int columns = imin(DEGRAIN_TILE, k.width - x0) + DEGRAIN_LEAD;
    const int run = imin(DEGRAIN_RUN, ((columns + 1) / 2 + 15) & ~15), wide = run + 16;
    const int left = x0 - DEGRAIN_LEAD + k.image.x0 - k.centre.x0;

    SL_COLUMNS(x, LINE) {
        for (int i = 0; i < 48; ++i) store_lanes(sums + i * LINE + x, splat(0.0f));
    }
    for (int y = y0 - 8 + k.step; y < y1; y += k.step) {
        const int top = y + k.image.y0 - k.centre.y0;
        const float* means[3] = {centre, centre + BLOCK, centre + 2 * BLOCK};
        for (int c = 0; c < k.planes; ++c) {
            SL_COLUMNS(x, wide) {
                const float* p = k.centre.p + c * k.centre.plane + top * k.centre.row + left + 2 * x;
                F even[8], odd[8];
                for (int j = 0; j < 8; ++j) load_pairs(p + j * k.centre.row, even[j], odd[j]);
                degrain_down(even, odd, centre + c * BLOCK + x);
            }
        }
        SL_SYNC();
        degrain_levels(k, means, run, variance);
        for (int c = 0; c < k.planes; ++c) {
            if (c > 0 && y % k.colour_step != 0) continue;
            SL_COLUMNS(x, wide) {
                F even[8], odd[8];
                if (k.second) {
                    const float* p = k.pilot.p + c * k.pilot.plane + top * k.pilot.row + left + 2 * x;
                    for (int j = 0; j < 8; ++j) load_pairs(p + j * k.pilot.row, even[j], odd[j]);
                    degrain_down(even, odd, pilot + x);
                }
                const float* p = k.centre.p + c * k.centre.plane + top * k.centre.row + left + 2 * x;
                for (int n = 0; n < k.count; ++n) {
                    const float* q = k.others.p + (n * k.planes + c) * k.others.plane + top * k.others.row + left + 2 * x;
                    for (int j = 0; j < 8; ++j) {
                        F here[2];
                        load_pairs(p + j * k.centre.row, here[0], here[1]);
                        load_pairs(q + j * k.others.row, even[j], odd[j]);
                        even[j] = even[j] - here[0];
                        odd[j] = odd[j] - here[1];
                    }
                    degrain_down(even, odd, others + n * BLOCK + x);
                }
            }
            SL_COLUMNS(x, LINE) {
                for (int j = 0; j < 8; ++j) store_lanes(across + j * LINE + x, splat(0.0f));
                store_lanes(weight + x, splat(0.0f));
            }
            SL_SYNC();
            const float *here = centre + c * BLOCK, *noise = variance + c * LINE;
            if (k.second)
                degrain_patches<true>(k, c, here, pilot, others, noise, run, across, weight);
            else
                degrain_patches<false>(k, c, here, pilot, others, noise, run, across, weight);
            SL_SYNC();
            SL_COLUMNS(x, LINE) {
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
            if (row >= y0 && row < y1) degrain_row(k, x0, row, sums + slot, weights + slot);
            SL_SYNC();
            SL_COLUMNS(x, LINE) {
                for (int c = 0; c < 6; ++c) store_lanes(sums + c * BLOCK + slot + x, splat(0.0f));
            }
        }
        SL_SYNC();
    }
}
SL_BLOCK_KERNEL(degrain)
