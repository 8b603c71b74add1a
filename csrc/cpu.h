// What the processor can do, as far as the operating system lets programs use it.
#pragma once

namespace unspool {

struct InstructionSets {
    bool avx2 = false;         // AVX2 and FMA: 8 floats a register
    bool avx512 = false;       // AVX-512 F, BW, DQ and VL: 16 floats a register
    bool avx512_bf16 = false;  // the above, and dot products of bfloat16
    bool amx_bf16 = false;     // avx512_bf16, and tiles of 16 rows that multiply bfloat16 matrices
    bool fast_bf16 = false;    // bfloat16 is multiplied faster than single precision
    bool neon = false;         // Advanced SIMD of 64-bit Arm: 4 floats a register
};

// Detected at the first call; the same object afterwards.
const InstructionSets& instruction_sets();

}  // namespace unspool
