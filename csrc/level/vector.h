// A register of floats and the functions that gates need, in terms of the compiler's own vector
// types (GCC, Clang). Compiled once for every level of instructions: UNSPOOL_LEVEL names it and
// UNSPOOL_WIDTH is how many floats a register has. All of it lives in the level's namespace, so
// that no function compiled for a newer processor can be linked into code for an older one; for
// the same reason nothing here uses the standard library's templates.
#pragma once

#include <cstdint>

#if defined(__SSE__)
#include <immintrin.h>
#endif

#define UNSPOOL_INLINE inline __attribute__((always_inline))
// Not inlined, so that the loops of a function have all registers to themselves.
#define UNSPOOL_APART __attribute__((noinline))

namespace unspool {
namespace UNSPOOL_LEVEL {

constexpr int W = UNSPOOL_WIDTH;

typedef float Vector __attribute__((vector_size(4 * UNSPOOL_WIDTH), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(4 * UNSPOOL_WIDTH), aligned(4), may_alias));
// The same in a register, where its alignment is the natural one.
typedef float Vec __attribute__((vector_size(4 * UNSPOOL_WIDTH)));
typedef int32_t Ints __attribute__((vector_size(4 * UNSPOOL_WIDTH)));

UNSPOOL_INLINE Vec load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
UNSPOOL_INLINE void store(float* p, Vec x) { *reinterpret_cast<Vector*>(p) = x; }
UNSPOOL_INLINE Vec broadcast(float x) { return x - Vec{}; }

// The first `count` of W floats (all, where it is W or more); the others are neither read nor written.
#if UNSPOOL_WIDTH == 16
UNSPOOL_INLINE __mmask16 first(int64_t count) {
    return (__mmask16)(count >= W ? 0xffff : (1 << count) - 1);
}
UNSPOOL_INLINE Vec load_first(const float* p, int64_t count) {
    return (Vec)_mm512_maskz_loadu_ps(first(count), p);
}
UNSPOOL_INLINE void store_first(float* p, Vec x, int64_t count) {
    _mm512_mask_storeu_ps(p, first(count), (__m512)x);
}
#else
UNSPOOL_INLINE Vec load_first(const float* p, int64_t count) {
    if (count >= W) return load(p);
#if UNSPOOL_WIDTH == 8
    alignas(32) static const int32_t mask[2 * W] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return (Vec)_mm256_maskload_ps(
        p, _mm256_loadu_si256((const __m256i*)(mask + W - (count > 0 ? count : 0))));
#else
    float buffer[W] = {};
    for (int64_t j = 0; j < count; ++j) buffer[j] = p[j];
    return load(buffer);
#endif
}
UNSPOOL_INLINE void store_first(float* p, Vec x, int64_t count) {
    if (count >= W) {
        store(p, x);
        return;
    }
    for (int64_t j = 0; j < count; ++j) p[j] = x[j];
}
#endif

// W rows of numbers, `stride` apart, as columns: column[k][j] = from[j · stride + k]. Rows from
// `valid` on and columns from `count` on are zeros, and not read.
#if UNSPOOL_WIDTH == 16
// Exchanges rows and columns of 16 × 16 numbers of 32 bits.
UNSPOOL_INLINE void transpose16(__m512i (&m)[16]) {
    __m512i a[16];
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(m[i], m[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(m[i], m[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; ++j) {
            m[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
            m[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
        }
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 2; ++j) {
            a[8 * j + i] = _mm512_shuffle_i32x4(m[8 * j + i], m[8 * j + i + 4], 0x88);
            a[8 * j + i + 4] = _mm512_shuffle_i32x4(m[8 * j + i], m[8 * j + i + 4], 0xdd);
        }
    for (int i = 0; i < 8; ++i) {
        m[i] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0x88);
        m[i + 8] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0xdd);
    }
}

UNSPOOL_INLINE void load_columns(const float* from, int64_t stride, int64_t valid, int64_t count,
                                 Vec (&column)[W]) {
    __m512i m[16];
#pragma GCC unroll 16
    for (int64_t j = 0; j < W; ++j)
        m[j] = j < valid ? (__m512i)load_first(from + j * stride, count) : __m512i{};
    transpose16(m);
#pragma GCC unroll 16
    for (int k = 0; k < W; ++k) column[k] = (Vec)m[k];
}
#elif UNSPOOL_WIDTH == 8
UNSPOOL_INLINE void load_columns(const float* from, int64_t stride, int64_t valid, int64_t count,
                                 Vec (&column)[W]) {
    __m256 m[8], pairs[8];
#pragma GCC unroll 8
    for (int64_t j = 0; j < W; ++j)
        m[j] = j < valid ? (__m256)load_first(from + j * stride, count) : __m256{};
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_unpacklo_ps(m[i], m[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(m[i], m[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
            m[i + 2 * j] = _mm256_shuffle_ps(pairs[i + j], pairs[i + j + 2], 0x44);
            m[i + 2 * j + 1] = _mm256_shuffle_ps(pairs[i + j], pairs[i + j + 2], 0xee);
        }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
        column[k] = (Vec)_mm256_permute2f128_ps(m[k], m[k + 4], 0x20);
        column[k + 4] = (Vec)_mm256_permute2f128_ps(m[k], m[k + 4], 0x31);
    }
}
#else
UNSPOOL_INLINE void load_columns(const float* from, int64_t stride, int64_t valid, int64_t count,
                                 Vec (&column)[W]) {
    for (int64_t k = 0; k < W; ++k)
        for (int64_t j = 0; j < W; ++j)
            column[k][j] = j < valid && k < count ? from[j * stride + k] : 0;
}
#endif

// Written so that NaN stays NaN: a comparison with it is false, and x86's instructions then give what
// stands second.
UNSPOOL_INLINE Vec clamp(Vec x, float low, float high) {
    const Vec l = broadcast(low), h = broadcast(high);
#if UNSPOOL_WIDTH == 16
    return (Vec)_mm512_min_ps((__m512)h, _mm512_max_ps((__m512)l, (__m512)x));
#elif UNSPOOL_WIDTH == 8
    return (Vec)_mm256_min_ps((__m256)h, _mm256_max_ps((__m256)l, (__m256)x));
#elif defined(__SSE__)
    return (Vec)_mm_min_ps((__m128)h, _mm_max_ps((__m128)l, (__m128)x));
#else
    x = x < l ? l : x;
    return x > h ? h : x;
#endif
}

// 1 / x for x of at least 1.
UNSPOOL_INLINE Vec reciprocal(Vec x) {
#if UNSPOOL_WIDTH == 16
    // 14 bits from a table and one Newton step are as exact as a division, which takes four times
    // as long.
    const Vec r = (Vec)_mm512_rcp14_ps((__m512)x);
    return r * (2.0f - x * r);
#else
    return 1.0f / x;
#endif
}

// e^x split as (1 + p) 2^n: p = e^r − 1 with r = x − n ln 2, |r| ≤ ln 2 / 2. The polynomial is a
// least-maximum fit to (e^r − 1 − r) / r², with a relative error of 3e-9 in e^x.
struct Exponential {
    Vec p;
    Vec power;  // 2^n
};
UNSPOOL_INLINE Exponential exponential(Vec x) {
    constexpr float log2_e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    constexpr float round = 12582912.0f;  // 1.5 · 2^23: adding it leaves the nearest integer
    const Vec shifted = x * log2_e + round;
    const Vec n = shifted - round;
    const Vec r = (x - n * ln2_high) - n * ln2_low;
    Vec q = r * 1.381454271e-3f + 8.368748649e-3f;
    q = q * r + 4.166839100e-2f;
    q = q * r + 1.666652037e-1f;
    q = q * r + 4.999999343e-1f;
    const Ints bits = ((Ints)shifted << 23) + (127 << 23);
    return {q * (r * r) + r, (Vec)bits};
}

UNSPOOL_INLINE Vec exp(Vec x) {
    const Exponential e = exponential(clamp(x, -87.0f, 88.0f));
    return e.p * e.power + e.power;
}

UNSPOOL_INLINE Vec sigmoid(Vec x) {
    const Exponential e = exponential(clamp(-x, -87.0f, 87.0f));
    return reciprocal((e.p * e.power + e.power) + 1.0f);
}

// (e^{2x} − 1) / (e^{2x} + 1), from e^{2x} − 1 itself, so that it is exact near 0 as well.
UNSPOOL_INLINE Vec tanh(Vec x) {
    const Exponential e = exponential(clamp(x + x, -20.0f, 20.0f));
    const Vec less_one = e.p * e.power + (e.power - 1.0f);
    return less_one * reciprocal(less_one + 2.0f);
}

// Has x rounded as it stands. A product that only sums read may be formed anew in each of them, without
// its own rounding, and so hangs on what else the compiler sees read it.
UNSPOOL_INLINE Vec as_rounded(Vec x) {
#if defined(__aarch64__)
    __asm__("" : "+w"(x));
#elif defined(__AVX512F__)
    __asm__("" : "+v"(x));
#else
    __asm__("" : "+x"(x));
#endif
    return x;
}

UNSPOOL_INLINE Vec relu(Vec x) {
    return x < Vec{} ? Vec{} : x;  // NaN stays NaN
}

// The sum of a vector's numbers.
UNSPOOL_INLINE float sum_of(Vec x) {
    float sum = 0;
    for (int j = 0; j < W; ++j) sum += x[j];
    return sum;
}

UNSPOOL_INLINE float highest_of(Vec x) {
    float highest = x[0];
    for (int j = 1; j < W; ++j) highest = highest > x[j] ? highest : x[j];
    return highest;
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
