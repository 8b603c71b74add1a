#include "dealing.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

namespace unspool {
namespace {

// Below this many multiplications a part is not worth waking a thread for.
constexpr int64_t least_work = 100'000;

void check_lengths(const int64_t* lengths, int64_t B, int64_t T) {
    for (int64_t b = 0; b < B; ++b)
        if (lengths[b] < 0 || lengths[b] > T)
            throw std::invalid_argument("lengths has the value " + std::to_string(lengths[b]) +
                                        ", expected 0 to T = " + std::to_string(T));
}

}  // namespace

Dealt deal(const Arguments& a, int64_t most) {
    const Stack& stack = a.stack;
    if (a.lengths) check_lengths(a.lengths, stack.B, stack.T);
    auto length = [&](int64_t b) { return a.lengths ? a.lengths[b] : stack.T; };

    std::vector<int32_t> order(stack.B);
    std::iota(order.begin(), order.end(), 0);
    if (a.lengths)
        std::stable_sort(order.begin(), order.end(),
                         [&](int32_t i, int32_t j) { return length(i) > length(j); });

    Dealt dealt;
    for (int64_t b = 0; b < stack.B; ++b) dealt.steps += length(b);
    const int64_t work = dealt.steps * stack.H * (stack.inputs(0) + stack.H) * gates_of(stack.cell);
    dealt.threads = int(std::max<int64_t>(1, std::min<int64_t>(a.threads, work / least_work)));
    const int64_t count = std::max<int64_t>(1, std::min({int64_t(dealt.threads), stack.B, most}));

    // Equal lengths: neighbours stay together. Others are dealt to and fro, which evens the sums.
    auto part_of = [&](int64_t i) {
        if (!a.lengths) return i * count / stack.B;
        const int64_t round = i / count, place = i % count;
        return round % 2 == 0 ? place : count - 1 - place;
    };
    std::vector<std::vector<int32_t>> members(count);
    for (int64_t i = 0; i < stack.B; ++i) members[part_of(i)].push_back(order[i]);

    dealt.index.reserve(stack.B);
    dealt.length.reserve(stack.B);
    for (const auto& part : members) {
        dealt.parts.push_back({int64_t(part.size()), dealt.index.data() + dealt.index.size(),
                               dealt.length.data() + dealt.length.size()});
        for (const int32_t b : part) {
            dealt.index.push_back(b);
            dealt.length.push_back(int32_t(length(b)));
        }
    }
    return dealt;
}

bool divides_units(const Kernels& kernels, const Stack& stack, int threads, Pass pass) {
    // Measured bounds.
    constexpr int64_t cache = 2 << 20;  // bytes
    constexpr int64_t enough = 1 << 18;
    constexpr int64_t many = 32, many_in_tiles = 64;  // sequences
    const bool gated = stack.cell == Cell::lstm || stack.cell == Cell::gru;
    if (!gated || threads <= 1 || stack.T == 1) return false;
    const int64_t weights = gates_of(stack.cell) * stack.H * (stack.inputs(1) + stack.H) * 4;
    if (kernels.in_tiles)  // which few sequences leave half empty
        return stack.B <= many_in_tiles && stack.H >= kernels.width * threads &&
               weights > (pass == Pass::forward ? cache / 3 : cache);
    return stack.B < threads ? weights > enough : stack.B <= many && weights > cache;
}

Division division_of(int64_t units, int64_t width, int member, int members, float* shared) {
    const Range panels = part_of((units + width - 1) / width, member, members);
    return {panels.begin * width, std::min(panels.end * width, units), &wait_for_all, shared, member,
            members};
}

}  // namespace unspool
