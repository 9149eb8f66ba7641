// Copyright 2026 lvs_ros maintainers
// SPDX-License-Identifier: Apache-2.0
//
// Convolutions, AdaptNet's fusion and the stem with products of bfloat16; weights as
// BFloat16::compute_row wants them, everything else as in ../kernels.
#include "../kernels/convolution.h"
#include "../kernels/fusion.h"
#include "../kernels/stem.h"
#include "bfloat16.h"

using lvs::BFloat16;
using lvs::Shape;

extern "C" {

void lvs_amx_convolution(const float* x, const uint16_t* weights, const float* bias,
                         const float* added, float* y, int height, int width, int channels_in,
                         int channels_out, int kernel, int stride, int padding, int dilation,
                         int relu, int first, int last, int threads) {
  const Shape shape{height, width, channels_in, channels_out, kernel, stride, padding, dilation};
  lvs::convolve<BFloat16>(x, weights, shape, {bias, added, relu != 0}, first, last, threads, y);
}

void lvs_amx_fusion(const float* propagated, const float* adapted, const uint16_t* weights_a,
                    const float* bias_a, const uint16_t* weights_b, const float* bias_b,
                    const uint16_t* weights_correction, const float* bias_correction, float* y,
                    int height, int width, int channels, int channels_adapted, int threads) {
  lvs::fuse<BFloat16>(propagated, adapted, weights_a, bias_a, weights_b, bias_b,
                      weights_correction, bias_correction, y, height, width, channels,
                      channels_adapted, threads);
}

void lvs_amx_stem(const void* image, const float* scale, const float* shift,
                  const uint16_t* weights, const float* bias, float* y, int bytes, int height,
                  int width, int channels_out, int kernel, int stride, int padding,
                  int threads) {
  const Shape shape{height, width, lvs::kColours, channels_out, kernel, stride, padding, 1};
  lvs::stem<BFloat16>(image, bytes != 0, {scale, shift}, shape, weights, bias, threads, y);
}

}  // extern "C"
