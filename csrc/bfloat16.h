// Products of bfloat16 numbers with sums in single precision. Only levels that define UNSPOOL_BF16
// compile this: 1 for the dot products of AVX-512, 2 for the matrix tiles of AMX.
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
struct Parts {
    __m512i part[parts];

    UNSPOOL_INLINE explicit Parts(Vec x) {
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
            const Parts in(x);
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
            const Parts low(first), high(second);
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
    bool add = false;     // to what C holds
    int64_t height = 16;  // of the tiles of A and C, as `Tiles` was told
};

#if UNSPOOL_BF16 == 2

// A product takes as long as its tiles are high: so many rows make tiles that are as few as can be, and
// alike.
constexpr int64_t tile_height(int64_t rows) {
    const int64_t tiles = rows > 16 ? (rows + 15) / 16 : 1;
    return rows > 0 ? (rows + tiles - 1) / tiles : 1;
}

// The shapes of AMX's tiles belong to the state of a thread: set for as long as an object lives. Tiles
// 0 to 3 are of C, 4 and 5 of A, 6 and 7 of B.
struct Tiles {
    explicit Tiles(int64_t height = 16) {
        struct alignas(64) {
            uint8_t palette = 1, start_row = 0, reserved[14] = {};
            uint16_t bytes[16] = {};
            uint8_t rows[16] = {};
        } shapes;
        for (int i = 0; i < 8; ++i) {
            shapes.bytes[i] = 64;
            shapes.rows[i] = uint8_t(i < 6 ? height : 16);
        }
        // GCC takes it that only eight bytes are read, and would leave out the others.
        __asm__ volatile("" : : "r"(&shapes) : "memory");
        _tile_loadconfig(&shapes);
    }
    ~Tiles() { _tile_release(); }
    Tiles(const Tiles&) = delete;
};

// Where tiles of a product lie: the i-th from some row and block of columns on.
struct TilesAt {
    const HalfProduct& p;
    const Bfloat16 *a, *b;
    float* c;

    TilesAt(const HalfProduct& product, int64_t row, int64_t block)
        : p(product),
          a(product.a + row * product.a_stride),
          b(product.b + block * product.b_stride),
          c(product.c + row * product.c_stride + block * 16) {}

    const Bfloat16* a_at(int64_t tile, int part) const {
        return a + tile * p.height * p.a_stride + part * 32;
    }
    const Bfloat16* b_at(int64_t block, int part) const {
        return b + block * p.b_stride + part * 512;
    }
    float* c_at(int64_t tile, int64_t block) const {
        return c + tile * p.height * p.c_stride + block * 16;
    }
    void advance() {  // by 32 of the numbers that are summed over
        a += 32 * parts;
        b += 512 * parts;
    }
};

// The intrinsics take a tile's number as it is written.
#define UNSPOOL_LOAD_A(tile, i, part) _tile_loadd(tile, at.a_at(i, part), p.a_stride * 2)
#define UNSPOOL_LOAD_B(tile, i, part) _tile_loadd(tile, at.b_at(i, part), 64)
#define UNSPOOL_START(tile, row, block)                              \
    {                                                                \
        if (p.add) {                                                 \
            _tile_loadd(tile, at.c_at(row, block), p.c_stride * 4);  \
        } else {                                                     \
            _tile_zero(tile);                                        \
        }                                                            \
    }
#define UNSPOOL_FINISH(tile, row, block) _tile_stored(tile, at.c_at(row, block), p.c_stride * 4)

// Whatever shape a sum is part of, its products of parts come in one order, which gives the same bits:
// x₀y₂, x₀y₁, x₁y₁, x₁y₀, x₀y₀, x₂y₀. One side alone changes from each to the next.

// Two tiles of rows and two blocks of columns.
inline void multiply_square(const HalfProduct& p, int64_t row, int64_t block) {
    TilesAt at(p, row, block);
    UNSPOOL_START(0, 0, 0)
    UNSPOOL_START(1, 0, 1)
    UNSPOOL_START(2, 1, 0)
    UNSPOOL_START(3, 1, 1)
    auto load_a = [&](int part) {
        UNSPOOL_LOAD_A(4, 0, part);
        UNSPOOL_LOAD_A(5, 1, part);
    };
    auto load_b = [&](int part) {
        UNSPOOL_LOAD_B(6, 0, part);
        UNSPOOL_LOAD_B(7, 1, part);
    };
    auto multiply = [] {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    };
    for (int64_t k = 0; k < p.depth; k += 32, at.advance()) {
        load_a(0), load_b(parts - 1), multiply();
        if (parts == 1) continue;
        load_b(1), multiply();
        load_a(1), multiply();
        load_b(0), multiply();
        load_a(0), multiply();
        load_a(2), multiply();
    }
    UNSPOOL_FINISH(0, 0, 0);
    UNSPOOL_FINISH(1, 0, 1);
    UNSPOOL_FINISH(2, 1, 0);
    UNSPOOL_FINISH(3, 1, 1);
}

// One tile of rows and V blocks of columns: sums enough for none to wait for the product before.
template <int V>
inline void multiply_row(const HalfProduct& p, int64_t row, int64_t block) {
    TilesAt at(p, row, block);
#define UNSPOOL_EACH(DO)  \
    {                     \
        DO(0)             \
        if (V > 1) DO(1)  \
        if (V > 2) DO(2)  \
        if (V > 3) DO(3)  \
    }
#define UNSPOOL_DO(v) UNSPOOL_START(v, 0, v)
    UNSPOOL_EACH(UNSPOOL_DO)
#undef UNSPOOL_DO
    for (int64_t k = 0; k < p.depth; k += 32, at.advance()) {
        UNSPOOL_LOAD_A(5, 0, parts > 1 ? 1 : 0);
        if (parts > 1) {
            UNSPOOL_LOAD_A(4, 0, 0);
#define UNSPOOL_DO(v)           \
    {                           \
        UNSPOOL_LOAD_B(6, v, 2); \
        _tile_dpbf16ps(v, 4, 6); \
        UNSPOOL_LOAD_B(7, v, 1); \
        _tile_dpbf16ps(v, 4, 7); \
        _tile_dpbf16ps(v, 5, 7); \
    }
            UNSPOOL_EACH(UNSPOOL_DO)
#undef UNSPOOL_DO
#define UNSPOOL_DO(v)           \
    {                           \
        UNSPOOL_LOAD_B(6, v, 0); \
        _tile_dpbf16ps(v, 5, 6); \
        _tile_dpbf16ps(v, 4, 6); \
    }
            UNSPOOL_EACH(UNSPOOL_DO)
#undef UNSPOOL_DO
        }
        if (parts > 1) UNSPOOL_LOAD_A(5, 0, 2);
#define UNSPOOL_DO(v)           \
    {                           \
        UNSPOOL_LOAD_B(7, v, 0); \
        _tile_dpbf16ps(v, 5, 7); \
    }
        UNSPOOL_EACH(UNSPOOL_DO)
#undef UNSPOOL_DO
    }
#define UNSPOOL_DO(v) UNSPOOL_FINISH(v, 0, v);
    UNSPOOL_EACH(UNSPOOL_DO)
#undef UNSPOOL_DO
}

// The same the other way: R tiles of rows and one block of columns.
template <int V>
inline void multiply_column(const HalfProduct& p, int64_t row, int64_t block) {
    TilesAt at(p, row, block);
#define UNSPOOL_DO(r) UNSPOOL_START(r, r, 0)
    UNSPOOL_EACH(UNSPOOL_DO)
#undef UNSPOOL_DO
    for (int64_t k = 0; k < p.depth; k += 32, at.advance()) {
        UNSPOOL_LOAD_B(6, 0, parts - 1);
#define UNSPOOL_DO(r)           \
    {                           \
        UNSPOOL_LOAD_A(4, r, 0); \
        _tile_dpbf16ps(r, 4, 6); \
    }
        UNSPOOL_EACH(UNSPOOL_DO)
#undef UNSPOOL_DO
        if (parts == 1) continue;
        UNSPOOL_LOAD_B(7, 0, 1);
        UNSPOOL_LOAD_B(6, 0, 0);
#define UNSPOOL_DO(r)           \
    {                           \
        UNSPOOL_LOAD_A(4, r, 0); \
        UNSPOOL_LOAD_A(5, r, 1); \
        _tile_dpbf16ps(r, 4, 7); \
        _tile_dpbf16ps(r, 5, 7); \
        _tile_dpbf16ps(r, 5, 6); \
        _tile_dpbf16ps(r, 4, 6); \
        UNSPOOL_LOAD_A(5, r, 2); \
        _tile_dpbf16ps(r, 5, 6); \
    }
        UNSPOOL_EACH(UNSPOOL_DO)
#undef UNSPOOL_DO
    }
#define UNSPOOL_DO(r) UNSPOOL_FINISH(r, r, 0);
    UNSPOOL_EACH(UNSPOOL_DO)
#undef UNSPOOL_DO
#undef UNSPOOL_EACH
}
#undef UNSPOOL_LOAD_A
#undef UNSPOOL_LOAD_B
#undef UNSPOOL_START
#undef UNSPOOL_FINISH

inline void multiply_in_row(const HalfProduct& p, int64_t row, int64_t blocks) {
    int64_t block = 0;
    for (; block + 4 <= blocks; block += 4) multiply_row<4>(p, row, block);
    if (blocks - block == 3) multiply_row<3>(p, row, block);
    if (blocks - block == 2) multiply_row<2>(p, row, block);
    if (blocks - block == 1) multiply_row<1>(p, row, block);
}

inline void multiply_in_column(const HalfProduct& p, int64_t block) {
    const int64_t rows = p.rows, height = p.height;
    int64_t row = 0;
    for (; row + 4 * height <= rows; row += 4 * height) multiply_column<4>(p, row, block);
    if (rows - row == 3 * height) multiply_column<3>(p, row, block);
    if (rows - row == 2 * height) multiply_column<2>(p, row, block);
    if (rows - row == height) multiply_column<1>(p, row, block);
}

inline void multiply(const HalfProduct& p, int64_t blocks) {
    if (p.rows == p.height) return multiply_in_row(p, 0, blocks);
    const int64_t pairs = p.rows / (2 * p.height) * 2 * p.height;  // rows of tiles that make pairs
    for (int64_t block = 0; block + 2 <= blocks; block += 2)
        for (int64_t k = 0; k < p.depth; k += 128) {
            HalfProduct part = p;
            part.a += k * parts;
            part.b += k * 16 * parts;
            part.depth = p.depth - k < 128 ? p.depth - k : 128;
            part.add = p.add || k > 0;
            for (int64_t row = 0; row < pairs; row += 2 * p.height)
                multiply_square(part, row, block);
        }
    if (pairs < p.rows) multiply_in_row(p, pairs, blocks / 2 * 2);
    if (blocks % 2 != 0) multiply_in_column(p, blocks - 1);
}

#else

constexpr int64_t tile_height(int64_t) { return 1; }

struct Tiles {  // nothing to set
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
