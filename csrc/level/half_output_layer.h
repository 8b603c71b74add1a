// What single_output_layer.h does, by products of bfloat16 numbers.
#pragma once

#include "half_product.h"
#include "output_layer.h"
#include "scratch.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// As what exponentials are kept.
#if defined(UNSPOOL_PARTS)
typedef float KeptNumber;
UNSPOOL_INLINE Vec widened(const float* from) { return load(from); }
UNSPOOL_INLINE void store_rounded(float* to, Vec x) { store(to, x); }
#else
typedef Bfloat16 KeptNumber;
UNSPOOL_INLINE Vec widened(const Bfloat16* from) {
    return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
UNSPOOL_INLINE void store_rounded(Bfloat16* to, Vec x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), Halves(x).part[0]);
}
#endif

inline int64_t hidden_panels(int64_t stride, int64_t H) { return stride * depth32(H) * parts / 2; }
inline int64_t exponentials(int64_t V, int64_t stride) {
    return V * stride * int64_t(sizeof(KeptNumber)) / int64_t(sizeof(float));
}

// `columns` has blocks of 16 positions, `rows` blocks of 16 hidden units.
inline void pack_hidden(const Positions& p, int64_t begin, int64_t end) {
    const int64_t H = p.H;
    Bfloat16* const columns = reinterpret_cast<Bfloat16*>(p.columns);
    Bfloat16* const rows = reinterpret_cast<Bfloat16*>(p.rows);
    for (int64_t n = begin * position_group; n < end * position_group; n += 16)
        pack_columns(p.hidden + n * H, H, p.N - n, H, columns + n * depth32(H) * parts);
    for (int64_t n = begin * position_group; n < end * position_group; n += 2)
        for (int64_t v = 0; v < vectors(H); ++v) {
            auto row = [&](int64_t i) {
                return i < p.N ? load_first(p.hidden + i * H + v * W, H - v * W) : Vec{};
            };
            store_pairs(rows + v * 16 * p.stride * parts, n, {row(n), row(n + 1)});
        }
}

// What a thread works in, for a block of classes.
struct OutputScratch {
    Bfloat16* weights;    // (class_block, depth32(H)), rounded or in parts, as all but the floats;
                          // rows, as those of `transposed`, are row_stride(...) apart
    float* logits;        // [class_block][stride]
    Bfloat16* gradient;   // (class_block, stride): of the logits
    Bfloat16* transposed; // (stride, class_block): the same
    Bfloat16* pairs;      // (class_block, H): weights, packed in blocks of columns
    float* sums;          // [class_block][vectors(H) · 16]
    float* biases;        // [class_block][16]

    OutputScratch(Allocator& memory, int64_t stride, int64_t H) {
        weights = memory.array<Bfloat16>(class_block * row_stride(depth32(H)));
        logits = memory.floats(class_block * stride);
        gradient = memory.array<Bfloat16>(class_block * stride * parts);
        transposed = memory.array<Bfloat16>(stride * row_stride(class_block));
        pairs = memory.array<Bfloat16>(class_block * vectors(H) * 16 * parts);
        sums = memory.floats(class_block * vectors(H) * 16);
        biases = memory.floats(class_block * 16);
    }
};

inline int64_t output_scratch(int64_t stride, int64_t H) {
    Allocator memory(nullptr);
    OutputScratch(memory, stride, H);
    return memory.used(nullptr);
}

// ------------------------------------------------------------------ logits

inline void logits(const Positions& p, int64_t begin, int64_t end, float* scratch) {
    Allocator memory(scratch);
    const OutputScratch own(memory, p.stride, p.H);
    const Tiles tiles;
    KeptNumber* const kept = reinterpret_cast<KeptNumber*>(p.exponentials);
    for (int64_t block = begin; block < end; ++block) {
        const int64_t first = block * class_block;
        const int64_t count = p.V - first < class_block ? p.V - first : class_block;
        for (int64_t c = 0; c < whole_tiles(count); ++c)
            round_row(p.weight + (first + c) * p.H, c < count ? p.H : 0,
                      own.weights + c * row_stride(depth32(p.H)), depth32(p.H));
        multiply({own.weights, row_stride(depth32(p.H)), whole_tiles(count), depth32(p.H),
                  reinterpret_cast<const Bfloat16*>(p.columns), depth32(p.H) * 16 * parts,
                  own.logits, p.stride},
                 p.stride / 16);
        for (int64_t n = 0; n < p.stride; n += W)
            summarise(p, block, first, count, own.logits + n, p.stride, n, [&](int64_t c, Vec e) {
                if (kept) store_rounded(kept + (first + c) * p.stride + n, e);
            });
    }
}

// ------------------------------------------------------------------ gradients

// The gradient of the logits of a block, rounded, in rows and in columns, and its sums over positions
// by vectors.
struct LogitGradient {
    const Positions& p;
    const OutputScratch& to;
    int64_t block, first, count;

    Vec at(int64_t c, int64_t n, Vec scale) const {
        if (c >= count) return Vec{};
        const KeptNumber* kept = reinterpret_cast<const KeptNumber*>(p.exponentials);
        return widened(kept + (first + c) * p.stride + n) * scale - share_of_all(p);
    }

    void form() const {
        zero(to.biases, class_block * 16);
        for (int64_t c = 0; c < depth32(count); c += 32)
            for (int64_t n = 0; n < p.stride; n += 16) form_tile(c, n);
        for (int64_t n = 0; n < p.N; ++n) {
            const int64_t target = p.targets[n] - first;
            if (target >= 0 && target < count) correct(target, n);
        }
    }

    // 32 classes and 16 positions.
    void form_tile(int64_t c, int64_t n) const {
        const Vec scale = load(p.sums + block * p.stride + n);
        const __mmask16 valid = n < p.N ? ::unspool::UNSPOOL_LEVEL::first(p.N - n) : 0;
        __m512i m[parts][16];
        for (int64_t i = 0; i < 16; ++i) {
            Vec both[2];
            for (int64_t j = 0; j < 2; ++j) {
                const int64_t k = c + 2 * i + j;
                const Vec g = (Vec)_mm512_maskz_mov_ps(valid, (__m512)at(k, n, scale));
                both[j] = g;
                store_halves(to.gradient + k * p.stride * parts, n, g);
                store(to.biases + k * 16, load(to.biases + k * 16) + g);
            }
            const Pairs pairs(both[0], both[1]);
            for (int part = 0; part < parts; ++part) m[part][i] = pairs.part[part];
        }
        for (int part = 0; part < parts; ++part) {
            transpose16(m[part]);
            for (int64_t j = 0; j < 16; ++j)
                _mm512_storeu_si512(
                    to.transposed + (n + j) * row_stride(class_block) + c * parts + part * 32,
                    m[part][j]);
        }
    }

    // A target's own, from its logit: what is left of a probability near one would drown in rounding.
    void correct(int64_t c, int64_t n) const {
        const float before =
            at(c, n / 16 * 16, load(p.sums + block * p.stride + n / 16 * 16))[n % 16];
        const float probability = exp(broadcast(p.target[n] - p.maximum[n]))[0] / p.denominator[n];
        const float after = p.scale * probability - share_of_all(p) - share_of_target(p);
        const Halves halves(broadcast(after));
        for (int part = 0; part < parts; ++part) {
            const auto half = Bfloat16(_mm256_extract_epi16(halves.part[part], 0));
            to.gradient[c * p.stride * parts + n / 32 * 32 * parts + part * 32 + n % 32] = half;
            to.transposed[n * row_stride(class_block) + c / 32 * 32 * parts + part * 32 + c % 32] =
                half;
        }
        to.biases[c * 16] += after - before;
    }
};

inline void add_weight_gradient(const Positions& p, const OutputScratch& own, int64_t count,
                                float* d_weight, bool add) {
    const int64_t width = vectors(p.H) * 16;
    const bool fits = p.H % 16 == 0 && count % 16 == 0;  // in whole tiles
    HalfProduct product{own.gradient, p.stride * parts, whole_tiles(count), depth32(p.N),
                        reinterpret_cast<const Bfloat16*>(p.rows), 16 * p.stride * parts,
                        fits ? d_weight : own.sums, width, fits && add};
    multiply(product, vectors(p.H));
    if (fits) return;
    for (int64_t c = 0; c < count; ++c)
        for (int64_t k = 0; k < p.H; k += W) {
            float* const to = d_weight + c * p.H + k;
            const Vec sum = load(own.sums + c * width + k);
            store_first(to, add ? load_first(to, p.H - k) + sum : sum, p.H - k);
        }
}

inline void add_hidden_gradient(const Positions& p, const OutputScratch& own, const float* weight,
                                int64_t count, float* d_hidden, bool add) {
    for (int64_t c = 0; c < depth32(count); c += 2)
        for (int64_t v = 0; v < vectors(p.H); ++v) {
            auto row = [&](int64_t i) {
                return i < count ? load_first(weight + i * p.H + v * W, p.H - v * W) : Vec{};
            };
            store_pairs(own.pairs + v * 16 * class_block * parts, c, {row(c), row(c + 1)});
        }
    multiply({own.transposed, row_stride(class_block), whole_tiles(p.N), depth32(count), own.pairs,
              16 * class_block * parts, d_hidden, vectors(p.H) * 16, add},
             vectors(p.H));
}

inline void output_gradients(const Positions& p, const ClassGradients& job, float* scratch) {
    Allocator memory(scratch);
    const OutputScratch own(memory, p.stride, p.H);
    const Tiles tiles;
    for (int64_t block = job.begin; block < job.end; ++block) {
        const int64_t first = block * class_block;
        const int64_t count = p.V - first < class_block ? p.V - first : class_block;
        LogitGradient{p, own, block, first, count}.form();
        if (job.d_bias)
            for (int64_t c = 0; c < count; ++c)
                job.d_bias[first + c] = (job.add ? job.d_bias[first + c] : 0.0f) +
                                        sum_of(load(own.biases + c * 16));
        if (job.d_weight)
            add_weight_gradient(p, own, count, job.d_weight + first * p.H, job.add);
        if (job.d_hidden)
            add_hidden_gradient(p, own, p.weight + first * p.H, count, job.d_hidden,
                                block > job.begin);
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
