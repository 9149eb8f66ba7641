// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// A row of a convolution on a processor that multiplies matrices ("tiles" of 16 rows, Intel's
// AMX): what is multiplied is rounded to bfloat16, the products are summed up in float32.
#ifndef LVS_ROS__BACKENDS__CPU__AMX__BFLOAT16_H_
#define LVS_ROS__BACKENDS__CPU__AMX__BFLOAT16_H_

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "../kernels/rows.h"

namespace lvs {

struct BFloat16 {
  typedef uint16_t Value;    // the upper half of a float

  static constexpr int kTile = 16;     // rows of a tile, and floats in a row
  static constexpr int kDepth = 32;    // values in a row, that one multiplication sums up
  static constexpr int kPixels = 2 * kTile, kChannels = 2 * kTile;    // worked on at once

  // The calling thread's tiles: 0 to 3 for sums, 4 and 5 for pixels, 6 and 7 for weights.
  struct Unit {
    Unit() {
      struct alignas(64) {
        uint8_t palette = 1, start_row = 0, reserved[14] = {};
        uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {kTile, kTile, kTile, kTile, kTile, kTile, kTile, kTile};
      } layout;
      memory_is_read(&layout);
      _tile_loadconfig(&layout);
    }
    ~Unit() { _tile_release(); }
    Unit(const Unit&) = delete;
    Unit& operator=(const Unit&) = delete;
  };

  static int64_t line(const Shape& shape) {
    // The last tile of a run reads on to what follows it, the weights for which are zero.
    return shape.line(divide(shape.columns(), kPixels) * kPixels) + kDepth;
  }

  static void convert(const float* from, int64_t count, Value* to) {
    int64_t n = 0;
    for (; n + kDepth <= count; n += kDepth) {
      _mm512_storeu_si512(to + n, __m512i(_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + n + 16),
                                                              _mm512_loadu_ps(from + n))));
    }
    for (; n < count; n += 16) {
      const __mmask16 rest = n + 16 <= count ? 0xffff : (1u << (count - n)) - 1;
      _mm256_mask_storeu_epi16(
          to + n, rest, __m256i(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(rest, from + n))));
    }
  }

  // See Float32. weights: (panels of 16 channels, kernel, runs, depth of a run / 2, 16, 2), a run
  // filled up with zeros to a multiple of 32.
  template <class LineOf>
  static void compute_row(const LineOf& line_of, const Shape& shape, const Value* weights,
                          const Finish& finish, int64_t at, float* y) {
    const int columns = shape.columns();
    const int64_t panel_size = int64_t(shape.kernel) * shape.runs() *
                               divide(shape.run(), kDepth) * kDepth * kTile;
    for (int channel = 0; channel < shape.channels_out; channel += kChannels) {
      const Value* panel = weights + channel / kTile * panel_size;
      const bool wide = shape.channels_out - channel > kTile;
      for (int pixel = 0; pixel < columns; pixel += kPixels) {
        const bool high = columns - pixel > kTile;
        alignas(64) float sums[kPixels * kChannels];
        const auto compute = high ? (wide ? multiply<2, 2, LineOf> : multiply<2, 1, LineOf>)
                                  : (wide ? multiply<1, 2, LineOf> : multiply<1, 1, LineOf>);
        compute(line_of, shape, pixel, panel, panel_size, sums);
        write_sums(sums, kChannels, shape, finish, at + int64_t(pixel) * shape.channels_out,
                   std::min(kPixels, columns - pixel), channel, y);
      }
    }
  }

 private:
  // GCC does not know that the instructions for tiles read memory: what is written before them
  // could come after, or never.
  static void memory_is_read(const void* from) { __asm__ volatile("" : : "r"(from) : "memory"); }

  // The sums of `Pixels` tiles of pixels by `Channels` of channels; (kPixels, kChannels).
  template <int Pixels, int Channels, class LineOf>
  static void multiply(const LineOf& line_of, const Shape& shape, int pixel, const Value* weights,
                       int64_t panel_size, float* sums) {
    const int64_t pitch = shape.pitch(), bytes = pitch * sizeof(Value);
    _tile_zero(0);
    if constexpr (Channels > 1) _tile_zero(1);
    if constexpr (Pixels > 1) _tile_zero(2);
    if constexpr (Pixels > 1 && Channels > 1) _tile_zero(3);
    for (int k = 0; k < shape.kernel; ++k) {
      const Value* line = line_of(k) + pixel * pitch;
      memory_is_read(line);
      for (int n = 0; n < shape.runs(); ++n) {
        const Value* from = line + n * shape.next_run();
        for (int depth = 0; depth < shape.run(); depth += kDepth, weights += kDepth * kTile) {
          _tile_loadd(4, from + depth, bytes);
          _tile_loadd(6, weights, kDepth * sizeof(Value));
          _tile_dpbf16ps(0, 4, 6);
          if constexpr (Channels > 1) {
            _tile_loadd(7, weights + panel_size, kDepth * sizeof(Value));
            _tile_dpbf16ps(1, 4, 7);
          }
          if constexpr (Pixels > 1) {
            _tile_loadd(5, from + depth + kTile * pitch, bytes);
            _tile_dpbf16ps(2, 5, 6);
            if constexpr (Channels > 1) _tile_dpbf16ps(3, 5, 7);
          }
        }
      }
    }
    const int row = kChannels * sizeof(float);
    _tile_stored(0, sums, row);
    if constexpr (Channels > 1) _tile_stored(1, sums + kTile, row);
    if constexpr (Pixels > 1) _tile_stored(2, sums + kTile * kChannels, row);
    if constexpr (Pixels > 1 && Channels > 1) {
      _tile_stored(3, sums + kTile * kChannels + kTile, row);
    }
  }
};

}  // namespace lvs

#endif  // LVS_ROS__BACKENDS__CPU__AMX__BFLOAT16_H_
