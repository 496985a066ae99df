// Where the surroundings of each damaged piece lie in another frame: of the vectors that a search found around, the one
// whose samples differ least, refined to a quarter pixel. Samples lie on a grid around the piece's middle; those that are
// damaged or outside count nowhere. The cost of a vector is the weighted mean difference, without that of the means, so
// that another brightness costs nothing.
// An item is a piece. Sums run in one order, whatever the lanes.
#include "../motion/median.h"
#include "../motion/single.h"
#include "driver.h"

struct repair_vectors_args {
    sl::Grid grid;         // pieces, in one row
    sl::In middle;         // y, x of each piece's middle, counted from the picture's first pixel
    sl::In here, there;    // luma, of one size
    sl::Raw good, giving;  // a byte for each pixel of them, not 0 where it may be read
    sl::In field;          // dy, dx of every block that the search looked at, whole pixels
    sl::In weight;         // of the samples, a square of at most 18
    sl::Out out;           // dy, dx, cost: 3e38 where too little could be compared
    int half, every;       // pixels to each side, pixels between samples
    int fewest;            // samples that must be compared before a vector counts, unless it is half of all
    float gain;            // part of its cost by which another vector must be better
};

namespace sl {

static constexpr int REPAIR_MOST = 18 * 18, REPAIR_LEAST = 8;
static constexpr float REPAIR_NONE = 3.0e38f;

struct RepairSamples {  // the good ones around a piece
    int count;
    int y[REPAIR_MOST], x[REPAIR_MOST];
    float luma[REPAIR_MOST], weight[REPAIR_MOST];
};

SL_FN float repair_abs(float v) { return v < 0 ? -v : v; }

SL_FN bool repair_good(const Raw& good, int y, int x) { return good.p[y * good.row + x] != 0; }

SL_FN float repair_cost(const repair_vectors_args& k, const RepairSamples& s, int dy, int dx) {
    float away[REPAIR_MOST], weight[REPAIR_MOST];
    float total = 0, sum = 0;
    int n = 0;
    for (int i = 0; i < s.count; ++i) {
        const int y = s.y[i] + dy, x = s.x[i] + dx;
        if (y < 0 || y >= k.there.h || x < 0 || x >= k.there.w || !repair_good(k.giving, y, x)) continue;
        weight[n] = s.weight[i];
        away[n] = (s.luma[i] - k.there.p[y * k.there.row + x]) * s.weight[i];
        total = total + weight[n];
        sum = sum + away[n];
        ++n;
    }
    if (n < REPAIR_LEAST || (n < k.fewest && 2 * n < s.count)) return REPAIR_NONE;
    total = total < 1e-6f ? 1e-6f : total;
    const float mean = sum / total;
    float cost = 0;
    for (int i = 0; i < n; ++i) cost = cost + repair_abs(away[i] - weight[i] * mean);
    return cost / total;
}

// Offset of the vertex of the equal-sided V through three costs, in quarters of a step; `least` loses what it is lower by.
SL_FN float repair_vertex(float low, float least, float high, float gain, float& lower) {
    const float steep = low < high ? high : low;
    if (steep >= REPAIR_NONE || least >= REPAIR_NONE) return 0;
    const float slope = steep - least;
    float offset = 0;
    if (slope > 2 * gain * least + 1e-9f) {
        offset = (low - high) / (2 * slope);
        offset = offset < -0.5f ? -0.5f : offset > 0.5f ? 0.5f : offset;
        offset = floor1(offset * 4 + 0.5f) * 0.25f;
    }
    lower = lower - slope * repair_abs(offset);
    return offset;
}

}  // namespace sl

SL_FN void repair_vectors(const repair_vectors_args& k, int piece, int) {
    using namespace sl;
    const int at = piece - k.middle.x0;
    const int cy = int(k.middle.p[at]), cx = int(k.middle.p[k.middle.plane + at]);
    RepairSamples s;
    s.count = 0;
    for (int j = 0; j < k.weight.h; ++j)
        for (int i = 0; i < k.weight.w; ++i) {
            const int y = cy - k.half + j * k.every, x = cx - k.half + i * k.every;
            if (y < 0 || y >= k.here.h || x < 0 || x >= k.here.w || !repair_good(k.good, y, x)) continue;
            s.y[s.count] = y;
            s.x[s.count] = x;
            s.luma[s.count] = k.here.p[y * k.here.row + x];
            s.weight[s.count] = k.weight.p[j * k.weight.row + i];
            ++s.count;
        }
    int dy[10], dx[10];
    const int reach = k.half + 4;
    for (int n = 0; n < 9; ++n) {
        const int by = iclamp((cy + (n / 3 - 1) * reach) * k.field.h / k.here.h, 0, k.field.h - 1);
        const int bx = iclamp((cx + (n % 3 - 1) * reach) * k.field.w / k.here.w, 0, k.field.w - 1);
        dy[n + 1] = int(k.field.p[by * k.field.row + bx]);
        dx[n + 1] = int(k.field.p[k.field.plane + by * k.field.row + bx]);
    }
    dy[0] = dx[0] = 0;
    // Where the surroundings cannot tell vectors apart (an edge hidden along its length), the middle of what the search
    // found around stays.
    int y = motion_median(dy + 1), x = motion_median(dx + 1);
    float least = repair_cost(k, s, y, x);
    for (int n = 0; n < 10; ++n) {
        bool tried = dy[n] == y && dx[n] == x;
        for (int m = 0; m < n; ++m) tried = tried || (dy[n] == dy[m] && dx[n] == dx[m]);
        if (tried) continue;
        const float cost = repair_cost(k, s, dy[n], dx[n]);
        if (cost < (1 - k.gain) * least) y = dy[n], x = dx[n], least = cost;
    }
    float sides[4];
    for (int step = 0; step < 5; ++step) {
        int nearest = 0;
        for (int side = 0; side < 4; ++side) {
            sides[side] = repair_cost(k, s, y + (side == 1) - (side == 0), x + (side == 3) - (side == 2));
            if (sides[side] < sides[nearest]) nearest = side;
        }
        if (step == 4 || !(sides[nearest] < (1 - k.gain) * least)) break;
        y += (nearest == 1) - (nearest == 0);
        x += (nearest == 3) - (nearest == 2);
        least = sides[nearest];
    }
    float between = least;
    const float fine_y = repair_vertex(sides[0], least, sides[1], k.gain, between);
    const float fine_x = repair_vertex(sides[2], least, sides[3], k.gain, between);
    const float bound = least * 0.4f;
    const bool known = least < REPAIR_NONE;
    float* out = k.out.p + (piece - k.out.x0);
    out[0] = float(y) + fine_y;
    out[k.out.plane] = float(x) + fine_x;
    out[2 * k.out.plane] = !known ? least : between < bound ? bound : between;
}
SL_ITEM_KERNEL(repair_vectors)
