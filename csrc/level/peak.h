// What a core can do at most: multiply-adds of numbers that never leave the registers.
#pragma once

#include "product.h"
#if defined(UNSPOOL_BF16)
#include "half_product.h"
#endif

namespace unspool {
namespace UNSPOOL_LEVEL {

// Hides what a register holds, lest the compiler compute less than is asked for.
UNSPOOL_INLINE void hide(Vec& x) {
#if defined(__aarch64__)
    __asm__ volatile("" : "+w"(x));
#else
    __asm__ volatile("" : "+x"(x));
#endif
}

// Works for some rounds; returns how many floating-point operations these were.
inline int64_t multiply_add(int64_t rounds) {
#if defined(UNSPOOL_BF16) && UNSPOOL_BF16 == 2
    const Tiles tiles;
    alignas(64) const Bfloat16 zeros[16 * 32] = {};
    alignas(64) float sums[16 * 16];
    load_tile<4>(zeros, 64);
    load_tile<6>(zeros, 64);
    for_each<4>([](auto tile) { zero_tile<tile>(); });
    for (int64_t i = 0; i < rounds; ++i)
        for_each<4>([](auto tile) { multiply_tiles<tile, 4, 6>(); });
    store_tile<0>(sums, 64);
    constexpr int products = parts == 1 ? 1 : 6;  // of parts, for one of numbers
    return rounds * 4 * 2 * 16 * 16 * 32 / products;
#else
    Vec acc[most_sums] = {}, x = broadcast(0.5f);
    for (Vec& sum : acc) hide(sum);
    for (int64_t i = 0; i < rounds; ++i) {
        hide(x);
#pragma GCC unroll 24
        for (int j = 0; j < most_sums; ++j) {
#if defined(UNSPOOL_BF16)
            acc[j] = (Vec)_mm512_dpbf16_ps((__m512)acc[j], (__m512bh)x, (__m512bh)x);
#else
            acc[j] += acc[j] * x;
#endif
        }
    }
    for (Vec& sum : acc) hide(sum);
#if defined(UNSPOOL_BF16)
    return rounds * most_sums * 2 * 2 * W;
#else
    return rounds * most_sums * 2 * W;
#endif
#endif
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
