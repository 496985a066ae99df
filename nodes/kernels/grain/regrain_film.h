// Light to density, grain, and back: the density map of one film layer (safelight.colour.density.Curve).
// K has: Table forward, sigma (both at log2 of light), inverse (log2 of light at log2 of net density), and per layer
// e_toe, n_toe (below them density is linear in light), x_end (log2 of light), n_end, end_stops (above them it is linear in
// log light). g is noise of variance 1.
#pragma once
#include "math.h"

namespace sl {

template <class K>
SL_FN F grained(const K& k, int c, F e, F g) {
    const F x = log2(max(e, splat(1e-30f)));
    const F sigma = lookup(k.sigma, c, x);
    const F shoulder = mad(x - k.x_end[c], splat(1.0f / k.end_stops[c]), splat(k.n_end[c]));
    F net = select(x > k.x_end[c], shoulder, lookup(k.forward, c, x));
    net = select(e > k.e_toe[c], net, e * (k.n_toe[c] / k.e_toe[c]));

    const F step = sigma * g;
    const F made = net + step;
    const F back = lookup(k.inverse, c, log2(max(made, splat(k.n_toe[c]))));
    const F beyond = mad(made - k.n_end[c], splat(k.end_stops[c]), splat(k.x_end[c]));
    // Where both lie on the shoulder line a step in density is a factor, exactly, however bright the light.
    const M factor = (net > k.n_end[c]) & (made > k.n_end[c]);
    F light = exp2(select(factor, step * k.end_stops[c], select(made > k.n_end[c], beyond, back)));
    light = min(select(factor, light * e, light), splat(3.4028234e38f));
    light = select(made > k.n_toe[c], light, made * (k.e_toe[c] / k.n_toe[c]));
    return select(is_finite(e) & (step != splat(0.0f)), light, e);
}

}  // namespace sl
