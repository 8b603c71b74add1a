// The greatest numbers of a row, the greatest first; of equal ones, the further left comes first.
#pragma once

#include "vector.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// Not a number ranks above all.
template <class Number>
UNSPOOL_INLINE bool is_better(Number a, Number b) {
    return a > b || (a != a && b == b);
}

// The best so far, in their order.
template <class Number>
struct Best {
    Number* values;
    int64_t* columns;
    int64_t most;
    int64_t count = 0;

    UNSPOOL_INLINE void offer(Number value, int64_t column) {
        if (count == most && !is_better(value, values[most - 1])) return;
        int64_t place = count < most ? count++ : most - 1;
        for (; place > 0 && is_better(value, values[place - 1]); --place) {
            values[place] = values[place - 1];
            columns[place] = columns[place - 1];
        }
        values[place] = value;
        columns[place] = column;
    }
};

// Whether any number of a vector is more than the bound, or not a number.
UNSPOOL_INLINE bool any_beyond(Vec x, float bound) {
#if UNSPOOL_WIDTH == 16
    return _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(bound), _CMP_NLE_UQ) != 0;
#else
    const Ints beyond = ~(x <= broadcast(bound));
    int32_t any = 0;
    for (int j = 0; j < W; ++j) any |= beyond[j];
    return any != 0;
#endif
}

inline void best(const float* row, int64_t columns, int64_t most, float* values, int64_t* found) {
    Best<float> best{values, found, most};
    int64_t j = 0;
    for (; j < most; ++j) best.offer(row[j], j);
    for (; j + W <= columns; j += W)
        if (any_beyond(load(row + j), values[most - 1]))
            for (int64_t i = j; i < j + W; ++i) best.offer(row[i], i);
    for (; j < columns; ++j) best.offer(row[j], j);
}

inline void best_of_doubles(const double* row, int64_t columns, int64_t most, double* values,
                            int64_t* found) {
    Best<double> best{values, found, most};
    for (int64_t j = 0; j < columns; ++j) best.offer(row[j], j);
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
