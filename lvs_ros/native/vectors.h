// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Vectors of floats as GCC and Clang have them, without a word of any processor's own.
#ifndef LVS_ROS__NATIVE__VECTORS_H_
#define LVS_ROS__NATIVE__VECTORS_H_

#include <cstddef>
#include <cstring>
#include <vector>

// Before a loop of few rounds over an array of vectors: only once it is unrolled does GCC keep the
// array in registers.
#define LVS_UNROLL _Pragma("GCC unroll 36")

namespace lvs {

// Channels are handled by so many; most operators want a multiple of it.
constexpr int kLanes = 8;
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

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

// Scratch memory for so many values; it grows to what the largest operator needs.
template <class Value>
inline Value* room(std::vector<Value>& scratch, std::size_t count) {
  if (scratch.size() < count) scratch.resize(count);
  return scratch.data();
}

}  // namespace lvs

#endif  // LVS_ROS__NATIVE__VECTORS_H_
