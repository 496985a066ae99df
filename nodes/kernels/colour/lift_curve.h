// The tone curve of a lift, in stops above the knee, and its inverse: smooth, rising everywhere, with closed forms.
//   0 ... ramp:   v = u + bend u²                  slope 1 at the knee, `slope` at the end
//   ... top:      v = v_ramp + slope (u - ramp)    up to the level where the source clips
//   beyond:       v = v_top + room s / (room + s), s = slope (u - top): towards the peak
#pragma once
#include "elementary.h"

namespace sl {

struct Curve {
    float ramp, bend, slope, top, v_ramp, v_top, room, span;  // span: what the curve adds at `top`, in stops
};

SL_FN F curve_up(const Curve& c, F u) {
    const F low = mad(u * c.bend, u, u);
    const F middle = mad(u - c.ramp, splat(c.slope), splat(c.v_ramp));
    const F s = (u - c.top) * c.slope;
    const F high = mad(s, c.room / max(s + c.room, splat(1e-6f)), splat(c.v_top));
    return select(u < c.ramp, low, select(u < c.top, middle, high));
}

SL_FN F curve_down(const Curve& c, F v) {
    const F low = v * 2.0f / (sqrt(max(mad(v, splat(4 * c.bend), splat(1.0f)), splat(0.0f))) + 1.0f);
    const F middle = mad(v - c.v_ramp, splat(1 / c.slope), splat(c.ramp));
    const F y = v - c.v_top;
    // Light at or over the peak has no source: 20 stops over the clip level are as much as there is.
    const F rest = max((c.room - y) * (c.slope / c.room), splat(1e-6f));
    const F high = min(y / rest, splat(20.0f)) + c.top;
    return select(v < c.v_ramp, low, select(v < c.v_top, middle, high));
}

// How much steeper than 1 the curve is at u.
SL_FN F curve_excess(const Curve& c, F u) {
    const F share = c.room / max(mad(u - c.top, splat(c.slope), splat(c.room)), splat(1e-6f));
    const F high = share * share * c.slope;
    return max(select(u < c.ramp, mad(u, splat(2 * c.bend), splat(1.0f)), select(u < c.top, splat(c.slope), high)) - 1.0f, splat(0.0f));
}

// Texture: a difference from what lies under it, in stops; edges count the less the larger they are.
SL_FN F texture(F difference) {
    const F part = difference * (1 / 0.3f);
    return difference / mad(part, part, splat(1.0f));
}

// The curve where texture is to gain `detail` times what the curve's slope gives it, and its inverse.
SL_FN F curve_up(const Curve& c, F u, F base, float detail) {
    const F more = curve_excess(c, u) * texture(u - base) * (detail - 1.0f);
    return min(curve_up(c, u) + more, splat(c.v_top + c.room));
}

SL_FN F curve_down(const Curve& c, F v, F base, float detail) {
    F u = curve_down(c, v);
    for (int i = 0; i < 8; ++i) u = curve_down(c, v - curve_excess(c, u) * texture(u - base) * (detail - 1.0f));
    return u;
}

// Factor of the colour differences where the curve leads from u to v: 2^(share of the whole expansion * saturation).
SL_FN F curve_saturation(const Curve& c, F u, F v, float saturation) {
    if (saturation == 0.0f || c.span <= 0.0f) return splat(1.0f);
    return exp2(clamp((v - u) * (1 / c.span), splat(0.0f), splat(1.0f)) * saturation);
}

}  // namespace sl
