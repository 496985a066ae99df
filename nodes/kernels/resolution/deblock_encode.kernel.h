// A plate as a codec sees it, and back: values on the sRGB curve (odd, and going on above 1) or as they are, times 255, as
// luma and two colour differences where there are three. Back: the plate, changed by what was done to those.
// References: IEC 61966-2-1 (curve), ITU-R BT.601-7, BT.709-6 (luma).
#include "elementary.h"
#include "driver.h"

struct deblock_encode_args {
    sl::Grid grid;
    sl::In plate;
    sl::In coded, cleaned;  // back: what this made of the plate, and what became of it
    sl::Out out;
    int planes, curve, back;  // planes: 1 or 3
    float amount;
    float red, blue;  // shares of luma
};

SL_FN sl::F deblock_code(sl::F v, int curve) {
    using namespace sl;
    if (!curve) return v * 255.0f;
    const F a = sl::min(sl::abs(v), splat(1e30f));
    const F high = mad(sl::pow(sl::max(a, splat(0.0031308f)), splat(1.0f / 2.4f)), splat(1.055f), splat(-0.055f));
    const F made = select(a <= 0.0031308f, a * 12.92f, high) * 255.0f;
    return select(v < 0.0f, -made, made);
}

SL_FN sl::F deblock_light(sl::F v, int curve) {
    using namespace sl;
    const F code = v * (1.0f / 255.0f);
    if (!curve) return code;
    const F a = sl::abs(code);
    const F high = sl::pow((sl::max(a, splat(0.04045f)) + 0.055f) * (1.0f / 1.055f), splat(2.4f));
    const F made = select(a <= 0.04045f, a * (1.0f / 12.92f), high);
    return select(code < 0.0f, -made, made);
}

template <bool EDGE>
SL_FN void deblock_encode(const deblock_encode_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F v[3], d[3], given[3];
    for (int c = 0; c < k.planes; ++c) {
        given[c] = at.load(k.plate, c);
        v[c] = deblock_code(given[c], k.curve);
    }
    if (!k.back) {
        if (k.planes == 3) {
            const F luma = mad(v[0], splat(k.red), mad(v[1], splat(1.0f - k.red - k.blue), v[2] * k.blue));
            const F blue = (v[2] - luma) * (0.5f / (1.0f - k.blue)), red = (v[0] - luma) * (0.5f / (1.0f - k.red));
            at.store(k.out, 0, luma);
            at.store(k.out, 1, blue);
            at.store(k.out, 2, red);
        } else {
            at.store(k.out, 0, v[0]);
        }
        return;
    }
    for (int c = 0; c < k.planes; ++c) d[c] = (at.load(k.cleaned, c) - at.load(k.coded, c)) * k.amount;
    if (k.planes == 3) {
        const F luma = d[0], blue = mad(d[1], splat(2.0f * (1.0f - k.blue)), luma);
        const F red = mad(d[2], splat(2.0f * (1.0f - k.red)), luma);
        const F green = (luma - red * k.red - blue * k.blue) * (1.0f / (1.0f - k.red - k.blue));
        d[0] = red;
        d[1] = green;
        d[2] = blue;
    }
    for (int c = 0; c < k.planes; ++c)
        at.store(k.out, c, select(d[c] == 0.0f, given[c], deblock_light(v[c] + d[c], k.curve)));
}
SL_PIXEL_KERNEL(deblock_encode)
