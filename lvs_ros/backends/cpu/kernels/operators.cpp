// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Convolutions, AdaptNet's fusion and the stem in float32.
#include "convolution.h"
#include "fusion.h"
#include "stem.h"

using lvs::Float32;
using lvs::Shape;

extern "C" {

// Output channels that are worked on at once: the weights come in panels of so many.
int lvs_panel() { return lvs::kPanel; }

// The rows from first to last - 1 of the result.
//
// x: (height, width, channels_in), weights: (panels, kernel, kernel, channels_in, panel), bias:
// (channels_out), added: (rows, columns, channels_out) that is added before the ReLU, or null ->
// y: (rows, columns, channels_out). relu: 1 = negative values become 0.
void lvs_convolution(const float* x, const float* weights, const float* bias, const float* added,
                     float* y, int height, int width, int channels_in, int channels_out,
                     int kernel, int stride, int padding, int dilation, int relu, int first,
                     int last, int threads) {
  const Shape shape{height, width, channels_in, channels_out, kernel, stride, padding, dilation};
  lvs::convolve<Float32>(x, weights, shape, {bias, added, relu != 0}, first, last, threads, y);
}

// propagated + correction(relu(a(propagated) + b(adapted))), each a 1x1 convolution.
//
// propagated and y: (height, width, channels), adapted: (height, width, channels_adapted); weights
// as those of lvs_convolution, biases: (channels).
void lvs_fusion(const float* propagated, const float* adapted, const float* weights_a,
                const float* bias_a, const float* weights_b, const float* bias_b,
                const float* weights_correction, const float* bias_correction, float* y,
                int height, int width, int channels, int channels_adapted, int threads) {
  lvs::fuse<Float32>(propagated, adapted, weights_a, bias_a, weights_b, bias_b,
                     weights_correction, bias_correction, y, height, width, channels,
                     channels_adapted, threads);
}

// image: (height, width, 3), uint8 or (bytes = 0) float32, scale and shift: (3), weights and bias
// as those of a convolution -> y: (pooled rows, pooled columns, channels_out), channels_out a
// multiple of 8. The stride is not larger than the kernel.
void lvs_stem(const void* image, const float* scale, const float* shift, const float* weights,
              const float* bias, float* y, int bytes, int height, int width, int channels_out,
              int kernel, int stride, int padding, int threads) {
  const Shape shape{height, width, lvs::kColours, channels_out, kernel, stride, padding, 1};
  lvs::stem<Float32>(image, bytes != 0, {scale, shift}, shape, weights, bias, threads, y);
}

}  // extern "C"
