#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "../data/files.hpp"

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/loss.hpp>
#include <cotangent/io/checkpoint.hpp>
#include <cotangent/nn/dropout.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>
#include <cotangent/optim/adam.hpp>
#include <cotangent/optim/sgd.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;
using Catch::Contains;

namespace {

struct Net : nn::Module {
  nn::Linear in, out;
  nn::BatchNorm1d norm;
  nn::Dropout dropout{0.3};
  COTANGENT_MODULE(in, out, norm, dropout)
  explicit Net(int64_t width = 16, Dtype dtype = float32)
      : in(5, width, {.dtype = dtype}), out(width, 3, {.dtype = dtype}), norm(width, {.dtype = dtype}) {}
  Tensor forward(const Tensor& x) { return out(dropout(gelu(norm(in(x))))); }
};

/// A training whose every part has a memory: batch statistics, means of gradients, and dropout from the generator.
struct Training {
  Net model;
  optim::AdamW optimizer{model.parameters(), {.lr = 1e-2, .amsgrad = true}};
  int64_t step = 0;
  std::vector<double> run(int64_t steps) {
    std::vector<double> losses;
    for (int64_t i = 0; i < steps; ++i, ++step) {
      Generator batches(static_cast<uint64_t>(step));
      const Tensor x = randn({8, 5}, float32, batches), y = randint(0, 3, {8}, int64, batches);
      optimizer.lr() = 1e-2 / static_cast<double>(1 + step);
      optimizer.zero_grad();
      const Tensor loss = cross_entropy(model(x), y);
      loss.backward();
      optimizer.step();
      losses.push_back(loss.item());
    }
    return losses;
  }
  io::Checkpoint checkpoint() const {
    io::Checkpoint saved;
    saved.add("model", model.state_dict());
    saved.add("optimizer", optimizer.state_dict());
    saved.add("generator", default_generator());
    saved.settings["step"] = std::to_string(step);
    return saved;
  }
  void save(const std::string& path) const { io::save_checkpoint(path, checkpoint()); }
  void load(const std::string& path) {
    const io::Checkpoint saved = io::load_checkpoint(path);
    model.load_state_dict(saved["model"]);
    optimizer.load_state_dict(saved["optimizer"]);
    saved.restore("generator", default_generator());
    step = std::stoll(saved.settings.at("step"));
  }
};

}  // namespace

TEST_CASE("checkpoint: a training goes on with the same losses, bit for bit") {
  const TemporaryDirectory directory;
  const std::string path = directory / "run.safetensors";
  manual_seed(3);
  Training straight;
  std::vector<double> expected = straight.run(12);
  straight.save(path);
  const std::vector<double> rest = straight.run(12);

  manual_seed(99);
  randn({7});
  Training resumed;
  CHECK(resumed.run(2) != std::vector<double>(expected.begin(), expected.begin() + 2));
  resumed.load(path);
  CHECK(resumed.step == 12);
  CHECK(resumed.run(12) == rest);
  CHECK(default_generator().seed() == 3);
}

TEST_CASE("checkpoint: a training that is killed at any moment goes on bit for bit", "[slow]") {
  constexpr const char* name = "checkpoint: a training that is killed at any moment goes on bit for bit";
  constexpr const char* variable = "COTANGENT_TEST_TRAINING";
  if (const char* path = std::getenv(variable)) {  // this is the process to be killed
    manual_seed(3);
    Training training;
    if (std::filesystem::exists(path)) training.load(path);
    for (;;) {
      training.run(1);
      training.save(path);
      REQUIRE(write(STDERR_FILENO, ".", 1) == 1);
    }
  }

  const TemporaryDirectory directory;
  const std::string path = directory / "run.safetensors";
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(directory.path), std::filesystem::directory_iterator());
  };
  std::mt19937 random(60);
  manual_seed(3);
  Training straight;
  int unfinished = 0;
  for (int kills = 0; kills < 60; ++kills) {
    int progress[2];
    REQUIRE(pipe(progress) == 0);
    const pid_t child = fork();
    if (child == 0) {
      dup2(progress[1], STDERR_FILENO);
      close(progress[0]);
      setenv(variable, path.c_str(), 1);
      execl("/proc/self/exe", "test_io", name, nullptr);
      _exit(1);
    }
    close(progress[1]);
    char dot = 0;
    const bool saved_once = read(progress[0], &dot, 1) == 1 && dot == '.';
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    close(progress[0]);
    REQUIRE(saved_once);
    REQUIRE(WIFSIGNALED(status));

    const auto left = files() - 1;
    REQUIRE(left <= 1);  // that of before is gone
    unfinished += static_cast<int>(left);
    const io::Checkpoint saved = io::load_checkpoint(path);
    straight.run(std::stoll(saved.settings.at("step")) - straight.step);
    const io::Checkpoint expected = straight.checkpoint();
    REQUIRE(saved.settings == expected.settings);
    REQUIRE(saved.tensors.size() == expected.tensors.size());
    for (const auto& [key, tensor] : expected.tensors) {
      INFO(key);
      const Tensor dense = tensor.contiguous(), other = saved.tensors[key];
      REQUIRE(other.shape() == dense.shape());
      REQUIRE(std::memcmp(other.raw_data(), dense.raw_data(),
                          static_cast<size_t>(dense.numel() * item_size(dense.dtype()))) == 0);
    }
  }
  WARN(straight.step << " steps; " << unfinished << " of 60 kills left an unfinished file");
  CHECK(unfinished > 0);
  straight.save(path);
  CHECK(files() == 1);
}

TEST_CASE("checkpoint: of another model is an error that lists what does not fit, and changes nothing") {
  const TemporaryDirectory directory;
  const std::string path = directory / "run";
  Training training;
  training.run(1);
  training.save(path);
  const io::Checkpoint saved = io::load_checkpoint(path);
  CHECK(saved.parts() == std::vector<std::string>{"model", "optimizer", "generator"});

  Net wider(24);
  const auto before = wider.out.weight.to_vector<float>();
  const std::string said = error_of([&] { wider.load_state_dict(saved["model"]); });
  CHECK_THAT(said, Contains("2 of the model's 9 entries match; nothing was loaded"));
  CHECK_THAT(said, Contains("in.weight is (24, 5) in the model and (16, 5) in the state"));
  CHECK(wider.out.weight.to_vector<float>() == before);

  nn::Linear other(5, 3);
  CHECK_THAT(error_of([&] { other.load_state_dict(saved["model"]); }),
             Contains("missing     weight (3, 5)") && Contains("unexpected  in.weight (16, 5)"));
  optim::AdamW optimizer(wider.parameters());
  CHECK_THAT(error_of([&] { optimizer.load_state_dict(saved["optimizer"]); }),
             Contains("state.0.exp_avg is (16, 5), and its parameter is (24, 5); the state belongs to another model"));
  optim::SGD sgd(training.model.parameters(), {.lr = 1e-2});
  CHECK_THAT(error_of([&] { sgd.load_state_dict(saved["optimizer"]); }), Contains("entries belong to this SGD"));
}

namespace {
template <class Saved>
constexpr bool reads_0 = requires(const Saved& saved) {
  saved[0];
};
}  // namespace

TEST_CASE("checkpoint: errors") {
  STATIC_REQUIRE_FALSE(reads_0<io::Checkpoint>);
  const TemporaryDirectory directory;
  const std::string path = directory / "f";
  io::Checkpoint checkpoint;
  checkpoint.add("a", nn::StateDict{{"w", ones({2})}});
  checkpoint.add("ab", Generator(Generator::State{~uint64_t{0}, uint64_t{1} << 63}));
  CHECK_THAT(error_of([&] { checkpoint.add("a", Generator()); }), Contains("there is a part a already"));
  CHECK_THAT(error_of([&] { checkpoint.add("", Generator()); }), Contains("a part cannot be called ''"));
  CHECK_THAT(error_of([&] { checkpoint.add("x.y", Generator()); }), Contains("must be a word without dots"));
  CHECK_THAT(error_of([&] { checkpoint.add("x", nn::StateDict()); }), Contains("the state of x is empty"));
  CHECK_THAT(error_of([&] { checkpoint["model"]; }), Contains("there is no part model; there are a, ab"));
  CHECK(checkpoint["a"].size() == 1);
  Generator generator(5);
  CHECK_THAT(error_of([&] { checkpoint.restore("a", generator); }), Contains("not the state of a generator"));
  CHECK(generator.state() == Generator::State{5, 0});

  io::save_checkpoint(path, checkpoint);
  io::load_checkpoint(path).restore("ab", generator);
  CHECK(generator.state() == Generator::State{~uint64_t{0}, uint64_t{1} << 63});

  checkpoint.settings["format"] = "x";
  CHECK_THAT(error_of([&] { io::save_checkpoint(path, checkpoint); }), Contains("no setting can be called format"));
  io::write_safetensors(path, {{"w", ones({2})}}, {{"format", "pt"}});
  CHECK_THAT(error_of([&] { io::load_checkpoint(path); }), Contains("is no checkpoint"));
  io::write_safetensors(path, {{"w", ones({2})}});
  CHECK_THAT(error_of([&] { io::load_checkpoint(path); }), Contains("is no checkpoint"));
}
