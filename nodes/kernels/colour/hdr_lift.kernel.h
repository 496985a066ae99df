// Light lifted to HDR, or brought back, along lines of one hue: I of ICtCp goes through a curve, Ct and Cp keep their
// direction. Pixels whose light is below the knee are scaled alone.
// References: Rec. ITU-R BT.2100-2 table 7 (ICtCp); the curve: lift_curve.h.
//
// Before it, on the way up: a source of whole-number codes is smoothed within its rounding, and what it clips is given
// more light. After it, on the way back: both are undone, by rounding to codes and by clipping.
#include "driver.h"
#include "grain/regrain_noise.h"
#include "halves.h"
#include "lift_curve.h"
#include "lift_source.h"
#include "matrix.h"
#include "pq.h"

struct hdr_lift_args {
    sl::Grid grid;
    sl::In image;
    sl::Out out;
    float to_lms[9];    // working space to cone responses, in 10,000 cd/m²
    float from_lms[9];  // and back, to what goes out
    float gain;         // below the knee
    float knee;         // light of the knee, in 10,000 cd/m²
    float knee_signal, knee_log2;
    float ramp, bend, slope, top, v_ramp, v_top, room, span;
    float saturation;  // base-2 logarithm of the factor at the clip level
    sl::InOwn smooth;   // half size: codes of three channels
    sl::InOwn busy;     // half size: how busy they are
    sl::InOwn recover;  // half size: stops for all that clip at once; if led, for three channels one by one
    sl::InOwn base;     // half size: stops above the knee that texture lies on
    sl::Table encoding, decoding;  // PQ in pieces
    sl::Table pieces, table;  // on the way up; on the way back
    int shift;                // of the pieces
    float to_source[9], from_source[9];
    float level;  // where the source's channels clip
    float detail;
    float dither;  // a code of the PQ signal that will be written; 0: none
    unsigned seed;
    int frame, x0, y0;  // where the picture's first pixel lies
    int deband, clip, led, back;
    int plane[3];
    int planes;  // 1: a picture of luminance
};

// Up: what is added to the source's channels.
template <int PLANES, bool EDGE>
SL_FN bool lift_added(const hdr_lift_args& k, const sl::At<EDGE>& at, const sl::F rgb[3], sl::F added[3]) {
    using namespace sl;
    F source[3];
    times(k.to_source, rgb, source);
    SL_UNROLL for (int c = 0; c < 3; ++c) added[c] = splat(0.0f);
    if (k.deband) {
        const F calm = splat(1.0f) - smooth_step(doubled(k.busy, 0, at.x, at.y), 0.25f, 0.5f);
        if (any(calm > 0.0f)) {
            Piece piece[PLANES];
            F code[PLANES], off[PLANES];
            const F most = calm * 0.995f;
            SL_UNROLL for (int c = 0; c < PLANES; ++c) piece[c] = octave_of(k.shift, source[c]);
            codes_in<PLANES>(k.pieces, piece, code);
            SL_UNROLL for (int c = 0; c < PLANES; ++c)
                off[c] = within_rounding(doubled(k.smooth, c, at.x, at.y) - floor(code[c] + 0.5f)) * most;
            shifted_in<PLANES>(k.pieces, piece, off, added);
            SL_UNROLL for (int c = 0; c < PLANES; ++c) added[c] = select(on_code(source[c], code[c]), added[c], splat(0.0f));
        }
    }
    if (k.clip) {
        F own[3], all = splat(1.0f);
        SL_UNROLL for (int c = 0; c < 3; ++c) {
            own[c] = clipped(source[c], k.level);
            all = min(all, own[c]);
        }
        const M some = k.led ? max(max(own[0], own[1]), own[2]) > 0.0f : all > 0.0f;
        if (any(some)) {
            const F dome = doubled(k.recover, 0, at.x, at.y) * all;
            SL_UNROLL for (int c = 0; c < PLANES; ++c) {
                const F stops = k.led ? mad(doubled(k.recover, 1 + c, at.x, at.y), own[c], dome) : dome;
                added[c] = select(stops > 0.0f, mad(source[c], exp2(stops) - 1.0f, added[c]), added[c]);
            }
        }
    }
    return any((added[0] != 0.0f) | (added[1] != 0.0f) | (added[2] != 0.0f));
}

// Back: what is taken from the source's channels, and added to them by rounding.
SL_FN bool lift_undone(const hdr_lift_args& k, const sl::F rgb[3], sl::F added[3]) {
    using namespace sl;
    F source[3];
    times(k.to_source, rgb, source);
    SL_UNROLL for (int c = 0; c < 3; ++c) {
        const F v = k.clip ? min(source[c], splat(k.level)) : source[c];
        added[c] = v - source[c];
        if (k.deband) {
            const F code = code_of(k.table, v);
            const F off = shifted(k.table, v, floor(code + 0.5f) - code);
            added[c] = select((v > -1e-3f) & (v < 1.002f), added[c] + off, added[c]);
        }
    }
    return any((added[0] != 0.0f) | (added[1] != 0.0f) | (added[2] != 0.0f));
}

// Noise of a triangle, a code to either side, on the signal of the brightest channel; all channels are scaled alike.
template <bool EDGE>
SL_FN void dithered(const hdr_lift_args& k, const sl::At<EDGE>& at, sl::F made[3]) {
    using namespace sl;
    U w[4];
    philox((U)(splat(at.x + k.x0) + iota()), unsigned(at.y + k.y0), unsigned(k.frame), 0u, k.seed, 0x6c696674u, w);
    const F noise = (to_float((I)(w[0] >> 8)) + to_float((I)(w[1] >> 8))) * 5.9604644775390625e-8f - 1.0f;
    const F light = max(max(made[0], made[1]), made[2]) * 0.01f;  // of 10,000 cd/m²
    const F stops = log2(max(light, splat(1e-12f)));
    const F moved = log2_of_pq(mad(noise, splat(k.dither), pq_of_log2(stops)));
    const F factor = select(light > 1e-9f, exp2(moved - stops), splat(1.0f));
    SL_UNROLL for (int c = 0; c < 3; ++c) made[c] = made[c] * factor;
}

template <int PLANES, bool EDGE>
SL_FN void lifted(const hdr_lift_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    constexpr bool grey = PLANES == 1;
    F rgb[3], made[3], lms[3];
    SL_UNROLL for (int c = 0; c < 3; ++c) {
        rgb[c] = grey && c ? rgb[0] : at.load(k.image, k.plane[c]);
    }
    const M finite = is_finite(rgb[0]) & is_finite(rgb[1]) & is_finite(rgb[2]);
    F changed[3] = {rgb[0], rgb[1], rgb[2]}, added[3], shift[3];
    if (!k.back && (k.deband || k.clip) && lift_added<PLANES>(k, at, rgb, added)) {
        times(k.from_source, added, shift);
        SL_UNROLL for (int c = 0; c < 3; ++c) changed[c] = rgb[c] + shift[c];
    }
    SL_UNROLL for (int c = 0; c < 3; ++c) made[c] = changed[c] * k.gain;
    times(k.to_lms, changed, lms);
    // I is the mean of two signals: where neither cone is above the knee, I is not.
    const M candidates = finite & (max(lms[0], lms[1]) > k.knee);
    if (any(candidates)) {
        const Curve curve = {k.ramp, k.bend, k.slope, k.top, k.v_ramp, k.v_top, k.room, k.span};
        F q[3];
        pq_odd_in<PLANES>(k.encoding, candidates, lms, q);
        if (grey) q[1] = q[0];
        const F intensity = (q[0] + q[1]) * 0.5f;
        const F from = log2_of_pq(intensity) - k.knee_log2;
        F to;
        if (k.detail == 1.0f) {
            to = k.back ? curve_down(curve, from) : curve_up(curve, from);
        } else {
            const F base = doubled(k.base, 0, at.x, at.y);
            to = k.back ? curve_down(curve, from, base, k.detail) : curve_up(curve, from, base, k.detail);
        }
        const F signal = pq_of_log2(to + k.knee_log2);
        const M above = candidates & (intensity > k.knee_signal);
        if (grey) {
            made[0] = select(above, exp2(to + k.knee_log2) * k.from_lms[0], made[0]);
        } else {
            F rgb_lifted[3];
            const F wide = k.back ? curve_saturation(curve, to, from, k.saturation) : curve_saturation(curve, from, to, k.saturation);
            const F factor = k.back ? splat(1.0f) / wide : wide;
            SL_UNROLL for (int c = 0; c < 3; ++c) q[c] = mad(q[c] - intensity, factor, signal);
            light_odd_in<3>(k.decoding, above, q, lms);
            times(k.from_lms, lms, rgb_lifted);
            SL_UNROLL for (int c = 0; c < 3; ++c) made[c] = select(above, rgb_lifted[c], made[c]);
        }
    }
    if (k.back && (k.deband || k.clip) && lift_undone(k, made, added)) {
        times(k.from_source, added, shift);
        SL_UNROLL for (int c = 0; c < 3; ++c) made[c] = made[c] + shift[c];
    }
    if (k.dither > 0.0f) dithered(k, at, made);
    SL_UNROLL for (int c = 0; c < PLANES; ++c) at.store(k.out, k.plane[c], select(finite, made[c], rgb[c]));
}

template <bool EDGE>
SL_FN void hdr_lift(const hdr_lift_args& k, const sl::At<EDGE>& at) {
    if (k.planes == 1)
        lifted<1>(k, at);
    else
        lifted<3>(k, at);
}
SL_PIXEL_KERNEL(hdr_lift)
