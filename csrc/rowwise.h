// Work whose rows do not depend on each other, dealt to threads where there is enough of it.
#pragma once

#include <cstdint>

#include "kernels.h"

namespace unspool {

void gates(const Kernels&, const Gates&, int threads);
void gate_gradients(const Kernels&, const GateGradients&, int threads);

void additive_scores(const Kernels&, const AdditiveScores&, int threads);
void additive_gradients(const Kernels&, const AdditiveGradients&, int threads);

// The `most` best of each row of `values` (rows, columns), the best first; of equal ones the further
// left comes first. `most` is at least 1 and at most `columns`.
template <class Number>
struct BestOfRows {
    int64_t rows, columns, most;
    const Number* values;
    Number* best_values;    // (rows, most)
    int64_t* best_columns;  // (rows, most)
};
void best(const Kernels&, const BestOfRows<float>&, int threads);
void best(const Kernels&, const BestOfRows<double>&, int threads);

// The `most` best sums of each group of `width` rows: of a number of a row and the row's offset. Only
// the `each` best of a row count; those further up, and then further left, come first of equal ones.
// `each` is at least 1 and at most `columns`, `most` at least 1 and at most width · each.
struct BestSums {
    int64_t groups, width, columns, each, most;
    const float* values;         // (groups · width, columns)
    const double* offsets;       // (groups · width)
    double* sums;                // (groups, most)
    int64_t *rows, *best_columns;  // (groups, most): where they come from
};
void best_sums(const Kernels&, const BestSums&, int threads);

// Which of `count` numbers dropout keeps, 1 or 0, each dropped by a chance of `dropped` 65,536ths: a
// function of the key, whatever the level and the number of threads.
void draw_kept(const Kernels&, uint64_t key, int64_t count, int32_t dropped, uint8_t* kept, int threads);

}  // namespace unspool
