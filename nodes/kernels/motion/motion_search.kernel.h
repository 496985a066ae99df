// Hierarchical block matching, one level: every block (item) of 8 x 8 pixels looks for the 16 x 16 window around it in
// the other picture, among the vectors of its parents (or, on one level, of its neighbours), then around the best.
// All candidates come from an earlier pass (Jacobi), so blocks are independent and the result has one order.
// Costs are sums of whole numbers below 2^24: exact, hence the same for every lane count.
// References: de Haan et al. 1993 (recursive search, vector penalty); Tourapis 2002 (predictive zonal search).
#include "driver.h"
#include "median.h"

struct motion_search_args {
    sl::Grid grid;       // blocks
    sl::In here, there;  // whole numbers, one plane, at least 16 x 16
    sl::In before;         // vectors of the pass before: dx, dy, cost
    sl::Out out;         // dx, dy, cost per pixel, then the costs one pixel left, right, above, below
    int shift;           // 1: `before` belongs to a level of half the size; 0: to this one
    int range;           // > 0: no candidates, every vector to this distance
    int steps;           // most steps of the descent
    float penalty;       // for each pixel of difference from the expected vector, per pixel of the window
};

static constexpr int MOTION_WINDOW = 16;

SL_FN float motion_cost(const float* block, const float* b, long long row) {
    using namespace sl;
    F sum[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
    for (int y = 0; y < MOTION_WINDOW; y += 4)
        for (int x = 0; x < MOTION_WINDOW; x += LANES)
            for (int j = 0; j < 4; ++j)
                sum[j] = sum[j] + sl::abs(load_lanes(block + (y + j) * MOTION_WINDOW + x) - load_lanes(b + (y + j) * row + x));
    return hsum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

SL_FN void motion_search(const motion_search_args& k, int bx, int by) {
    using namespace sl;
    static constexpr float AREA = MOTION_WINDOW * MOTION_WINDOW, NONE = 3.0e38f;
    const int wx = iclamp(bx * 8 - 4, 0, k.here.w - MOTION_WINDOW), wy = iclamp(by * 8 - 4, 0, k.here.h - MOTION_WINDOW);
    // A copy on whole cache lines: it is read for every candidate.
    alignas(64) float block[MOTION_WINDOW * MOTION_WINDOW];
    for (int y = 0; y < MOTION_WINDOW; ++y)
        for (int x = 0; x < MOTION_WINDOW; x += LANES)
            store_lanes(block + y * MOTION_WINDOW + x, load_lanes(k.here.p + (wy + y) * k.here.row + wx + x));
    const int x_lo = -wx, x_hi = k.there.w - MOTION_WINDOW - wx;
    const int y_lo = -wy, y_hi = k.there.h - MOTION_WINDOW - wy;
    int expect_x = 0, expect_y = 0, best_x = 0, best_y = 0;
    float best = NONE, best_sad = NONE;

    const auto sad = [&](int dx, int dy) {
        return motion_cost(block, k.there.p + (wy + dy) * k.there.row + wx + dx, k.there.row);
    };
    const auto priced = [&](float cost, int dx, int dy) {
        const int away = imax(dx - expect_x, expect_x - dx) + imax(dy - expect_y, expect_y - dy);
        return cost + k.penalty * AREA * float(away);
    };
    const auto attempt = [&](int dx, int dy, float known) {
        const float cost = known < NONE ? known : sad(dx, dy);
        const float price = priced(cost, dx, dy);
        if (price < best) best = price, best_sad = cost, best_x = dx, best_y = dy;
    };

    bool moved = true;
    if (k.range > 0) {
        attempt(0, 0, NONE);
        for (int dy = imax(-k.range, y_lo); dy <= imin(k.range, y_hi); ++dy)
            for (int dx = imax(-k.range, x_lo); dx <= imin(k.range, x_hi); ++dx) attempt(dx, dy, NONE);
    } else {
        int cx[11], cy[11];
        const float* own = k.before.p + (by >> k.shift) * k.before.row + (bx >> k.shift);
        for (int n = 0; n < 9; ++n) {
            const int px = iclamp((bx >> k.shift) + n % 3 - 1, 0, k.before.w - 1);
            const int py = iclamp((by >> k.shift) + n / 3 - 1, 0, k.before.h - 1);
            const float* v = k.before.p + py * k.before.row + px;
            cx[n] = iclamp(int(v[0]) << k.shift, x_lo, x_hi);
            cy[n] = iclamp(int(v[k.before.plane]) << k.shift, y_lo, y_hi);
        }
        cx[9] = expect_x = motion_median(cx);
        cy[9] = expect_y = motion_median(cy);
        cx[10] = cy[10] = 0;
        const int own_x = cx[4], own_y = cy[4];
        // On one level the pass before has left this block's own cost: it is not computed twice.
        attempt(own_x, own_y, k.shift ? NONE : own[2 * k.before.plane] * AREA);
        // Each vector once: the keys of those tried, without a branch until one is new.
        int tried[12];
        int count = 1;
        tried[0] = own_y * 65536 + own_x;
        for (int n = 0; n < 11; ++n) {
            const int key = cy[n] * 65536 + cx[n];
            int known = 0;
            for (int m = 0; m < count; ++m) known |= tried[m] == key;
            if (known) continue;
            tried[count++] = key;
            attempt(cx[n], cy[n], NONE);
        }
        moved = k.shift || best_x != own_x || best_y != own_y;
        if (!moved)
            for (int i = 0; i < 7; ++i) k.out.p[i * k.out.plane + by * k.out.row + bx] = own[i * k.before.plane];
    }
    if (!moved) return;

    static constexpr int SIDE_X[4] = {-1, 1, 0, 0}, SIDE_Y[4] = {0, 0, -1, 1};
    float side[4] = {NONE, NONE, NONE, NONE};
    int back = -1;  // the side that was the centre before
    float before = NONE;
    for (int step = 0;; ++step) {
        const int x = best_x, y = best_y;
        for (int i = 0; i < 4; ++i) {
            if (i == back) {
                side[i] = before;
                continue;
            }
            const int dx = x + SIDE_X[i], dy = y + SIDE_Y[i];
            side[i] = dx < x_lo || dx > x_hi || dy < y_lo || dy > y_hi ? NONE : sad(dx, dy);
        }
        if (step >= k.steps) break;
        const float here = best_sad;
        for (int i = 0; i < 4; ++i)
            if (side[i] < NONE) attempt(x + SIDE_X[i], y + SIDE_Y[i], side[i]);
        if (best_x == x && best_y == y) break;
        before = here;
        back = best_x < x ? 1 : best_x > x ? 0 : best_y < y ? 3 : 2;
    }
    float* out = k.out.p + by * k.out.row + bx;
    out[0] = float(best_x);
    out[k.out.plane] = float(best_y);
    out[2 * k.out.plane] = best_sad / AREA;
    for (int i = 0; i < 4; ++i) {
        // At the border the missing side mirrors the other: no fraction.
        float cost = side[i] < NONE ? side[i] : side[i ^ 1];
        if (!(cost < NONE)) cost = best_sad;
        out[(3 + i) * k.out.plane] = cost / AREA;
    }
}
SL_ITEM_KERNEL(motion_search)
