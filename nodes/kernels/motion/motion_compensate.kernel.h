// Overlapped motion compensation: every pixel is the weighted mean of what the four blocks whose 16 x 16 windows cover
// it see in the other picture. Vectors are in quarter pixels; fractions are interpolated by six taps whose gain stays
// near one, so that grain keeps its strength.
// An item is a row of cells of 8 pixels, shifted by half a block, so that each row of cells lies in the lower half of
// one row of windows and in the upper half of the next. Windows of every other block do not overlap: even blocks, then
// odd ones, is an order that threads can share.
// References: Orchard and Sullivan 1994 (overlapped compensation); ITU-T H.264 8.4.2.2 (separable interpolation).
#include "driver.h"
#include "single.h"

struct motion_compensate_args {
    sl::Grid grid;    // x: 0 .. 1, y: rows of cells
    sl::In source;    // the other picture
    sl::In vectors;   // dx, dy in quarter pixels
    sl::Out out;
    int planes;
    float taps[24];   // for 0, 1/4, 1/2, 3/4 pixel: weights of pixels -2 .. 3
    float ramp[16];   // window of overlapped blocks, v[i] + v[i + 8] = 1
};

static constexpr int MOTION_WIDE = 16;

// What a window sees: 16 x 8 pixels from column x, row y, moved by (qx, qy) quarters.
SL_FN void motion_patch(const motion_compensate_args& k, const float* in, int x, int y, int qx, int qy, float* patch) {
    using namespace sl;
    const int fx = qx & 3, fy = qy & 3;
    const int left = x + (qx >> 2) - 2, top = y + (qy >> 2);
    alignas(64) float rows[13 * MOTION_WIDE];
    const int first = fy ? -2 : 0, count = fy ? 13 : 8;
    const bool inside = left >= 0 && left + MOTION_WIDE + 5 <= k.source.w;
    const float* t = k.taps + 6 * fx;
    for (int j = 0; j < count; ++j) {
        const float* p = in + iclamp(top + first + j, 0, k.source.h - 1) * k.source.row;
        float edge[MOTION_WIDE + 5];
        if (inside) {
            p += left;
        } else {
            for (int i = 0; i < MOTION_WIDE + 5; ++i) edge[i] = p[iclamp(left + i, 0, k.source.w - 1)];
            p = edge;
        }
        float* row = rows + j * MOTION_WIDE;
        for (int i = 0; i < MOTION_WIDE; i += LANES) {
            F v = load_lanes(p + i + 2);
            if (fx) {
                v = load_lanes(p + i) * t[0];
                for (int tap = 1; tap < 6; ++tap) v = mad(load_lanes(p + i + tap), splat(t[tap]), v);
            }
            store_lanes(row + i, v);
        }
    }
    const float* s = k.taps + 6 * fy;
    for (int j = 0; j < 8; ++j) {
        const float* p = rows + j * MOTION_WIDE;
        float* out = patch + j * MOTION_WIDE;
        for (int i = 0; i < MOTION_WIDE; i += LANES) {
            F v = load_lanes(p + i);
            if (fy) {
                v = v * s[0];
                for (int tap = 1; tap < 6; ++tap) v = mad(load_lanes(p + tap * MOTION_WIDE + i), splat(s[tap]), v);
            }
            store_lanes(out + i, v);
        }
    }
}

SL_FN void motion_compensate(const motion_compensate_args& k, int cell) {
    using namespace sl;
    const int y = cell * 8 - 4;
    const int y0 = imax(y, 0), y1 = imin(y + 8, k.out.h);
    for (int pass = 0; pass < 4; ++pass) {
        // pass 0 and 1: the lower halves of the windows above, even and odd blocks; 2 and 3: the upper halves below.
        const int half = pass >> 1, odd = pass & 1;
        const int by = iclamp(cell - 1 + half, 0, k.vectors.h - 1);
        const float* wy = k.ramp + (half ? 0 : 8);
        const int blocks = (k.vectors.w + 2) / 2 + 1;
        SL_COUNT(n, blocks) {
            const int bx = 2 * n - odd;
            const int x = bx * 8 - 4;
            if (x >= k.out.w) continue;
            const float* v = k.vectors.p + by * k.vectors.row + iclamp(bx, 0, k.vectors.w - 1);
            const int qx = int(v[0]), qy = int(v[k.vectors.plane]);
            const int x0 = imax(x, 0), x1 = imin(x + MOTION_WIDE, k.out.w);
            for (int c = 0; c < k.planes; ++c) {
                alignas(64) float patch[8 * MOTION_WIDE];
                motion_patch(k, k.source.p + c * k.source.plane, x, y, qx, qy, patch);
                for (int j = y0; j < y1; ++j) {
                    const float* from = patch + (j - y) * MOTION_WIDE - x;
                    const float* wx = k.ramp - x;
                    float* out = k.out.p + c * k.out.plane + j * k.out.row;
                    const float w = wy[j - y];
                    if (x1 - x0 == MOTION_WIDE) {
                        for (int i = 0; i < MOTION_WIDE; i += LANES) {
                            const F seen = load_lanes(from + x + i), weight = load_lanes(k.ramp + i) * w;
                            store_lanes(out + x + i, pass == 0 ? seen * weight : mad(seen, weight, load_lanes(out + x + i)));
                        }
                    } else {
                        for (int i = x0; i < x1; ++i)
                            out[i] = pass == 0 ? from[i] * (w * wx[i]) : fma1(from[i], w * wx[i], out[i]);
                    }
                }
            }
        }
        SL_SYNC();
    }
}
SL_BLOCK_KERNEL(motion_compensate)
