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

}  // namespace unspool
