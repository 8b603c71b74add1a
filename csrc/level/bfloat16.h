// Numbers in bfloat16 and how they are packed for products with sums in single precision. Only levels
// that define UNSPOOL_BF16 compile this: 1 for the dot products of AVX-512, 2 for the tiles of AMX.
//
// A level that defines UNSPOOL_PARTS as 3 multiplies numbers of single precision: each is the sum of
// three of bfloat16, x = x₀ + x₁ + x₂, which hold eight of its bits each, and of the nine products of
// parts the six greatest are formed, x₀y₀ + x₀y₁ + x₁y₀ + x₁y₁ + x₀y₂ + x₂y₀. What is left out is
// below 2⁻²³ of the product, as a rounding to single precision is (Henry, Tang and Heinecke 2019,
// arXiv 1904.06376), unless a product is below some 1e-30: AMX takes parts below 1.2e-38 for zero. It
// forms the six in 0.4 of the time that AVX-512 takes for one such product.
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
// From row to row of so many numbers, a multiple of 32: an odd number of a cache's lines, for rows a
// power of two apart would all compete for the same few of its places.
constexpr int64_t row_stride(int64_t depth) { return (depth / 32 * parts | 1) * 32; }
constexpr int64_t whole_tiles(int64_t rows) {
    return UNSPOOL_BF16 == 2 ? (rows + 15) / 16 * 16 : rows;
}

UNSPOOL_INLINE Vec widened(__m256i half) {
    return (Vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
}

// 16 numbers in parts, each in the upper half of 32 bits.
struct Split {
    __m512i part[parts];

    UNSPOOL_INLINE explicit Split(Vec x) {
        x += x - x;  // infinity, which has no parts, is not a number
#pragma GCC unroll 3
        for (int p = 0; p < parts; ++p) {
            // Rounded to eight bits, but for the last part, which has no more than these.
            const Ints bits = p + 1 < parts ? (Ints)x + 0x8000 : (Ints)x;
            part[p] = (__m512i)(bits & ~0xffff);
            x -= (Vec)part[p];
        }
    }
};

// 16 numbers, rounded or in parts.
struct Halves {
    __m256i part[parts];

    UNSPOOL_INLINE explicit Halves(Vec x) {
        if constexpr (parts == 1) {
            part[0] = (__m256i)_mm512_cvtneps_pbh((__m512)x);
        } else {
            const Split in(x);
#pragma GCC unroll 3
            for (int p = 0; p < parts; ++p)
                part[p] = _mm512_cvtepi32_epi16(_mm512_srli_epi32(in.part[p], 16));
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

// Rounds numbers [begin, end) of a row of `count`, both multiples of 16; those from `count` on are zeros.
inline void round_part(const float* from, int64_t count, Bfloat16* to, int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k += W)
        store_halves(to, k, k < count ? load_first(from + k, count - k) : Vec{});
}

// Rounds `count` numbers; those up to `padded`, a multiple of 32, become zeros.
inline void round_row(const float* from, int64_t count, Bfloat16* to, int64_t padded) {
    round_part(from, count, to, 0, padded);
}

// Two rows of 16 numbers as 16 pairs.
struct Pairs {
    __m512i part[parts];

    UNSPOOL_INLINE Pairs(Vec first, Vec second) {
        if constexpr (parts == 1) {
            const Halves low(first), high(second);
            part[0] = _mm512_or_si512(
                _mm512_cvtepu16_epi32(low.part[0]),
                _mm512_slli_epi32(_mm512_cvtepu16_epi32(high.part[0]), 16));
        } else {
            const Split low(first), high(second);
#pragma GCC unroll 3
            for (int p = 0; p < parts; ++p)
                part[p] = _mm512_or_si512(_mm512_srli_epi32(low.part[p], 16), high.part[p]);
        }
    }
};

// Places them as rows k and k + 1 of a block of columns; k is even.
UNSPOOL_INLINE void store_pairs(Bfloat16* block, int64_t k, const Pairs& pairs) {
    Bfloat16* const to = block + k / 32 * 512 * parts + k % 32 * 16;
#pragma GCC unroll 3
    for (int p = 0; p < parts; ++p) _mm512_storeu_si512(to + p * 512, pairs.part[p]);
}

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
