// Matrix products of bfloat16 numbers with sums in single precision.
#pragma once

#include "bfloat16.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

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

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool

#if UNSPOOL_BF16 == 2
#include "amx_tiles.h"
#else
#include "dot_product.h"
#endif
