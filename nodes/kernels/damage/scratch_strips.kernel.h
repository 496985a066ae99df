// Evidence summed over strips of eight rows, along every slant: what is beyond the picture counts nothing. Rows are added
// from the top.
#include "driver.h"

struct scratch_strips_args {
    sl::Grid grid;      // columns, strips
    sl::InOwn found;    // evidence, at full height
    sl::Out out;        // a plane for each slant
    int shifts[104];    // of each slant eight: how far aside each row is
    int most;           // the largest of them
};

template <bool EDGE>
SL_FN void scratch_strips(const scratch_strips_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const int x = at.x - k.found.x0, rows = imin(8, k.found.h - 8 * at.y);
    const bool inside = x >= k.most && x + LANES + k.most <= k.found.w;
    for (int s = 0; s < k.out.planes; ++s) {
        F total = splat(0.0f);
        for (int j = 0; j < rows; ++j) {
            const float* row = k.found.p + (8 * at.y + j) * k.found.row;
            const int first = x + k.shifts[8 * s + j];
#if SL_LANES == 1
            total = total + (inside || (first >= 0 && first < k.found.w) ? row[first] : 0.0f);
#else
            F v = splat(0.0f);
            if (inside) {
                v = load_lanes(row + first);
            } else {
                for (int i = 0; i < LANES; ++i)
                    if (first + i >= 0 && first + i < k.found.w) v[i] = row[first + i];
            }
            total = total + v;
#endif
        }
        at.store(k.out, s, total);
    }
}
SL_PIXEL_KERNEL(scratch_strips)
