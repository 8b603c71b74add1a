// Matrix products held in registers: a tile of R rows by V vectors, summed over k.
#pragma once

#include "vector.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// Sums that registers hold: 24 of the 32 that AVX-512 and NEON have, 12 of AVX2's and SSE's 16. With 12 a
// step of k has 12 multiplications and as many other instructions; four steps a round have fewer. A core
// whose other thread is at work as well issues half as many a cycle for either, and then that is what a
// product waits for.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int most_sums = 24;
#define UNSPOOL_ROUND
#else
constexpr int most_sums = 12;
#define UNSPOOL_ROUND _Pragma("GCC unroll 4")
#endif

// A panel is V vectors wide, packed in strips, each of which is [rows][strip_width(V)][W] and a panel as
// well. Four vectors would fill 12 registers with sums of three rows, and use them badly with two; a strip
// takes six.
constexpr int strip_width(int V) { return V == 4 && most_sums == 12 ? 2 : V; }

template <int V>
struct Panel {
    const float* data;
    int64_t rows;

    static constexpr int width = strip_width(V);
    static constexpr int strips = V / width;

    UNSPOOL_INLINE Panel from(int64_t row) const { return {data + row * width * W, rows}; }
    UNSPOOL_INLINE Panel<width> strip(int s) const { return {data + s * rows * width * W, rows}; }
};

// Rows of a tile that is V vectors wide.
constexpr int tile_rows(int V) { return most_sums / V < 8 ? most_sums / V : 8; }

// Memory that is needed soon: a cache line of it is asked for at each k of a sum. Sums that ask for
// nothing have a loop of their own, with two instructions less.
struct Ahead {
    const float* next = nullptr;
    int64_t step = 0;

    static constexpr int64_t line = 16;  // floats

    UNSPOOL_INLINE bool asks() const { return step != 0; }
    UNSPOOL_INLINE void ask() {
        __builtin_prefetch(next, 0, 2);
        next += step;
    }

    // The i-th part of `count` floats that several tiles ask for, each `length` lines long; nothing
    // where the tiles before have asked for all.
    static UNSPOOL_INLINE Ahead part(const float* from, int64_t count, int64_t length, int64_t i) {
        if ((i + 1) * length * line <= count) return {from + i * length * line, line};
        return {};
    }
};

struct NothingAhead {
    UNSPOOL_INLINE bool asks() const { return false; }
    UNSPOOL_INLINE void ask() {}
};

// Calls visit(r, v, sum) for each sum of a tile.
template <int R, int V, class Visit>
UNSPOOL_INLINE void for_each_sum(Vec (&acc)[R][V], const Visit& visit) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) visit(r, v, acc[r][v]);
}

template <int R, int V, class Next>
UNSPOOL_INLINE void accumulate_asking(Vec (&acc)[R][V], const float* const* rows,
                                      const Panel<V>& panel, Next&& ahead, int64_t length,
                                      int64_t runs, int64_t stride) {
    const float* row[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) row[r] = rows[r];
    constexpr int width = Panel<V>::width;
    const float* strip = panel.data;
    const int64_t apart = panel.rows * width * W;
    int64_t k = 0;
    for (int64_t run = 0; run < runs; ++run) {
        // Hides where k comes from: the compiler would keep a pointer for each row instead of one
        // index for all, and has not registers enough.
        __asm__("" : "+r"(k));
        UNSPOOL_ROUND
        for (const int64_t end = k + length; k < end; ++k) {
            Vec w[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) w[v] = load(strip + v / width * apart + v % width * W);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                const Vec x = broadcast(row[r][k]);
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) acc[r][v] += x * w[v];
            }
            strip += width * W;
            ahead.ask();
        }
        k += stride - length;
    }
}

// acc[r][v] += Σ_k rows[r][k] · panel[k][v], where a row consists of `runs` runs of `length` floats, each
// `stride` after the one before.
template <int R, int V, class Next>
UNSPOOL_INLINE void accumulate(Vec (&acc)[R][V], const float* const* rows, const Panel<V>& panel,
                               Next&& ahead, int64_t length, int64_t runs = 1, int64_t stride = 0) {
    if (ahead.asks())
        accumulate_asking(acc, rows, panel, ahead, length, runs, stride);
    else
        accumulate_asking(acc, rows, panel, NothingAhead{}, length, runs, stride);
}

// acc[r][v] += Σ_n columns[n · stride + r] · panel[n][v], n from 0 to `count`: the same where what stands
// in a row above stands in a column, and so a sum of outer products.
template <int R, int V>
UNSPOOL_INLINE void accumulate_columns(Vec (&acc)[R][V], const float* columns, int64_t stride,
                                       const Panel<V>& panel, int64_t count) {
    constexpr int width = Panel<V>::width;
    const float* strip = panel.data;
    const int64_t apart = panel.rows * width * W;
    UNSPOOL_ROUND
    for (int64_t n = 0; n < count; ++n, columns += stride, strip += width * W) {
        Vec w[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) w[v] = load(strip + v / width * apart + v % width * W);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const Vec x = broadcast(columns[r]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[r][v] += x * w[v];
        }
    }
}

// Splits `count` rows into tiles of at most `most`, as even as possible, and calls
// tile.run<R>(first, i) for the i-th of them.
template <int R, class Tile>
UNSPOOL_INLINE void call_tile(int64_t rows, int64_t first, int64_t i, const Tile& tile) {
    if (rows == R) {
        tile.template run<R>(first, i);
    } else if constexpr (R > 1) {
        call_tile<R - 1>(rows, first, i, tile);
    }
}
template <int Most, class Tile>
UNSPOOL_INLINE void for_each_tile(int64_t count, const Tile& tile) {
    const int64_t tiles = (count + Most - 1) / Most;
    int64_t first = 0;
    for (int64_t i = 0; i < tiles; ++i) {
        const int64_t rows = (count - first) / (tiles - i) + ((count - first) % (tiles - i) != 0);
        call_tile<Most>(rows, first, i, tile);
        first += rows;
    }
}

// How many vectors hold `count` floats.
constexpr int64_t vectors(int64_t count) { return (count + W - 1) / W; }

// A product's columns are cut into panels of four vectors; the last one may be narrower. Calls
// panel.run<V>(first vector) for each, or for each strip where a tile of the whole has not all rows.
template <class Panel>
UNSPOOL_INLINE void for_each_panel(int64_t columns, int64_t rows, const Panel& panel) {
    constexpr int strip = strip_width(4);
    const int64_t n = vectors(columns), whole = n / 4 * 4;
    int64_t v = 0;
    if (rows > tile_rows(4))
        for (; v < whole; v += strip) panel.template run<strip>(v);
    for (; v < whole; v += 4) panel.template run<4>(v);
    if (n - v == 3) panel.template run<3>(v);
    if (n - v == 2) panel.template run<2>(v);
    if (n - v == 1) panel.template run<1>(v);
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
