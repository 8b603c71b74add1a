// What the processor can do, as far as the operating system lets programs use it.
#pragma once

namespace unspool {

struct InstructionSets {
    bool avx2 = false;         // AVX2 and FMA: 8 floats a register
    bool avx512 = false;       // AVX-512 F, BW, DQ and VL: 16 floats a register
    bool avx512_bf16 = false;  // the above, and dot products of bfloat16
    bool neon = false;         // Advanced SIMD of 64-bit Arm: 4 floats a register
};

// Detected at the first call; the same object afterwards.
const InstructionSets& instruction_sets();

}  // namespace unspool
