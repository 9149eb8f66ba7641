// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Vectors of floats as GCC and Clang have them, without a word of any processor's own.
#ifndef LVS_ROS__BACKENDS__CPU__KERNELS__VECTORS_H_
#define LVS_ROS__BACKENDS__CPU__KERNELS__VECTORS_H_

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#define LVS_INLINE inline __attribute__((always_inline))
#define LVS_INLINE_LAMBDA __attribute__((always_inline))    // behind its parameters

namespace lvs {

template <int... I, class Function>
LVS_INLINE void for_each(std::integer_sequence<int, I...>, const Function& function) {
  (function(std::integral_constant<int, I>{}), ...);
}

// Calls function(0) to function(kCount - 1), the numbers constants. GCC keeps an array of vectors
// in registers only if it never sees another index; in a loop that it unrolls later, it may not.
template <int kCount, class Function>
LVS_INLINE void unrolled(const Function& function) {
  for_each(std::make_integer_sequence<int, kCount>{}, function);
}

// Channels are handled by so many; most operators want a multiple of it.
constexpr int kLanes = 8;
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

// Floats in the processor's own vectors.
#if defined(__AVX512F__)
constexpr int kFloats = 16;
#elif defined(__AVX__)
constexpr int kFloats = 8;
#else
constexpr int kFloats = 4;
#endif
typedef float Vector __attribute__((vector_size(kFloats * sizeof(float))));

// Floats in a vector V.
template <class V>
constexpr int kWidth = sizeof(V) / sizeof(float);

template <class V>
inline V load(const float* from) {
  V vector;
  std::memcpy(&vector, from, sizeof vector);    // from need not be aligned
  return vector;
}

template <class V>
inline void store(float* to, V vector) {
  std::memcpy(to, &vector, sizeof vector);
}

// kRows times kVectors sums of vectors V, which stay in registers where there are enough.
template <class V, int kRows, int kVectors>
struct Sums {
  V of[kRows][kVectors];

  LVS_INLINE Sums() {
    unrolled<kRows>([&](auto r) LVS_INLINE_LAMBDA {
      unrolled<kVectors>([&](auto n) LVS_INLINE_LAMBDA { of[r][n] = V{}; });
    });
  }

  // Rows that begin `pitch` apart.
  LVS_INLINE void store_to(float* to, std::ptrdiff_t pitch) const {
    unrolled<kRows>([&](auto r) LVS_INLINE_LAMBDA {
      unrolled<kVectors>([&](auto n) LVS_INLINE_LAMBDA {
        store(to + r * pitch + n * kWidth<V>, of[r][n]);
      });
    });
  }
};

// Scratch memory for so many values; it grows to what the largest operator needs.
template <class Value>
inline Value* room(std::vector<Value>& scratch, std::size_t count) {
  if (scratch.size() < count) scratch.resize(count);
  return scratch.data();
}

}  // namespace lvs

#endif  // LVS_ROS__BACKENDS__CPU__KERNELS__VECTORS_H_
