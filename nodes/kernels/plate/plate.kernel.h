// A procedural picture with known truth: every pixel is a function of its own integer position and of the scene's
// numbers, so that tiles, lanes and machines agree. Positions on textures are whole numbers of 1/65536 lattice cell,
// hence motion by any part of a pixel is exact; textures are quadratic B-splines over hashed lattices at least 2.5
// pixels wide (aliased energy under 0.1 %); edges are box-filtered coverage.
// References: hash finaliser after Wellons' search (lowbias32); B-splines after Unser 1999.
#include "driver.h"
#include "elementary.h"

struct plate_args {
    sl::Grid grid;
    sl::Out out;
    sl::Table strokes;  // planes x0, y0, x1, y1, radius: line segments of the text, in pixels from the sign's corner
    int lattice[90];    // 15 textures: u = x * [0] + y * [1] + [4], v = x * [2] + y * [3] + [5], in 1/65536 cell
    unsigned seed[15];
    unsigned weave[12];  // 4 waves: phase = x * [0] + y * [1] + [2], in 2^-32 turns
    int corner[26];      // whole pixels of the places below, x and y in turn
    float part[26];      // and their parts of a pixel
    float unit;          // pixels of this picture for one of a picture 1080 high
    float tint[48];      // 16 colours
    float lamps[9];      // radius, peak, halo of 3 lamps
    float wheel[2];      // cosine and sine of its turn
    float slope[2];      // of the table's edge and of the pole
    int chart[4];        // first column, first row, patch width, patch height
    float patches[72];   // 24 flat colours: two rows of 12
};

namespace sl {

// Smooth noise in (-1, 1), standard deviation about 0.32.
SL_FN F plate_noise(const plate_args& k, int layer, I x, int y) {
    const int* m = k.lattice + 6 * layer;
    const I u = (I)((U)x * unsigned(m[0]) + (unsigned(y) * unsigned(m[1]) + unsigned(m[4])));
    const I v = (I)((U)x * unsigned(m[2]) + (unsigned(y) * unsigned(m[3]) + unsigned(m[5])));
    const F fu = to_float(u & 0xffff) * (1.0f / 65536.0f), fv = to_float(v & 0xffff) * (1.0f / 65536.0f);
    const F gu = 1.0f - fu, gv = 1.0f - fv;
    const F wu[3] = {gu * gu * 0.5f, mad(fu, gu, splat(0.5f)), fu * fu * 0.5f};
    const F wv[3] = {gv * gv * 0.5f, mad(fv, gv, splat(0.5f)), fv * fv * 0.5f};
    // Cells are counted modulo 2^16, as the positions are, so that a long pan meets no seam.
    const I cu = u >> 16, cv = v >> 16;
    U hu[3], hv[3];
    for (int i = 0; i < 3; ++i) {
        hu[i] = (U)((cu + i) & 0xffff) * 0x9e3779b1u + k.seed[layer];
        hv[i] = (U)((cv + i) & 0xffff) * 0x85ebca77u;
    }
    F sum = splat(0.0f);
    for (int j = 0; j < 3; ++j) {
        F row = splat(0.0f);
        for (int i = 0; i < 3; ++i) {
            U h = hu[i] + hv[j];
            h = h ^ (h >> 16);
            h = h * 0x7feb352du;
            h = h ^ (h >> 15);
            h = h * 0x846ca68bu;
            row = mad(wu[i], to_float((I)(h >> 8)), row);
        }
        sum = mad(wv[j], row, sum);
    }
    return mad(sum, splat(1.0f / 8388608.0f), splat(-1.0f));
}

// Cosine of a phase in 2^-32 turns; error under 2e-6.
SL_FN F plate_cos(U phase) {
    const F a = abs(to_float((I)phase)) * (1.0f / 4294967296.0f);
    const F s = 0.25f - a, z = s * s;
    F p = splat(42.058692f);
    p = mad(p, z, splat(-76.705857f));
    p = mad(p, z, splat(81.605249f));
    p = mad(p, z, splat(-41.341702f));
    p = mad(p, z, splat(6.2831853f));
    return p * s;
}

SL_FN F plate_wave(const plate_args& k, int i, I x, int y) {
    const unsigned* m = k.weave + 3 * i;
    return plate_cos((U)x * m[0] + (unsigned(y) * m[1] + m[2]));
}

// Distance along one axis from place i, in pixels.
SL_FN F plate_dx(const plate_args& k, int i, I x) { return to_float(x - k.corner[2 * i]) - k.part[2 * i]; }
SL_FN F plate_dy(const plate_args& k, int i, int y) {
    return splat(float(y - k.corner[2 * i + 1]) - k.part[2 * i + 1]);
}

// How much of a pixel lies inside an edge `distance` pixels away (negative inside).
SL_FN F plate_cover(F distance) { return clamp(0.5f - distance, splat(0.0f), splat(1.0f)); }

struct plate_rgb {
    F c[3];
};

SL_FN plate_rgb plate_tint(const plate_args& k, int i, F gain) {
    const float* t = k.tint + 3 * i;
    return {{gain * t[0], gain * t[1], gain * t[2]}};
}

SL_FN plate_rgb plate_blend(const plate_args& k, int i, int j, F amount, F gain) {
    const float *a = k.tint + 3 * i, *b = k.tint + 3 * j;
    plate_rgb out;
    for (int c = 0; c < 3; ++c) out.c[c] = gain * mad(amount, splat(b[c] - a[c]), splat(a[c]));
    return out;
}

SL_FN void plate_over(plate_rgb& below, const plate_rgb& above, F cover) {
    for (int c = 0; c < 3; ++c) below.c[c] = mad(cover, above.c[c] - below.c[c], below.c[c]);
}

// An ellipse: 1 - r^2 with r = 1 on its edge, and the signed distance to that edge (to first order).
SL_FN F plate_ellipse(F dx, F dy, float rx, float ry, F* distance) {
    const F ex = dx / rx, ey = dy / ry;
    const F q = mad(ex, ex, ey * ey);
    const F gx = ex / rx, gy = ey / ry;
    *distance = 0.5f * (q - 1.0f) / max(sqrt(mad(gx, gx, gy * gy)), splat(1e-6f));
    return 1.0f - q;
}

SL_FN plate_rgb plate_garden(const plate_args& k, I x, int y) {
    const F cloud = mad(plate_noise(k, 1, x, y), splat(0.35f), plate_noise(k, 0, x, y));
    const F up = clamp(splat(float(y) / (480.0f * k.unit)), splat(0.0f), splat(1.0f));
    plate_rgb out = plate_blend(k, 0, 1, up, exp2(cloud * 0.7f));
    const F line = mad(plate_noise(k, 2, x, 0), splat(150.0f * k.unit), -plate_dy(k, 0, y));
    const F cover = plate_cover(line * 0.4f);
    if (any(cover > 0.0f)) {
        const F broad = plate_noise(k, 3, x, y), mid = plate_noise(k, 4, x, y), leaf = plate_noise(k, 5, x, y);
        const F fine = plate_noise(k, 6, x, y), finest = plate_noise(k, 7, x, y);
        const F stops = mad(broad, splat(2.2f), mad(mid, splat(2.0f), leaf * 2.2f));
        const F gain = exp2(stops) * mad(fine, splat(0.75f), splat(1.0f)) * mad(finest, splat(0.6f), splat(1.0f));
        const F hue = clamp(mad(mid, splat(0.9f), mad(leaf, splat(0.6f), splat(0.5f))), splat(0.0f), splat(1.0f));
        plate_over(out, plate_blend(k, 2, 3, hue, gain), cover);
    }
    return out;
}

SL_FN void plate_table(const plate_args& k, plate_rgb& out, I x, int y) {
    const F edge = mad(plate_dx(k, 1, x), splat(k.slope[0]), -plate_dy(k, 1, y));
    const F cover = plate_cover(edge);
    if (!any(cover > 0.0f)) return;
    const F folds = plate_noise(k, 8, x, y);
    const F a = plate_wave(k, 0, x, y), b = plate_wave(k, 1, x, y);
    const F thread = mad(a * b, splat(0.22f), mad(a + b, splat(0.14f), splat(1.0f)));
    const F gain = exp2(folds * 2.4f) * thread * mad(plate_noise(k, 9, x, y), splat(0.3f), splat(1.0f));
    plate_over(out, plate_blend(k, 4, 5, clamp(mad(folds, splat(0.8f), splat(0.4f)), splat(0.0f), splat(1.0f)), gain),
               cover);
}

SL_FN void plate_sign(const plate_args& k, plate_rgb& out, I x, int y) {
    const float w = 640.0f * k.unit, h = 230.0f * k.unit;
    const F dx = plate_dx(k, 2, x), dy = plate_dy(k, 2, y);
    const F cover = plate_cover(abs(dx - 0.5f * w) - 0.5f * w) * plate_cover(abs(dy - 0.5f * h) - 0.5f * h);
    if (!any(cover > 0.0f)) return;
    F nearest = splat(1e9f);
    const int n = k.strokes.n;
    const float* s = k.strokes.p;
    for (int i = 0; i < n; ++i) {
        const float x0 = s[i], y0 = s[n + i], ex = s[2 * n + i] - x0, ey = s[3 * n + i] - y0;
        const float length = ex * ex + ey * ey;
        const F ax = dx - x0, ay = dy - y0;
        const F t = clamp((ax * ex + ay * ey) / (length > 0.0f ? length : 1.0f), splat(0.0f), splat(1.0f));
        const F rx = ax - t * ex, ry = ay - t * ey;
        nearest = min(nearest, sqrt(mad(rx, rx, ry * ry)) - s[4 * n + i]);
    }
    plate_rgb panel = plate_tint(k, 6, mad(dy, splat(0.4f / h), splat(0.8f)));
    plate_over(panel, plate_tint(k, 7, splat(1.0f)), plate_cover(nearest) * select(dy < 0.58f * h, splat(1.0f), splat(0.0f)));
    plate_over(panel, plate_tint(k, 8, splat(1.0f)), plate_cover(nearest) * select(dy < 0.58f * h, splat(0.0f), splat(1.0f)));
    plate_over(out, panel, cover);
}

// A person: hair in fine strands, a face that is all smooth gradient, a knitted coat.
SL_FN void plate_person(const plate_args& k, plate_rgb& out, I x, int y) {
    const float u = k.unit;
    F away;
    const F dx = plate_dx(k, 3, x), dy = plate_dy(k, 3, y);
    plate_ellipse(dx, dy + 34.0f * u, 196.0f * u, 232.0f * u, &away);
    const F hair = plate_cover(away);
    if (any(hair > 0.0f)) {
        const F strand = plate_noise(k, 10, x, y);
        plate_over(out, plate_tint(k, 9, exp2(strand * 3.4f)), hair);
    }
    const F coat_z = plate_ellipse(dx, dy - 470.0f * u, 345.0f * u, 280.0f * u, &away);
    const F coat = plate_cover(away);
    if (any(coat > 0.0f)) {
        const F a = plate_wave(k, 2, x, y), b = plate_wave(k, 3, x, y);
        const F lit = mad(max(coat_z, splat(0.0f)), splat(0.8f), splat(0.2f));
        const F gain = lit * mad(a, splat(0.30f), mad(b, splat(0.22f), mad(a * b, splat(0.16f), splat(1.0f))));
        plate_over(out, plate_tint(k, 10, gain), coat);
    }
    const F z = plate_ellipse(dx, dy, 150.0f * u, 196.0f * u, &away);
    const F face = plate_cover(away);
    if (any(face > 0.0f)) {
        const F depth = sqrt(max(z, splat(0.0f)));
        const F lit = clamp(mad(dx, splat(-0.0042f / u), mad(dy, splat(-0.0021f / u), depth * 0.85f)), splat(0.0f), splat(2.0f));
        const F pore = mad(plate_noise(k, 11, x, y), splat(0.06f), splat(1.0f));
        const F sx = dx + 62.0f * u, sy = dy + 86.0f * u;
        const F shine = exp(mad(sx, sx, sy * sy) * (-1.0f / (3200.0f * u * u)));
        plate_rgb skin = plate_blend(k, 11, 12, clamp(lit, splat(0.0f), splat(1.0f)), mad(lit, splat(0.9f), splat(0.12f)) * pore);
        for (int c = 0; c < 3; ++c) skin.c[c] = skin.c[c] + shine * 0.35f;
        plate_over(out, skin, face);
    }
}

// A turning wheel: what lies behind shows between the spokes.
SL_FN void plate_wheel(const plate_args& k, plate_rgb& out, I x, int y) {
    const float u = k.unit, radius = 176.0f * u;
    const F dx = plate_dx(k, 4, x), dy = plate_dy(k, 4, y);
    const F r = sqrt(mad(dx, dx, dy * dy));
    if (!any(r < radius + 17.0f * u + 1.0f)) return;
    const F a = dx * k.wheel[0] + dy * k.wheel[1], b = dy * k.wheel[0] - dx * k.wheel[1];
    F spoke = abs(b);
    spoke = min(spoke, abs(mad(a, splat(0.8660254f), b * 0.5f)));
    spoke = min(spoke, abs(mad(a, splat(-0.8660254f), b * 0.5f)));
    const F grain = mad(plate_noise(k, 12, x, y), splat(0.45f), splat(1.0f));
    const F spokes = plate_cover(max(spoke - 8.0f * u, r - radius));
    // One half of the hub is lighter, so that a half turn shows.
    const F hub = plate_cover(r - 34.0f * u);
    const F mark = plate_cover(a);
    plate_over(out, plate_tint(k, 14, grain), spokes);
    plate_over(out, plate_tint(k, 13, grain), plate_cover(abs(r - radius) - 17.0f * u));
    plate_over(out, plate_tint(k, 14, mad(mark, splat(1.6f), splat(0.25f))), hub);
}

SL_FN void plate_lamps(const plate_args& k, plate_rgb& out, I x, int y) {
    for (int i = 0; i < 3; ++i) {
        const F dx = plate_dx(k, 5 + i, x), dy = plate_dy(k, 5 + i, y);
        const F q = mad(dx, dx, dy * dy);
        const float size = k.lamps[3 * i], peak = k.lamps[3 * i + 1], halo = k.lamps[3 * i + 2];
        const F core = plate_cover(sqrt(q) - size) * peak;
        const F near = exp(q * (-0.12f / (size * size))) * halo;
        const F glow = near + 0.02f * halo / mad(q, splat(0.01f / (size * size)), splat(1.0f));
        out.c[0] = mad(core + glow, splat(1.0f), out.c[0]);
        out.c[1] = mad(core + glow, splat(0.82f), out.c[1]);
        out.c[2] = mad(core + glow, splat(0.55f), out.c[2]);
    }
}

// A fast slanted pole in deep shadow, with a rim of light and painted bands.
SL_FN void plate_pole(const plate_args& k, plate_rgb& out, I x, int y) {
    const float u = k.unit, half = 46.0f * u;
    const F dy = plate_dy(k, 8, y);
    const F away = mad(dy, splat(k.slope[1]), plate_dx(k, 8, x));
    const F cover = plate_cover((abs(away) - half) * 0.995f);
    if (!any(cover > 0.0f)) return;
    const F rim = exp((away + half) * (-0.11f / u));
    const F bark = mad(plate_noise(k, 13, x, y), splat(0.7f), splat(1.0f));
    plate_rgb pole = plate_tint(k, 15, bark);
    const F turns = dy * (1.0f / (150.0f * u));
    const F band = abs(turns - floor(turns) - 0.5f) * (150.0f * u) - 19.0f * u;
    plate_over(pole, plate_tint(k, 13, bark * 0.35f), plate_cover(band));
    for (int c = 0; c < 3; ++c) pole.c[c] = mad(rim * bark, splat(0.55f), pole.c[c]);
    plate_over(out, pole, cover);
}

}  // namespace sl

template <bool EDGE>
SL_FN void plate(const plate_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const I x = at.xs();
    plate_rgb out = plate_garden(k, x, at.y);
    plate_sign(k, out, x, at.y);
    plate_table(k, out, x, at.y);
    plate_person(k, out, x, at.y);
    plate_wheel(k, out, x, at.y);
    plate_lamps(k, out, x, at.y);
    plate_pole(k, out, x, at.y);
    const int row = at.y - k.chart[1];
    if (row >= 0 && row < 2 * k.chart[3]) {
        for (int i = 0; i < 12; ++i) {
            const int left = k.chart[0] + i * k.chart[2];
            const M inside = (x >= left) & (x < left + k.chart[2]);
            const float* patch = k.patches + 3 * (i + (row >= k.chart[3] ? 12 : 0));
            for (int c = 0; c < 3; ++c) out.c[c] = select(inside, splat(patch[c]), out.c[c]);
        }
    }
    for (int c = 0; c < 3; ++c) at.store(k.out, c, out.c[c]);
}
SL_PIXEL_KERNEL(plate)
