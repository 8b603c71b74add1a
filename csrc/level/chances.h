// Which of many numbers dropout keeps, drawn from a key.
#pragma once

#include <cstdint>

namespace unspool {
namespace UNSPOOL_LEVEL {

// The i-th word of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
// generators", with Stafford's thirteenth mixer): a function of the key and i alone, so that words may
// be drawn in any order.
inline uint64_t random_word(uint64_t key, uint64_t i) {
    uint64_t z = key + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// kept[i] = 1 where the i-th 16 random bits are a number of `dropped` at least, else 0, for i in [begin,
// end); begin is a multiple of 4, the numbers of a word.
inline void draw_kept(uint64_t key, int64_t begin, int64_t end, int32_t dropped, uint8_t* kept) {
    constexpr int64_t most = 64;  // words at a time
    uint64_t words[most];
    uint16_t chances[4 * most];
    for (int64_t first = begin; first < end; first += 4 * most) {
        for (int64_t i = 0; i < most; ++i) words[i] = random_word(key, uint64_t(first / 4 + i));
        for (int64_t i = 0; i < most; ++i)
            for (int64_t j = 0; j < 4; ++j) chances[4 * i + j] = uint16_t(words[i] >> (16 * j));
        const int64_t count = end - first < 4 * most ? end - first : 4 * most;
        for (int64_t i = 0; i < count; ++i) kept[first + i] = chances[i] >= dropped;
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool
