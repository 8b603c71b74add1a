// The products by the dot products of AVX-512, each of a pair of numbers with another.
#pragma once

#include "half_product.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

constexpr int64_t tile_height(int64_t) { return 1; }

struct Tiles {  // there are none to set
    explicit Tiles(int64_t = 16) {}
    ~Tiles() {}
};

template <int V>
struct HalfTile {
    const HalfProduct& p;
    int64_t block;

    template <int R>
    UNSPOOL_INLINE void run(int64_t first, int64_t) const {
        const Bfloat16* row[R];
        const Bfloat16* b = p.b + block * p.b_stride;
        __m512 acc[R][V];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            row[r] = p.a + (first + r) * p.a_stride;
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                acc[r][v] = p.add ? _mm512_loadu_ps(sums(first + r, v)) : _mm512_setzero_ps();
        }
        for (int64_t k = 0; k < p.depth; k += 2, b += 32) {
            __m512bh w[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) w[v] = (__m512bh)_mm512_loadu_si512(b + v * p.b_stride);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                int32_t pair;
                __builtin_memcpy(&pair, row[r] + k, 4);
                const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) acc[r][v] = _mm512_dpbf16_ps(acc[r][v], x, w[v]);
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                _mm512_storeu_ps(sums(first + r, v), acc[r][v]);
    }
    float* sums(int64_t row, int v) const { return p.c + row * p.c_stride + (block + v) * 16; }
};

struct HalfPanels {
    const HalfProduct& p;

    template <int V>
    UNSPOOL_INLINE void run(int64_t block) const {
        for_each_tile<tile_rows(V)>(p.rows, HalfTile<V>{p, block});
    }
};

inline void multiply(const HalfProduct& p, int64_t blocks) {
    for_each_panel(blocks * 16, p.rows, HalfPanels{p});
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
