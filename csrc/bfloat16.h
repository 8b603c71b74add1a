// Products of bfloat16 numbers with sums in single precision. Only levels that define UNSPOOL_BF16
// compile this: 1 for the dot products of AVX-512, 2 for the matrix tiles of AMX.
//
// A level that defines UNSPOOL_PARTS as 3 multiplies numbers of single precision: each is the sum of
// three of bfloat16, x = x₀ + x₁ + x₂, which hold eight of its bits each, and of the nine products of
// parts the six greatest are formed, x₀y₀ + x₀y₁ + x₁y₀ + x₁y₁ + x₀y₂ + x₂y₀. What is left out is
// below 2⁻²³ of the product, as a rounding to single precision is (Henry, Tang and Heinecke 2019,
// arXiv 1904.06376). AMX does that 2.7 times as fast as AVX-512 multiplies such numbers.
//
// Rows are padded with zeros to multiples of 32 numbers (`depth32`), of which the parts stand one
// after the other, [k / 32][parts][32]; AMX takes 16 rows at a time (`whole_tiles`). Weights are packed
// in blocks of 16 columns, [block][k / 32][parts][16 pairs of k][16 columns][2].
#pragma once

#include "product.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

typedef uint16_t Bfloat16;

#if defined(UNSPOOL_PARTS)
constexpr int parts = UNSPOOL_PARTS;
#else
constexpr int parts = 1;
#endif

constexpr int64_t depth32(int64_t count) { return (count + 31) / 32 * 32; }
constexpr int64_t whole_tiles(int64_t rows) {
    return UNSPOOL_BF16 == 2 ? (rows + 15) / 16 * 16 : rows;
}

UNSPOOL_INLINE Vec widened(__m256i half) {
    return (Vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
}

// 16 numbers, rounded or in parts.
struct Halves {
    __m256i part[parts];

    UNSPOOL_INLINE explicit Halves(Vec x) {
        if (parts > 1) {
            // Infinity, which has no parts, becomes the greatest number that has.
            const __m512 most = _mm512_set1_ps(3.3895314e38f);
            x = (Vec)_mm512_min_ps(most, _mm512_max_ps(-most, (__m512)x));  // NaN stays NaN
        }
#pragma GCC unroll 3
        for (int p = 0; p < parts; ++p) {
            part[p] = (__m256i)_mm512_cvtneps_pbh((__m512)x);
            x -= widened(part[p]);
        }
    }
};

// Places 16 numbers, the k-th of a row and those after it; k is a multiple of 16.
UNSPOOL_INLINE void store_halves(Bfloat16* row, int64_t k, Vec x) {
    const Halves halves(x);
    Bfloat16* const to = row + k / 32 * 32 * parts + k % 32;
#pragma GCC unroll 3
    for (int p = 0; p < parts; ++p)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + p * 32), halves.part[p]);
}

// Rounds `count` numbers; those up to `padded`, a multiple of 32, become zeros.
inline void round_row(const float* from, int64_t count, Bfloat16* to, int64_t padded) {
    for (int64_t k = 0; k < padded; k += W)
        store_halves(to, k, k < count ? load_first(from + k, count - k) : Vec{});
}

// Two rows of 16 numbers as 16 pairs.
struct Pairs {
    __m512i part[parts];

    UNSPOOL_INLINE Pairs(Vec first, Vec second) {
        const Halves low(first), high(second);
#pragma GCC unroll 3
        for (int p = 0; p < parts; ++p)
            part[p] = _mm512_or_si512(
                _mm512_cvtepu16_epi32(low.part[p]),
                _mm512_slli_epi32(_mm512_cvtepu16_epi32(high.part[p]), 16));
    }
};

// Places them as rows k and k + 1 of a block of columns; k is even.
UNSPOOL_INLINE void store_pairs(Bfloat16* block, int64_t k, const Pairs& pairs) {
    Bfloat16* const to = block + k / 32 * 512 * parts + k % 32 * 16;
#pragma GCC unroll 3
    for (int p = 0; p < parts; ++p) _mm512_storeu_si512(to + p * 512, pairs.part[p]);
}

// C = A · B, or C += A · B: A is [rows][a_stride], B packed in blocks of columns, C [rows][c_stride] in
// single precision. Rows are whole tiles, `depth` is a multiple of 32. Strides of A and B count parts.
struct HalfProduct {
    const Bfloat16* a;
    int64_t a_stride;
    int64_t rows;
    int64_t depth;
    const Bfloat16* b;
    int64_t b_stride;  // from block to block
    float* c;
    int64_t c_stride;
    bool add = false;  // to what C holds
};

#if UNSPOOL_BF16 == 2

// The shapes of AMX's tiles belong to the state of a thread: set for as long as an object lives.
struct Tiles {
    Tiles() {
        struct alignas(64) {
            uint8_t palette = 1, start_row = 0, reserved[14] = {};
            uint16_t bytes[16] = {};
            uint8_t rows[16] = {};
        } shapes;
        for (int i = 0; i < 8; ++i) {
            shapes.bytes[i] = 64;
            shapes.rows[i] = 16;
        }
        // GCC takes it that only eight bytes are read, and would leave out the others.
        __asm__ volatile("" : : "r"(&shapes) : "memory");
        _tile_loadconfig(&shapes);
    }
    ~Tiles() { _tile_release(); }
    Tiles(const Tiles&) = delete;
};

// R times 16 rows and V blocks of columns, each 1 or 2: sums in tiles 0 to 3, a in 4 and 5, b in 6
// and 7.
template <int R, int V>
inline void multiply_tiles(const HalfProduct& p, int64_t row, int64_t block) {
    const Bfloat16* a = p.a + row * p.a_stride;
    const Bfloat16* b = p.b + block * p.b_stride;
    const int64_t a_bytes = p.a_stride * 2, c_bytes = p.c_stride * 4;
    float* c = p.c + row * p.c_stride + block * 16;
    if (p.add) {
        _tile_loadd(0, c, c_bytes);
        if (V == 2) _tile_loadd(1, c + 16, c_bytes);
        if (R == 2) _tile_loadd(2, c + 16 * p.c_stride, c_bytes);
        if (R == 2 && V == 2) _tile_loadd(3, c + 16 * p.c_stride + 16, c_bytes);
    } else {
        _tile_zero(0);
        if (V == 2) _tile_zero(1);
        if (R == 2) _tile_zero(2);
        if (R == 2 && V == 2) _tile_zero(3);
    }
    auto load_a = [&](int part) {
        _tile_loadd(4, a + part * 32, a_bytes);
        if (R == 2) _tile_loadd(5, a + 16 * p.a_stride + part * 32, a_bytes);
    };
    auto load_b = [&](int part) {
        _tile_loadd(6, b + part * 512, 64);
        if (V == 2) _tile_loadd(7, b + p.b_stride + part * 512, 64);
    };
    auto multiply = [] {
        _tile_dpbf16ps(0, 4, 6);
        if (V == 2) _tile_dpbf16ps(1, 4, 7);
        if (R == 2) _tile_dpbf16ps(2, 5, 6);
        if (R == 2 && V == 2) _tile_dpbf16ps(3, 5, 7);
    };
    for (int64_t k = 0; k < p.depth; k += 32, a += 32 * parts, b += 512 * parts) {
        load_a(0);
        load_b(parts - 1);
        multiply();
        if (parts == 1) continue;
        // Small products first, and one side alone changes from each to the next.
        load_b(1), multiply();
        load_a(1), multiply();
        load_b(0), multiply();
        load_a(2), multiply();
        load_a(0), multiply();
    }
    _tile_stored(0, c, c_bytes);
    if (V == 2) _tile_stored(1, c + 16, c_bytes);
    if (R == 2) _tile_stored(2, c + 16 * p.c_stride, c_bytes);
    if (R == 2 && V == 2) _tile_stored(3, c + 16 * p.c_stride + 16, c_bytes);
}

inline void multiply(const HalfProduct& p, int64_t blocks) {
    for (int64_t block = 0; block < blocks; block += 2)
        for (int64_t row = 0; row < p.rows; row += 32) {
            const bool two_rows = row + 32 <= p.rows, two_blocks = block + 2 <= blocks;
            if (two_rows && two_blocks) multiply_tiles<2, 2>(p, row, block);
            if (two_rows && !two_blocks) multiply_tiles<2, 1>(p, row, block);
            if (!two_rows && two_blocks) multiply_tiles<1, 2>(p, row, block);
            if (!two_rows && !two_blocks) multiply_tiles<1, 1>(p, row, block);
        }
}

#else

struct Tiles {  // nothing to set
    Tiles() {}
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
    for_each_panel(blocks * 16, HalfPanels{p});
}

#endif

// Packs 16 columns of weights that stand in rows of `count` numbers, `stride` apart: column j is
// row j. Columns from `valid` on are zeros.
inline void pack_columns(const float* from, int64_t stride, int64_t valid, int64_t count,
                         Bfloat16* to) {
    for (int64_t k = 0; k < count; k += 32, to += 512 * parts) {
        __m512i m[parts][16];
        for (int64_t j = 0; j < 16; ++j) {
            const float* row = from + j * stride + k;
            const Halves low(j < valid ? load_first(row, count - k) : Vec{});
            const Halves high(j < valid && count - k > 16 ? load_first(row + 16, count - k - 16)
                                                          : Vec{});
            for (int p = 0; p < parts; ++p)
                m[p][j] = _mm512_inserti64x4(_mm512_castsi256_si512(low.part[p]), high.part[p], 1);
        }
        for (int p = 0; p < parts; ++p) {
            transpose16(m[p]);
            for (int64_t i = 0; i < 16; ++i)
                _mm512_storeu_si512(to + p * 512 + i * 32, m[p][i]);
        }
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
