// Orthonormal 8-point DCT-II and its inverse on lanes, even and odd halves apart (Rao and Yip 1990, ch. 4).
#pragma once
#include "../lane.h"

namespace sl {

static constexpr float DCT_H = 0.353553390593273762f;  // sl::sqrt(1/8)
static constexpr float DCT_1 = 0.490392640201615225f, DCT_2 = 0.461939766255643378f, DCT_3 = 0.415734806151272619f,
                       DCT_5 = 0.277785116509801112f, DCT_6 = 0.191341716182544886f, DCT_7 = 0.097545161008064134f;

SL_FN void dct8(F* v) {
    const F s0 = v[0] + v[7], s1 = v[1] + v[6], s2 = v[2] + v[5], s3 = v[3] + v[4];
    const F d0 = v[0] - v[7], d1 = v[1] - v[6], d2 = v[2] - v[5], d3 = v[3] - v[4];
    const F a = s0 + s3, b = s1 + s2, c = s0 - s3, d = s1 - s2;
    v[0] = (a + b) * DCT_H;
    v[4] = (a - b) * DCT_H;
    v[2] = mad(c, splat(DCT_2), d * DCT_6);
    v[6] = mad(c, splat(DCT_6), d * -DCT_2);
    v[1] = mad(d0, splat(DCT_1), mad(d1, splat(DCT_3), mad(d2, splat(DCT_5), d3 * DCT_7)));
    v[3] = mad(d0, splat(DCT_3), mad(d1, splat(-DCT_7), mad(d2, splat(-DCT_1), d3 * -DCT_5)));
    v[5] = mad(d0, splat(DCT_5), mad(d1, splat(-DCT_1), mad(d2, splat(DCT_7), d3 * DCT_3)));
    v[7] = mad(d0, splat(DCT_7), mad(d1, splat(-DCT_5), mad(d2, splat(DCT_3), d3 * -DCT_1)));
}

SL_FN void idct8(F* v) {
    const F a = (v[0] + v[4]) * DCT_H, b = (v[0] - v[4]) * DCT_H;
    const F c = mad(v[2], splat(DCT_2), v[6] * DCT_6), d = mad(v[2], splat(DCT_6), v[6] * -DCT_2);
    const F s0 = a + c, s3 = a - c, s1 = b + d, s2 = b - d;
    const F d0 = mad(v[1], splat(DCT_1), mad(v[3], splat(DCT_3), mad(v[5], splat(DCT_5), v[7] * DCT_7)));
    const F d1 = mad(v[1], splat(DCT_3), mad(v[3], splat(-DCT_7), mad(v[5], splat(-DCT_1), v[7] * -DCT_5)));
    const F d2 = mad(v[1], splat(DCT_5), mad(v[3], splat(-DCT_1), mad(v[5], splat(DCT_7), v[7] * DCT_3)));
    const F d3 = mad(v[1], splat(DCT_7), mad(v[3], splat(-DCT_5), mad(v[5], splat(DCT_3), v[7] * -DCT_1)));
    v[0] = s0 + d0;
    v[7] = s0 - d0;
    v[1] = s1 + d1;
    v[6] = s1 - d1;
    v[2] = s2 + d2;
    v[5] = s2 - d2;
    v[3] = s3 + d3;
    v[4] = s3 - d3;
}

}  // namespace sl
