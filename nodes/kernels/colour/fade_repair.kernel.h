// Faded dyes brought back, in density: light into the records' primaries, density, stain off, leak undone, each dye's
// curve turned round, and the light multiplied by what its density has changed. Curves have slope 1 beyond the film's
// range, so zero, negative and very bright light get a constant gain. A pixel that is not finite keeps its bits.
// Source: safelight.nodes.colour.fading, whose repair_light is the slow twin.
#include "driver.h"
#include "elementary.h"

struct fade_repair_args {
    sl::Grid grid;
    sl::In plate;  // three planes
    sl::Out out;
    float into[9], back[9];  // light: working space to the records' primaries, and back; row by row
    float zero, per_decade;  // light of density 0; density for each factor of ten of light
    float faintest;          // light over `zero` at which the logarithm stops
    float stain[3];
    float unmix[9];          // inverse of the leaks, less one on the diagonal
    float low, high;         // densities that records are thought to see of each other
    float knots[4];
    float slopes[12], after[12];  // of each dye, at the knots
};

SL_FN sl::F fade_undone(const fade_repair_args& k, int c, sl::F y) {
    using namespace sl;
    const float* m = k.slopes + 4 * c;
    const float* f = k.after + 4 * c;
    F out = select(y < f[0], k.knots[0] + (y - f[0]), k.knots[3] + (y - f[3]));
    for (int i = 0; i < 3; ++i) {
        const F u = clamp(y - f[i], splat(0.0f), splat(f[i + 1] - f[i]));
        const float turn = 2.0f * (m[i + 1] - m[i]) / (k.knots[i + 1] - k.knots[i]);
        const F root = sqrt(max(mad(u, splat(turn), splat(m[i] * m[i])), splat(0.0f)));
        out = select((y >= f[i]) & (y < f[i + 1]), k.knots[i] + 2.0f * u / (root + m[i]), out);
    }
    return out;
}

template <bool EDGE>
SL_FN void fade_repair(const fade_repair_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F in[3], light[3], density[3], clean[3];
    for (int c = 0; c < 3; ++c) in[c] = at.load(k.plate, c);
    const M good = is_finite(in[0]) & is_finite(in[1]) & is_finite(in[2]);
    for (int c = 0; c < 3; ++c) {
        const float* row = k.into + 3 * c;
        light[c] = mad(in[2], splat(row[2]), mad(in[1], splat(row[1]), in[0] * row[0]));
        density[c] = log10(max(light[c] * (1.0f / k.zero), splat(k.faintest))) * k.per_decade;
    }
    for (int c = 0; c < 3; ++c) {
        F y = density[c] - k.stain[c];
        for (int j = 0; j < 3; ++j)
            y = mad(clamp(density[j] - k.stain[j], splat(k.low), splat(k.high)), splat(k.unmix[3 * c + j]), y);
        const F rise = fade_undone(k, c, y) - density[c];
        // A product out of float's range would make a NaN of the matrix that follows.
        clean[c] = clamp(light[c] * exp10(rise * (1.0f / k.per_decade)), splat(-1e37f), splat(1e37f));
    }
    for (int c = 0; c < 3; ++c) {
        const float* row = k.back + 3 * c;
        const F out = mad(clean[2], splat(row[2]), mad(clean[1], splat(row[1]), clean[0] * row[0]));
        at.store(k.out, c, select(good, out, in[c]));
    }
}
SL_PIXEL_KERNEL(fade_repair)
