// Who does what in a pass over a stack: which sequences, or which hidden units, a thread works on.
#pragma once

#include <algorithm>
#include <vector>

#include "parallel.h"
#include "recurrent.h"

namespace unspool {

// The batch dealt to threads, each of which works on its sequences from the first step to the last
// and waits for no other. Longest sequences come first in each part.
struct Dealt {
    std::vector<int32_t> index, length;
    std::vector<Sequences> parts;
    int64_t steps = 0;  // valid ones in all
    int threads = 1;    // that are worth their waking, also for work that is not dealt by sequences

    int size() const { return int(parts.size()); }
    // Sequences of the largest part, which is not always the one that needs most memory.
    int64_t largest() const {
        int64_t most = 0;
        for (const Sequences& part : parts) most = std::max(most, part.count);
        return most;
    }
};

// `most` parts at most, or as many as there are threads. Throws std::invalid_argument if a length is not
// in 0..T.
Dealt deal(const Arguments&, int64_t most);

enum class Pass { forward, backward };

// Whether threads divide the hidden units rather than the sequences: where the weights that a step
// reads exceed a core's cache, each thread is better off with its part of them, unless so many
// sequences share what is read that this hides behind the arithmetic; and where there are fewer
// sequences than threads, some would have nothing to do. After each step they wait for each other,
// so there has to be enough to do in one.
bool divides_units(const Kernels&, const Stack&, int threads, Pass);

// Units cut between panels of `width` vectors.
Division division_of(int64_t units, int64_t width, int member, int members, float* shared);

}  // namespace unspool
