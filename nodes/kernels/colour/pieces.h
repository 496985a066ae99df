// Functions in pieces: a table's entries are pieces of the argument's range, its planes the coefficients of a polynomial
// of the place within a piece, constant first. Neither a search nor a power; with 32 pieces no memory access either.
#pragma once
#include "lane.h"

namespace sl {

struct Piece {
    I index;
    F at;  // within it, 0 ... 1
};

// Pieces by octave of light from 2^-32 to 1, 2^(23 - shift) of them in each; light beyond counts as that at the end.
SL_FN Piece octave_of(int shift, F light) {
    const I b = bits(clamp(light, splat(2.3283064365386963e-10f), splat(0.99999994f)));
    const F share = from_bits(splat((127 - shift) << 23));
    return {(b >> shift) - ((127 - 32) << (23 - shift)), to_float(b & ((1 << shift) - 1)) * share};
}

// Equal pieces of 0 ... 1, so many.
SL_FN Piece part_of(int count, F v) {
    const F place = clamp(v, splat(0.0f), splat(0.99999994f)) * float(count);
    const I index = to_int(place);
    return {index, place - to_float(index)};
}

// Several at once, as one alone would wait for each step. Coefficients lie in the planes `first` ... first + DEGREE.
template <int DEGREE, int N>
SL_FN void in_pieces(const Table& t, int first, const Piece* p, F* out) {
    SL_UNROLL for (int j = 0; j < N; ++j) out[j] = entry(t, first + DEGREE, p[j].index);
    SL_UNROLL for (int i = DEGREE - 1; i >= 0; --i)
        SL_UNROLL for (int j = 0; j < N; ++j) out[j] = mad(out[j], p[j].at, entry(t, first + i, p[j].index));
}

}  // namespace sl
