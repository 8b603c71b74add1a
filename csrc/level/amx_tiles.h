// The products on AMX, whose tiles hold 16 rows of 16 sums, or of 32 numbers to be multiplied.
#pragma once

#include <utility>

#include "half_product.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

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

// ------------------------------------------------------------------ instructions

// The compiler's own take a tile's number only as it is written, and not as an argument of a template.
// Strides are in bytes.

template <int tile>
UNSPOOL_INLINE void load_tile(const void* from, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
UNSPOOL_INLINE void store_tile(void* to, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
UNSPOOL_INLINE void zero_tile() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(tile));
}
template <int c, int a, int b>  // c += a · b
UNSPOOL_INLINE void multiply_tiles() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
}

// ------------------------------------------------------------------ shapes of a product

// Calls run(0), …, run(count − 1) with constants.
template <class Run, int... i>
UNSPOOL_INLINE void for_each_of(std::integer_sequence<int, i...>, const Run& run) {
    (run(std::integral_constant<int, i>{}), ...);
}
template <int count, class Run>
UNSPOOL_INLINE void for_each(const Run& run) {
    for_each_of(std::make_integer_sequence<int, count>{}, run);
}

// Where tiles of a product lie: the i-th from some row and block of columns on.
class TilesAt {
  public:
    TilesAt(const HalfProduct& p, int64_t row, int64_t block)
        : a_(p.a + row * p.a_stride),
          b_(p.b + block * p.b_stride),
          c_(p.c + row * p.c_stride + block * 16),
          a_stride_(p.a_stride),
          b_stride_(p.b_stride),
          c_stride_(p.c_stride),
          height_(p.height),
          add_(p.add) {}

    template <int tile>
    UNSPOOL_INLINE void load_a(int64_t i, int part) const {
        load_tile<tile>(a_ + i * height_ * a_stride_ + part * 32, a_stride_ * 2);
    }
    template <int tile>
    UNSPOOL_INLINE void load_b(int64_t block, int part) const {
        load_tile<tile>(b_ + block * b_stride_ + part * 512, 64);
    }
    template <int tile>
    UNSPOOL_INLINE void start(int64_t i, int64_t block) const {
        add_ ? load_tile<tile>(sums(i, block), c_stride_ * 4) : zero_tile<tile>();
    }
    template <int tile>
    UNSPOOL_INLINE void finish(int64_t i, int64_t block) const {
        store_tile<tile>(sums(i, block), c_stride_ * 4);
    }
    UNSPOOL_INLINE void advance() {  // by 32 of the numbers that are summed over
        a_ += 32 * parts;
        b_ += 512 * parts;
    }

  private:
    float* sums(int64_t i, int64_t block) const {
        return c_ + i * height_ * c_stride_ + block * 16;
    }

    const Bfloat16 *a_, *b_;
    float* c_;
    int64_t a_stride_, b_stride_, c_stride_, height_;
    bool add_;
};

// Whatever shape a sum is part of, its products of parts come in one order, which gives the same bits:
// x₀y₂, x₀y₁, x₁y₁, x₁y₀, x₀y₀, x₂y₀. One side alone changes from each to the next.

// Two tiles of rows and two blocks of columns.
inline void multiply_square(const HalfProduct& p, int64_t row, int64_t block) {
    TilesAt at(p, row, block);
    at.start<0>(0, 0);
    at.start<1>(0, 1);
    at.start<2>(1, 0);
    at.start<3>(1, 1);
    auto load_a = [&](int part) {
        at.load_a<4>(0, part);
        at.load_a<5>(1, part);
    };
    auto load_b = [&](int part) {
        at.load_b<6>(0, part);
        at.load_b<7>(1, part);
    };
    auto multiply = [] {
        multiply_tiles<0, 4, 6>();
        multiply_tiles<1, 4, 7>();
        multiply_tiles<2, 5, 6>();
        multiply_tiles<3, 5, 7>();
    };
#pragma GCC unroll 1  // more steps at once would leave no registers for the addresses
    for (int64_t k = 0; k < p.depth; k += 32, at.advance()) {
        load_a(0), load_b(parts - 1), multiply();
        if (parts == 1) continue;
        load_b(1), multiply();
        load_a(1), multiply();
        load_b(0), multiply();
        load_a(0), multiply();
        load_a(2), multiply();
    }
    at.finish<0>(0, 0);
    at.finish<1>(0, 1);
    at.finish<2>(1, 0);
    at.finish<3>(1, 1);
}

// One tile of rows and V blocks of columns: sums enough for none to wait for the product before.
template <int V>
inline void multiply_row(const HalfProduct& p, int64_t row, int64_t block) {
    TilesAt at(p, row, block);
    for_each<V>([&](auto v) { at.start<v>(0, v); });
    for (int64_t k = 0; k < p.depth; k += 32, at.advance()) {
        if constexpr (parts == 1) {
            at.load_a<5>(0, 0);
        } else {
            at.load_a<4>(0, 0);
            at.load_a<5>(0, 1);
            for_each<V>([&](auto v) {
                at.load_b<6>(v, 2);
                multiply_tiles<v, 4, 6>();
                at.load_b<7>(v, 1);
                multiply_tiles<v, 4, 7>();
                multiply_tiles<v, 5, 7>();
            });
            for_each<V>([&](auto v) {
                at.load_b<6>(v, 0);
                multiply_tiles<v, 5, 6>();
                multiply_tiles<v, 4, 6>();
            });
            at.load_a<5>(0, 2);
        }
        for_each<V>([&](auto v) {
            at.load_b<7>(v, 0);
            multiply_tiles<v, 5, 7>();
        });
    }
    for_each<V>([&](auto v) { at.finish<v>(0, v); });
}

// The same the other way: R tiles of rows and one block of columns.
template <int R>
inline void multiply_column(const HalfProduct& p, int64_t row, int64_t block) {
    TilesAt at(p, row, block);
    for_each<R>([&](auto r) { at.start<r>(r, 0); });
    for (int64_t k = 0; k < p.depth; k += 32, at.advance()) {
        at.load_b<6>(0, parts - 1);
        for_each<R>([&](auto r) {
            at.load_a<4>(r, 0);
            multiply_tiles<r, 4, 6>();
        });
        if constexpr (parts > 1) {
            at.load_b<7>(0, 1);
            at.load_b<6>(0, 0);
            for_each<R>([&](auto r) {
                at.load_a<4>(r, 0);
                at.load_a<5>(r, 1);
                multiply_tiles<r, 4, 7>();
                multiply_tiles<r, 5, 7>();
                multiply_tiles<r, 5, 6>();
                multiply_tiles<r, 4, 6>();
                at.load_a<5>(r, 2);
                multiply_tiles<r, 5, 6>();
            });
        }
    }
    for_each<R>([&](auto r) { at.finish<r>(r, 0); });
}

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

// Two blocks of columns and pairs of tiles, of which `rows` rows consist. So few of B's numbers at a time
// that they stay in the first cache while all rows are multiplied by them.
inline void multiply_in_squares(const HalfProduct& p, int64_t rows, int64_t block) {
    constexpr int64_t most = 128;  // numbers of a column
    for (int64_t k = 0; k < p.depth; k += most) {
        HalfProduct part = p;
        part.a += k * parts;
        part.b += k * 16 * parts;
        part.depth = p.depth - k < most ? p.depth - k : most;
        part.add = p.add || k > 0;
        for (int64_t row = 0; row < rows; row += 2 * p.height) multiply_square(part, row, block);
    }
}

inline void multiply(const HalfProduct& p, int64_t blocks) {
    if (p.rows == p.height) return multiply_in_row(p, 0, blocks);
    const int64_t in_pairs = p.rows / (2 * p.height) * 2 * p.height;
    for (int64_t block = 0; block + 2 <= blocks; block += 2) multiply_in_squares(p, in_pairs, block);
    if (in_pairs < p.rows) multiply_in_row(p, in_pairs, blocks / 2 * 2);
    if (blocks % 2 != 0) multiply_in_column(p, blocks - 1);
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
