// Film grain on a picture, in one pass over memory: white noise, its two filter passes and the density map, tile by tile
// in cache. An item is one tile of one layer; tiles cannot show in the picture.
// The kernels regrain_white, regrain_rows and regrain_apply do the same in three launches, a pixel a thread, with the same
// bits; see safelight.nodes.grain.spectrum for the filter and regrain_film.h for the map.
#include "driver.h"
#include "grain/regrain_film.h"
#include "grain/regrain_noise.h"

struct regrain_args {
    sl::Grid grid;  // items: x is 0, y is layer * tiles + tile
    sl::In image, matte;  // matte: one plane, read if use_matte
    sl::Out out;
    sl::Table taps;  // a plane for each layer: weights at distance 0, 1, …, at most 64
    sl::Table forward, sigma, quadratic, inverse;
    float e_toe[3], n_toe[3], toe_slope[3], toe_back[3], x_end[3], n_end[3], end_stops[3];
    int plane[3];        // planes of the picture
    float mix[9];        // for each of them, its share of the noise of each of the three film layers
    int x0, y0, x1, y1;  // pixels to make
    int columns, tiles;  // tiles in a row, and in all
    int stride;          // the item i makes tile i * stride modulo all: prime to them, it deals an uneven matte out evenly
    int frame, use_matte, skewed;
    unsigned seed;
};

namespace regrain_tile {
static constexpr int WIDTH = 512, HEIGHT = 240, HALF = 64, RING = 2 * HALF + 4;
}

// Grains one row of a tile; grain(x) is the noise of the pixels from x0 + x on. MATTE: weighed by the matte.
template <bool MATTE, class Grain>
SL_FN void add_row(const regrain_args& k, const sl::FilmLayer& film, int plane, int x0, int y, int width, const Grain& grain) {
    using namespace sl;
    const In in = k.image, matte = k.matte;
    const Out out = k.out;
    const int low = k.grid.lo, high = k.grid.hi - LANES;
    for (int x = 0; x < width; x += LANES) {
        const F g = grain(x);
        const int n = imin(LANES, width - x), px = x0 + x;
        if (px >= low && px <= high) {
            const At<false> here{px, y, n};
            here.store(out, plane, grained(film, here.load(in, plane), g, MATTE ? weight(matte, here) : splat(1.0f)));
        } else {
            const At<true> here{px, y, n};
            here.store(out, plane, grained(film, here.load(in, plane), g, MATTE ? weight(matte, here) : splat(1.0f)));
        }
    }
}

// Narrows a tile to the rectangle in which its matte is above 0, and copies the rest of it: an empty matte costs no noise.
SL_FN void narrow(const regrain_args& k, int plane, int& x0, int& y0, int& x1, int& y1) {
    using namespace sl;
    const In in = k.image, matte = k.matte;
    const Out out = k.out;
    int left = x1, top = y1, right = x0, bottom = y0;
    for (int y = y0; y < y1; ++y) {
        const float* row = matte.p + (long long)(y - matte.y0) * matte.row - matte.x0;
        int first = x1, last = x0;
        for (int x = x0; x < x1; x += LANES) {
            M set;
            if (x + LANES <= x1) {
                set = load_lanes(row + x) > splat(0.0f);
            } else {
                F rest = splat(0.0f);
                for (int i = 0; x + i < x1; ++i)
                    if (row[x + i] > 0) rest = splat(1.0f);
                set = rest > splat(0.0f);
            }
            if (any(set)) first = imin(first, x), last = imin(x + LANES, x1);
        }
        if (first < last) {
            left = imin(left, first), right = imax(right, last);
            top = imin(top, y), bottom = y + 1;
        }
    }
    if (left >= right) left = right = x1, top = bottom = y1;
    for (int y = y0; y < y1; ++y) {
        const float* from = in.p + plane * in.plane + (long long)(y - in.y0) * in.row - in.x0;
        float* to = out.p + plane * out.plane + (long long)(y - out.y0) * out.row - out.x0;
        const bool outside = y < top || y >= bottom;
        for (int x = x0; x < (outside ? x1 : left); ++x) to[x] = from[x];
        if (!outside)
            for (int x = right; x < x1; ++x) to[x] = from[x];
    }
    x0 = left, y0 = top, x1 = right, y1 = bottom;
}

SL_FN void regrain(const regrain_args& k, int, int item) {
    using namespace sl;
    using namespace regrain_tile;
    const int all = k.grid.y1 - k.grid.y0;
    item = int((long long)item * k.stride % all);
    const int c = item / k.tiles, tile = item % k.tiles;
    int x0 = k.x0 + tile % k.columns * WIDTH, y0 = k.y0 + tile / k.columns * HEIGHT;
    int x1 = imin(x0 + WIDTH, k.x1), y1 = imin(y0 + HEIGHT, k.y1);
    const int half = k.taps.n - 1, plane = k.plane[c];
    if (k.use_matte) {
        narrow(k, plane, x0, y0, x1, y1);
        if (x0 >= x1) return;
    }
    const int width = x1 - x0;
    const int ring = ((2 * half + 3) & ~3) + 4;  // rows of whole quads that a step of four rows needs
    const float* taps = k.taps.p + c * k.taps.n;
    const FilmLayer film = film_layer(k, c);
    const float* mix = k.mix + 3 * c;
    const int sole = sole_layer(mix);

    float white[4][WIDTH + 2 * HALF + LANES];
    float rows[RING][WIDTH];  // filtered along x; row y in slot (y - first) modulo `ring`
    const int first = (y0 - half) & ~3;
    for (int q = first; q - half < y1; q += 4) {
        for (int x = 0; x < width + 2 * half; x += LANES) {
            F noise[4];
            if (sole >= 0)
                white4(x0 - half + x, q >> 2, k.frame, sole, k.seed, noise);
            else
                mixed4(mix, x0 - half + x, q >> 2, k.frame, k.seed, noise);
            for (int i = 0; i < 4; ++i) store_lanes(white[i] + x, noise[i]);
        }
        const int slot = (q - first) % ring;
        for (int i = 0; i < 4; ++i)
            for (int x = 0; x < width; x += LANES) {
                const float* centre = white[i] + x + half;
                store_lanes(rows[slot + i] + x, symmetric(taps, half, [&](int j) { return load_lanes(centre + j); }));
            }
        for (int y = imax(y0, q - half); y < imin(y1, q + 4 - half); ++y) {
            int at[2 * HALF + 1];
            for (int j = -half; j <= half; ++j) at[j + half] = (y + j - first) % ring;
            const auto grain = [&](int x) {
                return symmetric(taps, half, [&](int j) { return load_lanes(rows[at[j + half]] + x); });
            };
            if (k.use_matte)
                add_row<true>(k, film, plane, x0, y, width, grain);
            else
                add_row<false>(k, film, plane, x0, y, width, grain);
        }
    }
}
SL_ITEM_KERNEL(regrain)
