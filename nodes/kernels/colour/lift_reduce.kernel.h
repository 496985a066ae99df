// The source at half its size: mean codes, how often neighbours differ, and how far each channel clips.
#include "driver.h"
#include "halves.h"
#include "lift_source.h"
#include "matrix.h"

struct lift_reduce_args {
    sl::Grid grid;
    sl::In image;
    sl::Out codes;  // codes of three channels; mean difference of neighbours, in codes, at most 2
    sl::Out clip;   // all at once; mean light, the clip level = 1; if led, three channels
    sl::Table pieces;
    float to_source[9];
    float level;
    int shift;  // of the pieces
    int want_codes, want_clip, led;
    int plane[3];
    int planes;
};

template <int PLANES, bool EDGE>
SL_FN void reduced(const lift_reduce_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F light[3][4];
    SL_UNROLL for (int row = 0; row < 2; ++row) {
        F rgb[2][3], source[3];
        SL_UNROLL for (int c = 0; c < 3; ++c) run_pairs(k.image, k.plane[c], at.x, 2 * at.y + row, rgb[0][c], rgb[1][c]);
        SL_UNROLL for (int i = 0; i < 2; ++i) {
            M finite = is_finite(rgb[i][0]) & is_finite(rgb[i][1]) & is_finite(rgb[i][2]);
            SL_UNROLL for (int c = 0; c < 3; ++c) rgb[i][c] = select(finite, rgb[i][c], splat(0.0f));
            times(k.to_source, rgb[i], source);
            SL_UNROLL for (int c = 0; c < 3; ++c) light[c][2 * row + i] = source[c];
        }
    }
    if (k.want_codes) {
        F busy = splat(0.0f);
        SL_UNROLL for (int c = 0; c < PLANES; ++c) {
            Piece piece[4];
            F code[4];
            SL_UNROLL for (int i = 0; i < 4; ++i) piece[i] = octave_of(k.shift, light[c][i]);
            codes_in<4>(k.pieces, piece, code);
            at.store(k.codes, c, ((code[0] + code[1]) + (code[2] + code[3])) * 0.25f);
            const F across = min(abs(code[0] - code[1]), splat(2.0f)) + min(abs(code[2] - code[3]), splat(2.0f));
            const F down = min(abs(code[0] - code[2]), splat(2.0f)) + min(abs(code[1] - code[3]), splat(2.0f));
            busy = busy + (across + down) * 0.5f;
        }
        at.store(k.codes, 3, busy * (1.0f / PLANES));
    }
    if (k.want_clip) {
        F share[5] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
        SL_UNROLL for (int i = 0; i < 4; ++i) {
            F all = splat(1.0f);
            SL_UNROLL for (int c = 0; c < 3; ++c) {
                const F one = clipped(light[c][i], k.level);
                share[2 + c] = share[2 + c] + one * 0.25f;
                all = min(all, one);
            }
            share[0] = share[0] + all * 0.25f;
            const F mean = ((light[0][i] + light[1][i]) + light[2][i]) * (1 / (3 * k.level));
            share[1] = mad(clamp(mean, splat(0.0f), splat(1.0f)), splat(0.25f), share[1]);
        }
        for (int c = 0; c < (k.led ? 5 : 2); ++c) at.store(k.clip, c, share[c]);
    }
}

template <bool EDGE>
SL_FN void lift_reduce(const lift_reduce_args& k, const sl::At<EDGE>& at) {
    if (k.planes == 1)
        reduced<1>(k, at);
    else
        reduced<3>(k, at);
}
SL_PIXEL_KERNEL(lift_reduce)
