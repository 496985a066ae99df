// Light lifted to HDR, or brought back, along lines of one hue: I of ICtCp goes through a curve, Ct and Cp keep their
// direction. Pixels whose light is below the knee are scaled alone.
// References: Rec. ITU-R BT.2100-2 table 7 (ICtCp); the curve: lift_curve.h.
#include "driver.h"
#include "lift_curve.h"
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
    int back;
    int plane[3];
    int planes;  // 1: a picture of luminance
};

template <bool EDGE>
SL_FN void hdr_lift(const hdr_lift_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const Curve curve = {k.ramp, k.bend, k.slope, k.top, k.v_ramp, k.v_top, k.room, k.span};
    const bool grey = k.planes == 1;
    F rgb[3], made[3], lms[3];
    for (int c = 0; c < 3; ++c) {
        rgb[c] = grey && c ? rgb[0] : at.load(k.image, k.plane[c]);
        made[c] = rgb[c] * k.gain;
    }
    const M finite = is_finite(rgb[0]) & is_finite(rgb[1]) & is_finite(rgb[2]);
    times(k.to_lms, rgb, lms);
    // I is the mean of two signals: where neither cone is above the knee, I is not.
    if (any(finite & (max(lms[0], lms[1]) > k.knee))) {
        F q[3];
        q[0] = pq_odd(lms[0]);
        q[1] = grey ? q[0] : pq_odd(lms[1]);
        const F intensity = (q[0] + q[1]) * 0.5f;
        const F from = log2_of_pq(intensity) - k.knee_log2;
        const F to = k.back ? curve_down(curve, from) : curve_up(curve, from);
        const F signal = pq_of_log2(to + k.knee_log2);
        const M above = finite & (intensity > k.knee_signal);
        if (grey) {
            made[0] = select(above, exp2(to + k.knee_log2) * k.from_lms[0], made[0]);
        } else {
            F rgb_lifted[3];
            q[2] = pq_odd(lms[2]);
            const F wide = k.back ? curve_saturation(curve, to, from, k.saturation) : curve_saturation(curve, from, to, k.saturation);
            const F factor = k.back ? splat(1.0f) / wide : wide;
            for (int c = 0; c < 3; ++c) lms[c] = light_odd(mad(q[c] - intensity, factor, signal));
            times(k.from_lms, lms, rgb_lifted);
            for (int c = 0; c < 3; ++c) made[c] = select(above, rgb_lifted[c], made[c]);
        }
    }
    for (int c = 0; c < k.planes; ++c) at.store(k.out, k.plane[c], select(finite, made[c], rgb[c]));
}
SL_PIXEL_KERNEL(hdr_lift)
