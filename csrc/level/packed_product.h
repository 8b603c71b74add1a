// Products with a matrix that was packed before, for many of them.
#pragma once

#include "backward.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

#if defined(UNSPOOL_BF16)

inline int64_t product_block(int64_t depth) { return depth32(depth) * 16 * parts; }
inline int64_t product_blocks(int64_t columns) { return vectors(columns); }
inline int64_t product_panels(int64_t depth, int64_t columns) {
    return product_blocks(columns) * product_block(depth) / 2;
}

inline void pack_product(const Matrix<const float>& weight, bool transpose, int64_t depth,
                         int64_t columns, int64_t begin, int64_t end, float* panels) {
    for (int64_t v = begin; v < end; ++v) {
        Bfloat16* const to = reinterpret_cast<Bfloat16*>(panels) + v * product_block(depth);
        const int64_t column = v * W, rest = columns - column;
        if (transpose) {
            pack_columns(weight.row(column), weight.stride, rest, depth, to);
            continue;
        }
        auto row = [&](int64_t k) {
            return k < depth ? load_first(weight.row(k) + column, rest) : Vec{};
        };
        for (int64_t k = 0; k < depth32(depth); k += 2) store_pairs(to, k, {row(k), row(k + 1)});
    }
}

inline int64_t rounded_rows(int64_t rows, int64_t depth) {
    return whole_tiles(rows) * row_stride(depth32(depth)) / 2;
}

inline void round_rows(const PackedProduct& job, int64_t begin, int64_t end) {
    const int64_t padded = depth32(job.depth), stride = row_stride(padded);
    for (int64_t i = begin; i < end; ++i)
        round_row(job.input.row(i), job.depth, reinterpret_cast<Bfloat16*>(job.rounded) + i * stride,
                  padded);
}

constexpr int64_t blocks_at_once = 4;  // whose sums stay in the first cache until they are added

inline int64_t packed_product_scratch(int64_t rows) {
    return whole_tiles(rows) * blocks_at_once * W;
}

inline void multiply_packed(const PackedProduct& job, int64_t begin, int64_t end, float* sums) {
    constexpr int64_t width = blocks_at_once * W;
    const int64_t height = tile_height(job.rows), depth = depth32(job.depth);
    const Tiles tiles(height);
    for (int64_t block = begin; block < end; block += blocks_at_once) {
        const int64_t blocks = end - block < blocks_at_once ? end - block : blocks_at_once;
        multiply({reinterpret_cast<const Bfloat16*>(job.rounded), row_stride(depth),
                  padded(job.rows, height), depth,
                  reinterpret_cast<const Bfloat16*>(job.panels) + block * product_block(depth),
                  product_block(depth), sums, width, false, height},
                 blocks);
        for (int64_t i = 0; i < job.rows; ++i)
            for (int64_t b = 0; b < blocks; ++b) {
                const int64_t column = (block + b) * W, rest = job.columns - column;
                Vec sum = load(sums + i * width + b * W);
                if (job.added) sum += load_first(job.added.row(i) + column, rest);
                store_first(job.output.row(i) + column, sum, rest);
            }
    }
}

#else

// A block is a panel of four vectors.
inline int64_t product_blocks(int64_t columns) { return (vectors(columns) + 3) / 4; }
inline int64_t product_panels(int64_t depth, int64_t columns) { return vectors(columns) * W * depth; }

inline void pack_product(const Matrix<const float>& weight, bool transposed, int64_t depth,
                         int64_t columns, int64_t begin, int64_t end, float* panels) {
    const int64_t all = vectors(columns);
    for (int64_t v = begin * 4; v < end * 4 && v < all; ++v) {
        const Column place = column_of(v, all, depth);
        const int64_t column = v * W, rest = columns - column;
        if (transposed) {
            transpose(weight.row(column), weight.stride, rest, depth, panels + place.offset,
                      place.stride);
            continue;
        }
        for (int64_t k = 0; k < depth; ++k)
            store(panels + place.offset + k * place.stride, load_first(weight.row(k) + column, rest));
    }
}

struct PackedProductScratch {
    const float** rows;
    float** to;

    PackedProductScratch(Allocator& memory, int64_t count) {
        rows = memory.array<const float*>(count);
        to = memory.array<float*>(count);
    }
};

inline int64_t packed_product_scratch(int64_t rows) {
    Allocator memory(nullptr);
    PackedProductScratch(memory, rows);
    return memory.used(nullptr);
}

inline void multiply_packed(const PackedProduct& job, int64_t begin, int64_t end, float* scratch) {
    const int64_t from = begin * 4 * W, to = end * 4 * W < job.columns ? end * 4 * W : job.columns;
    if (from >= to) return;
    Allocator memory(scratch);
    const PackedProductScratch place(memory, job.rows);
    for (int64_t i = 0; i < job.rows; ++i) {
        place.rows[i] = job.input.row(i);
        place.to[i] = job.output.row(i) + from;
        if (job.added) copy(job.added.row(i) + from, place.to[i], to - from, to - from);
    }
    multiply({place.rows, place.to, job.panels + from * job.depth, to - from, job.depth, 1, 0,
              bool(job.added)},
             job.rows);
}

#endif

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
