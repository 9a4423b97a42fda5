// Adam on the rows of a table that were in view: one pass over memory instead of a dozen, nothing for the others.
#include <cmath>
#include <cstdint>

struct AdamStep {
  float beta1, beta2, step, correct2, epsilon;
};

static void adam_row(float* __restrict p, float* __restrict m, float* __restrict v, const float* __restrict g,
                     int64_t width, AdamStep s) {
  for (int64_t c = 0; c < width; c++) {
    m[c] = s.beta1 * m[c] + (1.0f - s.beta1) * g[c];
    v[c] = s.beta2 * v[c] + (1.0f - s.beta2) * g[c] * g[c];
    p[c] -= s.step * m[c] / (std::sqrt(v[c] * s.correct2) + s.epsilon);
  }
}

extern "C" {

// Kingma & Ba 2015, algorithm 1, on `count` rows of `width` floats. Row rows[i] of parameter, first and second moment
// gets row i of gradient; its bias correction counts visits[rows[i]] steps, its step is rate[i], or rate[0] if
// one_rate. Rows of a negative rate are left as they are. Returns 0.
int ig_adam_rows(float* parameter, float* first, float* second, const float* gradient, const int64_t* rows,
                 const int32_t* visits, const float* rate, int32_t one_rate, int64_t count, int64_t width, float beta1,
                 float beta2, float epsilon, int32_t threads) {
#pragma omp parallel num_threads(threads)
  {
    float known = 0.f, correct1 = 0.f, correct2 = 0.f;  // anchors of one age stand together: powers are dear
#pragma omp for schedule(static)
    for (int64_t i = 0; i < count; i++) {
      const int64_t row = rows[i];
      const float own = rate[one_rate ? 0 : i], age = static_cast<float>(visits[row] > 0 ? visits[row] : 1);
      if (own < 0.f) continue;
      if (age != known) {
        correct1 = 1.0f / (1.0f - std::pow(beta1, age));
        correct2 = 1.0f / (1.0f - std::pow(beta2, age));
        known = age;
      }
      adam_row(parameter + row * width, first + row * width, second + row * width, gradient + i * width, width,
               {beta1, beta2, own * correct1, correct2, epsilon});
    }
  }
  return 0;
}
}
