// The cross-entropy of a linear layer's logits and its gradients, chunk by chunk of positions, so that
// all logits never exist at once. The work itself is done by the OutputKernels of kernels.h.
#pragma once

#include <cstdint>

#include "kernels.h"

namespace unspool {

// N positions of H hidden units, V classes.
struct CrossEntropy {
    int64_t N, H, V;
    const float* hidden;     // (N, H)
    const float* weight;     // (V, H)
    const float* bias;       // (V), or null
    const int64_t* targets;  // (N)
    float smoothing;
    float scale;             // of the gradients
    float* d_hidden;         // (N, H); this and the others may be null
    float* d_weight;         // (V, H)
    float* d_bias;           // (V)
    int threads;
};

// Returns the sum over positions, in nats; gradients are those of `scale` times the sum.
double cross_entropy(const Kernels& kernels, const CrossEntropy& task);

}  // namespace unspool
