// Back-propagation through time: one layer in one direction, from the last of its steps to the
// first (Werbos 1990), and the gradient of its input.
#pragma once

#include "forward.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

#if defined(UNSPOOL_BF16)
constexpr int64_t highest_tile = whole_tiles(1);
#else
constexpr int64_t highest_tile = 1;  // there are none
#endif

// to = (to, where `add` says so) + rows · panels, R rows and V vectors of the columns.
struct Product {
    const float* const* rows;
    float* const* to;
    const float* panels;
    int64_t columns;
    int64_t length, runs, stride;  // of a row; see accumulate
    bool add;
    // Rows that are read after the product, those of neighbours side by side; null where the next
    // panel is to be asked for instead.
    const float* const* ahead = nullptr;
    float* scratch = nullptr;  // product_scratch(...) floats
    int64_t tile_height = highest_tile;

    template <int V>
    struct Tile {
        const Product& p;
        int64_t column;

        template <int R>
        UNSPOOL_APART void run(int64_t first, int64_t i) const {
            Vec sums[R][V]{};
            const Panel<V> panel{p.panels + column * p.length * p.runs, p.length * p.runs};
            Ahead ahead = ask(panel.data, first, i);
            if (p.add)
                for_each_sum(sums, [&](int r, int v, Vec& sum) {
                    sum = load_first(at(first + r, v), rest(v));
                });
            accumulate(sums, p.rows + first, panel, ahead, p.length, p.runs, p.stride);
            for_each_sum(sums, [&](int r, int v, Vec sum) {
                store_first(at(first + r, v), sum, rest(v));
            });
        }

        UNSPOOL_INLINE float* at(int64_t row, int v) const { return p.to[row] + column + v * W; }
        UNSPOOL_INLINE int64_t rest(int v) const { return p.columns - column - v * W; }

        UNSPOOL_INLINE Ahead ask(const float* panel, int64_t first, int64_t i) const {
            const int64_t length = p.length * p.runs, size = length * V * W;
            if (p.ahead && column == 0) return {p.ahead[first], Ahead::line};
            const float* next = column + V * W < p.columns ? panel + size : p.panels;
            return Ahead::part(next, size, length, i);
        }
    };
};

#if defined(UNSPOOL_BF16)

struct ProductScratch {
    Bfloat16* rows;
    float* sums;

    ProductScratch(Allocator& memory, int64_t depth, int64_t columns, int64_t count) {
        rows = memory.array<Bfloat16>(whole_tiles(count) * row_stride(depth32(depth)));
        sums = memory.floats(whole_tiles(count) * vectors(columns) * W);
    }
};

inline int64_t product_scratch(int64_t depth, int64_t columns, int64_t count) {
    Allocator memory(nullptr);
    ProductScratch(memory, depth, columns, count);
    return memory.used(nullptr);
}

// Rounds the runs [begin, end) of a row, and zeros what its last tile has beyond the last of them.
inline void round_runs(const Product& p, const float* row, int64_t begin, int64_t end,
                       Bfloat16* to) {
    for (int64_t run = begin; run < end; ++run)
        for (int64_t k = 0; k < p.length; k += W)
            store_halves(to, run * p.length + k, load(row + run * p.stride + k));
    const int64_t depth = p.length * p.runs;
    if (end == p.runs)
        for (int64_t k = depth; k < depth32(depth); k += W) store_halves(to, k, Vec{});
}

// With rows that are rounded; `sums` has a place for each number.
inline void multiply_rounded(const Product& p, const Bfloat16* rows, float* sums, int64_t count) {
    const int64_t depth = depth32(p.length * p.runs), blocks = vectors(p.columns);
    const int64_t width = blocks * W;
    multiply({rows, row_stride(depth), padded(count, p.tile_height), depth,
              reinterpret_cast<const Bfloat16*>(p.panels), depth * 16 * parts, sums, width, false,
              p.tile_height},
             blocks);
    for (int64_t i = 0; i < count; ++i)
        for (int64_t column = 0; column < p.columns; column += W) {
            Vec sum = load(sums + i * width + column);
            if (p.add) sum += load_first(p.to[i] + column, p.columns - column);
            store_first(p.to[i] + column, sum, p.columns - column);
        }
}

inline void multiply(const Product& p, int64_t count) {
    Allocator memory(p.scratch);
    const ProductScratch scratch(memory, p.length * p.runs, p.columns, count);
    const int64_t stride = row_stride(depth32(p.length * p.runs));
    for (int64_t i = 0; i < count; ++i)
        round_runs(p, p.rows[i], 0, p.runs, scratch.rows + i * stride);
    multiply_rounded(p, scratch.rows, scratch.sums, count);
}

#else

inline int64_t product_scratch(int64_t, int64_t, int64_t) { return 0; }

struct ProductPanels {
    const Product& product;
    int64_t count;

    template <int V>
    UNSPOOL_INLINE void run(int64_t vector) const {
        for_each_tile<tile_rows(V)>(count, Product::Tile<V>{product, vector * W});
    }
};

inline void multiply(const Product& product, int64_t count) {
    for_each_panel(product.columns, count, ProductPanels{product, count});
}

#endif

// The part of a row of gate gradients that belongs to a product: all of it, or in a GRU three of
// every four vectors.
struct Run {
    int64_t first, length, runs, stride;
};
inline Run run_of(Cell cell, Side side, int64_t H) {
    const int64_t n = vectors(H) * W;
    if (cell == Cell::gru) return {first_slot(cell, side) * W, 3 * W, vectors(H), 4 * W};
#if defined(UNSPOOL_BF16)  // which rounds them by vectors of units
    return {0, gates_of(cell) * W, vectors(H), gates_of(cell) * W};
#endif
    return {0, gates_of(cell) * n, 1, 0};
}

// A step back of all sequences that run at it. The gradient of h, d_h, is what came from the step
// after; it is replaced by what goes to the step before.
struct BackwardStep {
    const Backward& job;
    int64_t Hp;

    // What is needed of one sequence.
    struct Row {
        const float* d_output;       // null for zeros
        const float* saved;
        const float* c;              // after the step (LSTM)
        const float* c_before;       // among what the step before saved (LSTM), or
        const float* before;         // c before the first step (LSTM), h (GRU); null for zeros
        const float* output;         // h after the step (RNN)
        float *d_gates, *d_h, *d_c;
    };

    template <class C>
    UNSPOOL_INLINE void gates(const Row& row, int64_t begin, int64_t end) const {
        for (int64_t u = begin; u < end; u += W) {
            Vec d_h = load(row.d_h + u);
            if (row.d_output) d_h += load_first(row.d_output + u, job.H - u);
            if constexpr (C::cell == Cell::lstm) {
                const Vec before = row.c_before ? load(row.c_before + u)
                                   : row.before ? load_first(row.before + u, job.H - u)
                                                : Vec{};
                const Vec d_c = Lstm::backward(row.saved + 4 * u, load(row.c + u), before, d_h,
                                               load(row.d_c + u), row.d_gates + 4 * u);
                store(row.d_c + u, d_c);
            } else if constexpr (C::cell == Cell::gru) {
                const Vec before = row.before ? load_first(row.before + u, job.H - u) : Vec{};
                store(row.d_h + u,
                      Gru::backward(row.saved + 4 * u, before, d_h, row.d_gates + 4 * u));
            } else {
                store(row.d_gates + u, C::backward(load_first(row.output + u, job.H - u), d_h));
            }
        }
    }
};

// What the threads share that divide the units.
struct SharedGradients {
    float* d_h;
#if defined(UNSPOOL_BF16)
    Bfloat16* half[2];  // rows of the gates' gradients of a step and the one before, rounded
#endif

    SharedGradients(Allocator& memory, Cell cell, int64_t H, int64_t sequences) {
        const int64_t Hp = vectors(H) * W;
        d_h = memory.floats(sequences * Hp);
#if defined(UNSPOOL_BF16)
        for (auto& rows : half)
            rows = memory.array<Bfloat16>(whole_tiles(sequences) *
                                          row_stride(depth32(gates_of(cell) * Hp)));
#else
        (void)cell;
#endif
    }
};

inline int64_t shared_size(Cell cell, int64_t K, int64_t H, int64_t sequences) {
    Allocator forward(nullptr), backward(nullptr);
    SharedStates(forward, K, H, sequences);
    SharedGradients(backward, cell, H, sequences);
    const int64_t one = forward.used(nullptr), other = backward.used(nullptr);
    return one > other ? one : other;
}

struct BackwardScratch {
    float* d_c;
    const float **d_gates, **ahead;
    float** to;
#if defined(UNSPOOL_BF16)
    float* sums;
#endif

    BackwardScratch(Allocator& memory, Cell cell, int64_t H, int64_t sequences) {
        const int64_t Hp = vectors(H) * W;
        d_c = memory.floats(cell == Cell::lstm ? sequences * Hp : 0);
        d_gates = memory.array<const float*>(sequences);
        ahead = memory.array<const float*>(sequences);
        to = memory.array<float*>(sequences);
#if defined(UNSPOOL_BF16)
        sums = memory.floats(whole_tiles(sequences) * Hp);
#endif
    }
};

inline int64_t backward_scratch(Cell cell, int64_t H, int64_t sequences) {
    Allocator memory(nullptr);
    BackwardScratch(memory, cell, H, sequences);
    SharedGradients(memory, cell, H, sequences);
    return memory.used(nullptr);
}

template <class C>
void backward_as(const Backward& job) {
    const Sequences& sequences = job.sequences;
    const int64_t H = job.H, Hp = vectors(H) * W, n = sequences.count;
    constexpr bool lstm = C::cell == Cell::lstm, gru = C::cell == Cell::gru, saves = lstm || gru;
    Allocator memory(job.scratch);
    const BackwardScratch scratch(memory, job.cell, H, n);
    Allocator shared_memory(job.units.shared);
    const SharedGradients shared(job.units.shared ? shared_memory : memory, job.cell, H, n);
    const Run run = run_of(job.cell, Side::state, H);
    const BackwardStep step{job, Hp};
    // Panels of the columns from the first unit of this thread on.
#if defined(UNSPOOL_BF16)
    const int64_t half_depth = depth32(run.length * run.runs);
    const float* const panels = job.panels + job.units.begin * half_depth * 16 * parts / 2;
    const int64_t height = tile_height(n);
    const Tiles tiles(height);
#else
    const float* const panels = job.panels + job.units.begin * W * run.length * run.runs;
    constexpr int64_t height = highest_tile;
#endif

    float* const d_h = shared.d_h;
    const int64_t longest = n > 0 ? sequences.length[0] : 0;
    // Units of this thread: [begin, end), of which `mine` are more than padding.
    const int64_t begin = job.units.wait ? job.units.begin * W : 0;
    const int64_t end = job.units.wait ? job.units.end * W : Hp;
    const int64_t mine = (end < H ? end : H) - begin;
    if (mine <= 0) {  // nothing but to keep step with the others
        for (int64_t s = 0; s < longest; ++s) job.units.wait();
        return;
    }
    auto final = [&](const float* gradient, int64_t i) {
        return gradient ? gradient + sequences.index[i] * H + begin : nullptr;
    };
    for (int64_t i = 0; i < n; ++i) {
        copy(final(job.d_h_n, i), d_h + i * Hp + begin, mine, end - begin);
        if (lstm) copy(final(job.d_c_n, i), scratch.d_c + i * Hp + begin, mine, end - begin);
        scratch.to[i] = d_h + i * Hp + begin;
    }
    int64_t active = 0;
    for (int64_t s = longest - 1; s >= 0; --s) {
        while (active < n && sequences.length[active] > s) ++active;
        for (int64_t i = 0; i < active; ++i) {
            const int64_t b = sequences.index[i], length = sequences.length[i];
            const int64_t t = position(job.reverse, length, s);
            const int64_t t_before = position(job.reverse, length, s - 1);
            BackwardStep::Row row{};
            row.d_output = job.d_output ? job.d_output.at(b, t) : nullptr;
            row.d_gates = job.d_gates.at(b, t);
            row.d_h = d_h + i * Hp;
            if constexpr (lstm) {
                row.saved = job.saved.at(b, t);
                row.d_c = scratch.d_c + i * Hp;
                row.c = row.saved + 4 * Hp;
                row.c_before = s > 0 ? job.saved.at(b, t_before) + 4 * Hp : nullptr;
                row.before = s == 0 && job.c0 ? job.c0 + b * H : nullptr;
            } else if constexpr (gru) {
                row.saved = job.saved.at(b, t);
                row.before = s > 0 ? job.output.at(b, t_before) : job.h0 ? job.h0 + b * H : nullptr;
            } else {
                row.output = job.output.at(b, t);
            }
            step.gates<C>(row, begin, begin + mine);
            scratch.d_gates[i] = row.d_gates + run.first;
            if (saves && s > 0)
                scratch.ahead[i] = job.saved.at(b, t_before) + 4 * begin;
        }
        const Product product{scratch.d_gates,
                              scratch.to,
                              panels,
                              end - begin,
                              run.length,
                              run.runs,
                              run.stride,
                              gru,
                              saves && s > 0 ? scratch.ahead : nullptr,
                              nullptr,
                              height};
#if defined(UNSPOOL_BF16)
        Bfloat16* const rows = shared.half[s % 2];
        for (int64_t i = 0; i < active; ++i)
            round_runs(product, scratch.d_gates[i], begin / W, end / W,
                       rows + i * row_stride(half_depth));
#endif
        if (job.units.wait) job.units.wait();
        if (s == 0 && !job.d_h0) continue;
#if defined(UNSPOOL_BF16)
        multiply_rounded(product, rows, scratch.sums, active);
#else
        multiply(product, active);
#endif
    }
    for (int64_t i = 0; i < n; ++i) {
        const int64_t to = sequences.index[i] * H + begin, from = i * Hp + begin;
        if (job.d_h0) copy(d_h + from, job.d_h0 + to, mine, mine);
        if (lstm && job.d_c0) copy(scratch.d_c + from, job.d_c0 + to, mine, mine);
    }
}

inline void backward(const Backward& job) {
    switch (job.cell) {
        case Cell::rnn_tanh: return backward_as<RnnTanh>(job);
        case Cell::rnn_relu: return backward_as<RnnRelu>(job);
        case Cell::lstm: return backward_as<Lstm>(job);
        case Cell::gru: return backward_as<Gru>(job);
    }
}

// As many rows at a time as let their gate gradients stay in the cache for all panels.
constexpr int64_t rows_at_a_time = 96;

inline int64_t input_gradient_scratch(Cell cell, int64_t K, int64_t H) {
    return product_scratch(gates_of(cell) * vectors(H) * W, K, rows_at_a_time);
}

inline void input_gradient(const InputGradient& job) {
    constexpr int64_t most = rows_at_a_time;
#if defined(UNSPOOL_BF16)
    const Tiles tiles;
#endif
    const float* rows[most];
    float* to[most];
    const uint8_t* mask[most];
    const Run run = run_of(job.cell, Side::input, job.H);
    int64_t count = 0;
    auto flush = [&] {
        multiply({rows, to, job.panels, job.K, run.length, run.runs, run.stride, job.add, nullptr,
                  job.scratch},
                 count);
        if (job.mask)
            for (int64_t i = 0; i < count; ++i) drop(to[i], mask[i], job.scale, to[i], job.K);
        count = 0;
    };
    const Sequences& sequences = job.sequences;
    int64_t active = sequences.count;
    for (int64_t t = job.begin; t < job.end; ++t) {
        active = active_at(sequences, t, active);
        for (int64_t i = 0; i < active; ++i) {
            const int64_t b = sequences.index[i];
            rows[count] = job.d_gates.at(b, t) + run.first;
            to[count] = job.d_input.at(b, t);
            if (job.mask) mask[count] = job.mask.at(b, t);
            if (++count == most) flush();
        }
        if (job.pad)
            for (int64_t i = active; i < sequences.count; ++i)
                zero(job.d_input.at(sequences.index[i], t), job.K);
    }
    flush();
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
