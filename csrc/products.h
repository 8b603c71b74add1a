// Matrix products of a layer that is run step by step.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"

namespace unspool {

// Packs B, (depth, columns), which is `weight` or its transpose, into kernels.product.panels(...) floats.
void pack_product(const Kernels&, const Matrix<const float>& weight, bool transpose, int64_t depth,
                  int64_t columns, float* panels, int threads);

// `rounded` is not read.
void multiply(const Kernels&, PackedProduct, int threads);

// d_weight = Σ gradient ⊗ input over the rows of all steps.
struct StepGradients {
    int64_t outputs, inputs;          // `outputs` is a multiple of the kernel's width
    Matrix<const float> gradients;    // of one step after another, rows of `outputs` numbers
    std::vector<const float*> steps;  // of each step its (rows, inputs),
    std::vector<int64_t> rows;        // and how many rows it has
    float* d_weight;                  // (outputs, inputs)
};
void weight_gradient(const Kernels&, const StepGradients&, int threads);

}  // namespace unspool
