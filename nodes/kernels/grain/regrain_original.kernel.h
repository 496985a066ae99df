// A plate's own grain beside fresh grain, by how far a pixel was changed; the step is made in density (regrain_film.h).
#include "driver.h"
#include "grain/regrain_film.h"

struct regrain_original_args {
    sl::Grid grid;
    sl::In image, fresh;             // light without grain, with fresh grain
    sl::In grain, clean;             // the plate's own grain, in light, and the light it was taken from
    sl::In changed, matte;           // weights; matte is read if use_matte
    sl::Out out;                     // may be `fresh` itself
    sl::Table forward, sigma, inverse;
    float e_toe[3], n_toe[3], toe_slope[3], toe_back[3], x_end[3], n_end[3], end_stops[3];
    int plane[3], grain_plane[3], clean_plane[3];
    int layers, use_matte;
};

template <bool EDGE>
SL_FN void regrain_original(const regrain_original_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const F zero = splat(0.0f), one = splat(1.0f);
    const F share = weight(k.changed, at), w = k.use_matte ? weight(k.matte, at) : one;
    const F root = sqrt(share), rest = sqrt(one - share);
    const M between = (w > zero) & (w < one);
    for (int c = 0; c < k.layers; ++c) {
        const FilmLayer film = film_curve(k, c);
        const F e = at.load(k.image, k.plane[c]), f = at.load(k.fresh, k.plane[c]);
        const F clean = at.load(k.clean, k.clean_plane[c]);
        F own = at.load(k.grain, k.grain_plane[c]);
        own = select(is_finite(own) & is_finite(clean), own, zero);
        const F plate = select(own == zero, e, e + own), fresh = select(is_finite(f), f, e);
        const M same = bits(e) == bits(clean), kept = (share <= zero) & same, replaced = share >= one;
        F mixed = e;
        // Where no lane mixes the curve is not asked: the bits are the same.
        if (any(between | mask_not(kept | replaced))) {
            const Place here = light_place(film, e), there = light_place(film, clean);
            const F net = net_density(film, here, e), before = net_density(film, there, clean);
            const F grained = clean + own, scale = read(k.sigma.p + c * k.sigma.n, here) / read(k.sigma.p + c * k.sigma.n, there);
            // Without a difference there is no step, whatever the tables' last places say.
            const F taken = net_density(film, light_place(film, grained), grained) - before;
            const F old_step = select(own == zero, zero, select(same, taken, taken * scale));
            const F new_step = select(fresh == e, zero, net_density(film, light_place(film, fresh), fresh) - net);
            mixed = moved(film, e, net, mad(rest, old_step, root * new_step) * w);
        }
        const F whole = select(kept, plate, select(replaced, fresh, mixed));
        const F made = select(w >= one, whole, select(w <= zero, e, mixed));
        at.store(k.out, k.plane[c], select(is_finite(e), made, e));
    }
}
SL_PIXEL_KERNEL(regrain_original)
