// What the cross-entropy of a linear layer's logits needs in any precision.
#pragma once

#include "../kernels.h"
#include "product.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

#if defined(UNSPOOL_BF16)
constexpr int64_t class_block = 256;
#else
constexpr int64_t class_block = 128;
#endif
// Positions are packed and brought together so many at a time.
constexpr int64_t position_group = 32;

// What the gradient of a logit is less than the class's probability: for every class, and for the
// target beside that.
UNSPOOL_INLINE float share_of_all(const Positions& p) {
    return p.scale * p.smoothing / float(p.V);
}
UNSPOOL_INLINE float share_of_target(const Positions& p) { return p.scale * (1.0f - p.smoothing); }

// What is kept of the logits of `count` classes for a vector of positions, `to` being the first of
// these. Logits are [class][stride] without their biases; keep(class, e^(z − highest)) is called for
// each.
template <class Keep>
UNSPOOL_INLINE void summarise(const Positions& p, int64_t block, int64_t first_class, int64_t count,
                              float* logits, int64_t logits_stride, int64_t position,
                              const Keep& keep) {
    Vec highest = broadcast(-__FLT_MAX__), total{};  // finite, were all logits -inf
    for (int64_t c = 0; c < count; ++c) {
        const Vec z = load(logits + c * logits_stride) + (p.bias ? p.bias[first_class + c] : 0.0f);
        store(logits + c * logits_stride, z);
        highest = z > highest ? z : highest;
        total += z;
    }
    for (int64_t j = 0; j < W && position + j < p.N; ++j) {
        const int64_t target = p.targets[position + j] - first_class;
        if (target >= 0 && target < count)
            p.target[position + j] = logits[target * logits_stride + j];
    }
    Vec sum{};
    for (int64_t c = 0; c < count; ++c) {
        const Vec e = exp(load(logits + c * logits_stride) - highest);
        sum += e;
        keep(c, e);
    }
    const int64_t at = block * p.stride + position;
    store(p.highest + at, highest);
    store(p.sums + at, sum);
    store(p.totals + at, total);
}

// The blocks' figures become those of all logits, and `sums` what turns a block's exponentials into
// scaled probabilities. Blocks are added in their order, whoever formed them.
inline void normalise(const Positions& p, int64_t begin, int64_t end) {
    const int64_t blocks = (p.V + class_block - 1) / class_block;
    for (int64_t n = begin * position_group; n < end * position_group; n += W) {
        Vec maximum = load(p.highest + n);
        for (int64_t b = 1; b < blocks; ++b) {
            const Vec highest = load(p.highest + b * p.stride + n);
            maximum = highest > maximum ? highest : maximum;
        }
        Vec denominator{}, total{};
        for (int64_t b = 0; b < blocks; ++b) {
            const int64_t at = b * p.stride + n;
            const Vec scale = exp(load(p.highest + at) - maximum);
            denominator += load(p.sums + at) * scale;
            total += load(p.totals + at);
            store(p.sums + at, scale);
        }
        for (int64_t b = 0; b < blocks; ++b) {
            const int64_t at = b * p.stride + n;
            Vec scale = load(p.sums + at) / denominator * p.scale;
            for (int64_t j = 0; j < W; ++j)
                if (n + j >= p.N) scale[j] = 0;
            store(p.sums + at, scale);
        }
        store(p.maximum + n, maximum);
        store(p.denominator + n, denominator);
        store(p.total + n, total);
    }
}

inline void sum_parts(const Positions& p, const float* const* parts, int64_t count, int64_t begin,
                      int64_t end, float* d_hidden) {
    const int64_t width = vectors(p.H) * W;
    for (int64_t n = begin; n < end; ++n)
        for (int64_t k = 0; k < p.H; k += W) {
            Vec sum = load(parts[0] + n * width + k);
            for (int64_t part = 1; part < count; ++part) sum += load(parts[part] + n * width + k);
            store_first(d_hidden + n * p.H + k, sum, p.H - k);
        }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
