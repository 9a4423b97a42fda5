// Runs the kernels once on arrays from a file and writes what they return: for processors that this machine emulates.
// foreign_driver INPUT OUTPUT; see test_aarch64.py for the order of the arrays.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "raster.h"

extern "C" {
void* ig_workspace_create();
int ig_lanes();
int ig_raster_forward(void*, const RasterInput*, const RasterOutput*);
int ig_raster_backward(void*, const RasterInput*, const RasterOutput*, const RasterGradients*);
int ig_image_loss(const ImageLossInput*, float* gradient, double* loss);
}

static FILE* input;
static FILE* output;

static std::vector<float> read(size_t n) {
  std::vector<float> values(n);
  if (std::fread(values.data(), 4, n, input) != n) std::abort();
  return values;
}

static void write(const std::vector<float>& values) { std::fwrite(values.data(), 4, values.size(), output); }

int main(int, char** names) {
  input = std::fopen(names[1], "rb"), output = std::fopen(names[2], "wb");
  int32_t sizes[6];  // Gaussians, channels, gated from, gated to, width, height
  if (std::fread(sizes, 4, 6, input) != 6) return 2;
  const size_t n = sizes[0], f = sizes[1], pixels = size_t(sizes[4]) * sizes[5];
  RasterInput in{};
  in.count = sizes[0], in.channels = sizes[1], in.gated_begin = sizes[2], in.gated_end = sizes[3];
  in.width = sizes[4], in.height = sizes[5], in.threads = 2;
  const auto view = read(18);  // world to camera (12), fx, fy, cx, cy, near, max_alpha
  for (int k = 0; k < 12; k++) in.world_to_camera[k] = view[k];
  in.fx = view[12], in.fy = view[13], in.cx = view[14], in.cy = view[15], in.near = view[16], in.max_alpha = view[17];
  const auto means = read(3 * n), quats = read(4 * n), scales = read(3 * n), opacities = read(n), features = read(n * f);
  const auto gate = read(n);
  in.means = means.data(), in.quats = quats.data(), in.scales = scales.data(), in.opacities = opacities.data();
  in.features = features.data(), in.gate = gate.data();

  std::vector<float> image(pixels * f), depth(pixels), alpha(pixels), transmittance(pixels);
  std::vector<uint8_t> visible(n);
  const RasterOutput out{image.data(), depth.data(), alpha.data(), transmittance.data(), visible.data()};
  void* workspace = ig_workspace_create();
  if (ig_raster_forward(workspace, &in, &out)) return 3;
  write(image), write(depth), write(alpha);

  const auto up_image = read(pixels * f), up_depth = read(pixels), up_alpha = read(pixels), target = read(3 * pixels);
  std::vector<float> g_means(3 * n), g_quats(4 * n), g_scales(3 * n), g_opacities(n), g_features(n * f), screen(2 * n);
  const RasterGradients grad{up_image.data(), up_depth.data(),    up_alpha.data(),   g_means.data(), g_quats.data(),
                             g_scales.data(), g_opacities.data(), g_features.data(), screen.data()};
  if (ig_raster_backward(workspace, &in, &out, &grad)) return 4;
  write(g_means), write(g_quats), write(g_scales), write(g_opacities), write(g_features), write(screen);

  std::vector<float> g_image(3 * pixels);
  double loss = 0;
  ImageLossInput images{};
  images.rendered = image.data(), images.target = target.data();
  images.rendered_stride = in.channels, images.target_stride = images.gradient_stride = 3;
  images.height = in.height, images.width = in.width, images.threads = 2;
  images.ssim_weight = 0.2f, images.scale = float(1.0 / (3.0 * double(pixels)));
  if (ig_image_loss(&images, g_image.data(), &loss)) return 5;
  write(g_image), write({float(loss), float(ig_lanes())});
  return std::fclose(output);
}
