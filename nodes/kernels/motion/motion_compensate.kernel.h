// Overlapped motion compensation: every cell (item) of 8 x 8 pixels is the weighted mean of what the four blocks whose
// 16 x 16 windows cover it see in the other picture. Vectors are in quarter pixels; fractions are interpolated by six
// taps whose gain stays near one, so that grain keeps its strength. Vectors that agree are interpolated once.
// References: Orchard and Sullivan 1994 (overlapped compensation); ITU-T H.264 8.4.2.2 (separable interpolation).
#include "driver.h"
#include "single.h"

struct motion_compensate_args {
    sl::Grid grid;  // cells
    sl::In source;      // the other picture
    sl::In vectors; // dx, dy in quarter pixels
    sl::Out out;
    int planes;
    float taps[24]; // for 0, 1/4, 1/2, 3/4 pixel: weights of pixels -2 .. 3
    float ramp[16]; // window of overlapped blocks, v[i] + v[i + 8] = 1
};

// out += weight * in, 8 x 8 pixels from column x, row y, moved by (qx, qy) quarters.
SL_FN void motion_patch(const motion_compensate_args& k, const float* in, int x, int y, int qx, int qy, float* patch) {
    const int fx = qx & 3, fy = qy & 3;
    const int left = x + (qx >> 2), top = y + (qy >> 2);
    float rows[13 * 8];
    const int first = fy ? -2 : 0, count = fy ? 13 : 8;
    int at[13];
    const bool inside = left >= 2 && left + 11 <= k.source.w;
    for (int i = 0; i < 13; ++i) at[i] = sl::iclamp(left - 2 + i, 0, k.source.w - 1);
    const float* t = k.taps + 6 * fx;
    for (int j = 0; j < count; ++j) {
        const float* row = in + sl::iclamp(top + first + j, 0, k.source.h - 1) * k.source.row;
        float edge[13];
        const float* p = row + left - 2;
        if (!inside) {
            for (int i = 0; i < 13; ++i) edge[i] = row[at[i]];
            p = edge;
        }
        if (fx)
            for (int i = 0; i < 8; ++i) {
                float v = p[i] * t[0];
                v = sl::fma1(p[i + 1], t[1], v);
                v = sl::fma1(p[i + 2], t[2], v);
                v = sl::fma1(p[i + 3], t[3], v);
                v = sl::fma1(p[i + 4], t[4], v);
                rows[j * 8 + i] = sl::fma1(p[i + 5], t[5], v);
            }
        else
            for (int i = 0; i < 8; ++i) rows[j * 8 + i] = p[i + 2];
    }
    const float* s = k.taps + 6 * fy;
    for (int j = 0; j < 8; ++j)
        for (int i = 0; i < 8; ++i) {
            const float* p = rows + j * 8 + i;
            float v = p[0];
            if (fy) {
                v = p[0] * s[0];
                v = sl::fma1(p[8], s[1], v);
                v = sl::fma1(p[16], s[2], v);
                v = sl::fma1(p[24], s[3], v);
                v = sl::fma1(p[32], s[4], v);
                v = sl::fma1(p[40], s[5], v);
            }
            patch[j * 8 + i] = v;
        }
}

SL_FN void motion_compensate(const motion_compensate_args& k, int cx, int cy) {
    using namespace sl;
    // Block (bx, by) lies on pixels 8 bx .. 8 bx + 7 and its window reaches four beyond: cells are shifted by four, so
    // that each has exactly four blocks.
    const int x = cx * 8 - 4, y = cy * 8 - 4;
    const int x0 = imax(x, 0), y0 = imax(y, 0), x1 = imin(x + 8, k.out.w), y1 = imin(y + 8, k.out.h);
    int qx[4], qy[4];
    bool same = true;
    for (int n = 0; n < 4; ++n) {
        const float* v = k.vectors.p + iclamp(cy - 1 + n / 2, 0, k.vectors.h - 1) * k.vectors.row +
                         iclamp(cx - 1 + n % 2, 0, k.vectors.w - 1);
        qx[n] = int(v[0]);
        qy[n] = int(v[k.vectors.plane]);
        same = same && qx[n] == qx[0] && qy[n] == qy[0];
    }
    float sum[64], patch[64];
    for (int c = 0; c < k.planes; ++c) {
        const float* in = k.source.p + c * k.source.plane;
        motion_patch(k, in, x, y, qx[0], qy[0], same ? sum : patch);
        if (!same) {
            for (int j = 0; j < 8; ++j)
                for (int i = 0; i < 8; ++i) sum[j * 8 + i] = patch[j * 8 + i] * (k.ramp[j + 8] * k.ramp[i + 8]);
            for (int n = 1; n < 4; ++n) {
                motion_patch(k, in, x, y, qx[n], qy[n], patch);
                const float* wx = k.ramp + (n % 2 ? 0 : 8);
                const float* wy = k.ramp + (n / 2 ? 0 : 8);
                for (int j = 0; j < 8; ++j)
                    for (int i = 0; i < 8; ++i)
                        sum[j * 8 + i] = sl::fma1(patch[j * 8 + i], wy[j] * wx[i], sum[j * 8 + i]);
            }
        }
        for (int j = y0; j < y1; ++j)
            for (int i = x0; i < x1; ++i)
                k.out.p[c * k.out.plane + j * k.out.row + i] = sum[(j - y) * 8 + i - x];
    }
}
SL_ITEM_KERNEL(motion_compensate)
