// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// A grey image of a fraction of the size, in one pass over a camera image
// (lvs_ros/pipeline/optical_flow.py).
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "vectors.h"

namespace {

// Shares of red, green and blue in the luma of ITU-R BT.601, in 15 bits as OpenCV has them.
constexpr int kRed = 9798, kGreen = 19235, kBlue = 3735, kBits = 15;
constexpr int kLine = 64;    // bytes of a line of the cache

// Adds the grey values of a row; first, last: the shares of the first and the third channel.
template <int kChannels>
void add_grey(const uint8_t* pixels, int width, int first, int last, uint32_t* sums) {
  for (int j = 0; j < width; ++j) {
    const uint8_t* pixel = pixels + j * kChannels;
    if constexpr (kChannels == 1) {
      sums[j] += *pixel;
    } else {
      sums[j] += uint32_t(first * pixel[0] + kGreen * pixel[1] + last * pixel[2] +
                          (1 << (kBits - 1))) >> kBits;
    }
  }
}

void add_pairs(const uint32_t* __restrict from, int count, uint32_t* __restrict to) {
  for (int j = 0; j < count; ++j) to[j] = from[2 * j] + from[2 * j + 1];
}

}  // namespace

// image: (height, width, channels) uint8, 1, 3 or 4 of them, its rows `step` bytes apart; red: which
// of 3 or 4 channels it is, 0 or 2 -> grey: (height >> halvings, width >> halvings) uint8, the mean
// of the grey values of 2^halvings x 2^halvings pixels. Both sides are multiples of 2^halvings.
extern "C" void lvs_grey(const uint8_t* image, uint8_t* grey, int step, int height, int width,
                         int channels, int red, int halvings, int threads) {
  const int rows = height >> halvings, columns = width >> halvings;
  const int first = red == 0 ? kRed : kBlue, last = red == 0 ? kBlue : kRed;
  const auto add = channels == 1 ? add_grey<1> : channels == 3 ? add_grey<3> : add_grey<4>;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int i = 0; i < rows; ++i) {
    thread_local std::vector<uint32_t> own_sums, own_pairs;    // of a row of the result
    uint32_t* sums = lvs::room(own_sums, width);
    uint32_t* pairs = lvs::room(own_pairs, width);
    std::fill_n(sums, width, 0);
    for (int r = i << halvings; r < (i + 1) << halvings; ++r) {
      const uint8_t* row = image + int64_t(r) * step;
      // The next row; the processor fetches ahead by itself no further than to the end of a page.
      for (int b = 0; b < width * channels; b += kLine) __builtin_prefetch(row + step + b);
      add(row, width, first, last, sums);
    }
    for (int halving = 1; halving <= halvings; ++halving) {
      add_pairs(sums, width >> halving, pairs);
      std::swap(sums, pairs);
    }
    const uint32_t half = (1u << 2 * halvings) / 2;
    for (int j = 0; j < columns; ++j) {
      grey[int64_t(i) * columns + j] = uint8_t((sums[j] + half) >> 2 * halvings);
    }
  }
}
