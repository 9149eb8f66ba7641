// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Convolutions, AdaptNet's fusion and the stem, for the Arithmetic of who includes this: how
// products are computed. LVS_OPERATOR(name): what to call them.
#include "convolution.h"
#include "fusion.h"
#include "stem.h"

typedef Arithmetic::Value Weight;    // as Arithmetic::compute_row wants them

extern "C" {

// The rows from first to last - 1 of the result.
//
// x: (height, width, channels_in), bias: (channels_out), added: (rows, columns, channels_out) that
// is added before the ReLU, or null -> y: (rows, columns, channels_out). relu: 1 = negative values
// become 0.
void LVS_OPERATOR(convolution)(const float* x, const Weight* weights, const float* bias,
                               const float* added, float* y, int height, int width,
                               int channels_in, int channels_out, int kernel, int stride,
                               int padding, int dilation, int relu, int first, int last,
                               int threads) {
  lvs::convolve<Arithmetic>(
      x, weights, {height, width, channels_in, channels_out, kernel, stride, padding, dilation},
      {bias, added, relu != 0}, first, last, threads, y);
}

// propagated + correction(relu(a(propagated) + b(adapted))), each a 1x1 convolution.
//
// propagated and y: (height, width, channels), adapted: (height, width, channels_adapted), biases:
// (channels).
void LVS_OPERATOR(fusion)(const float* propagated, const float* adapted, const Weight* weights_a,
                          const float* bias_a, const Weight* weights_b, const float* bias_b,
                          const Weight* weights_correction, const float* bias_correction,
                          float* y, int height, int width, int channels, int channels_adapted,
                          int threads) {
  lvs::fuse<Arithmetic>(propagated, adapted, weights_a, bias_a, weights_b, bias_b,
                        weights_correction, bias_correction, y, height, width, channels,
                        channels_adapted, threads);
}

// image: (height, width, 3), uint8 or (bytes = 0) float32, scale and shift: (3), bias:
// (channels_out) -> y: (pooled rows, pooled columns, channels_out), channels_out a multiple of 8.
// The stride is not larger than the kernel.
void LVS_OPERATOR(stem)(const void* image, const float* scale, const float* shift,
                        const Weight* weights, const float* bias, float* y, int bytes, int height,
                        int width, int channels_out, int kernel, int stride, int padding,
                        int threads) {
  lvs::stem<Arithmetic>(image, bytes != 0, {scale, shift},
                        {height, width, lvs::kColours, channels_out, kernel, stride, padding, 1},
                        weights, bias, threads, y);
}

}  // extern "C"
