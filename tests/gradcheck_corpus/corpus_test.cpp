// The corpus under the checker: planted faults are caught, named and laid at the right op's door; their healthy twins
// pass.
#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include <cotangent/autograd/gradcheck/gradcheck.hpp>

#include "corpus.hpp"

using namespace cotangent;
using namespace cotangent::corpus;

namespace {

struct Count {
  int planted = 0, failed = 0, doubtful = 0, named = 0, blamable = 0, blamed = 0;
  void add(const Count& c) {
    planted += c.planted, failed += c.failed, doubtful += c.doubtful, named += c.named, blamable += c.blamable;
    blamed += c.blamed;
  }
};

const std::vector<Fault>& all_faults() {
  static const std::vector<Fault> all = [] {
    std::vector<Fault> faults;
    for (const auto& family :
         {elementwise_faults, reduction_faults, layout_faults, norm_faults, image_faults, index_faults,
          attention_faults, order_faults, contract_faults, place_faults, reported_faults, reported_image_faults})
      for (Fault& fault : family()) faults.push_back(std::move(fault));
    return faults;
  }();
  return all;
}

bool keeps_a_matrix(const Fault& fault) {
  const Shape& shape = fault.inputs[0].shape;
  return shape.rank() == 2 && fault.right(make_inputs(fault.inputs)).shape() == shape;
}

// Each stands alone, most in a network too, and of these what can stand in a recurrent one there as well.
template <class F>
void for_each_place(F&& visit) {
  for (const Fault& fault : all_faults()) {
    visit(fault, Network::none);
    if (fault.network != Network::none) visit(fault, fault.network);
    if (fault.network == Network::mlp && keeps_a_matrix(fault)) visit(fault, Network::recurrent);
  }
}

bool names(const GradcheckReport& report, const std::string& word) {
  for (const std::string& line : report.diagnosis)
    if (line.find(": " + word + ": ") != std::string::npos) return true;
  return false;
}

// COTANGENT_CORPUS=missed,unnamed,unblamed prints the report of each case that is not caught, named or blamed.
bool wants(const char* what) {
  const char* asked = std::getenv("COTANGENT_CORPUS");
  return asked && std::string(asked).find(what) != std::string::npos;
}

const char* name(Network network) {
  const char* all[] = {"alone", "mlp", "cnn", "attention", "scores", "recurrent"};
  return all[static_cast<int>(network)];
}

}  // namespace

TEST_CASE("gradcheck catches the faults of the corpus") {
  std::map<std::string, Count> words;
  Count alone, networks;
  std::set<std::string> ops;
  for_each_place([&](const Fault& fault, Network network) {
    INFO(fault.name << ", " << name(network));
    const Planted p(fault, network, false);
    const GradcheckReport report = gradcheck(p, p.checked());
    Count c{.planted = 1};
    c.failed = report.verdict == Verdict::fail, c.doubtful = report.verdict == Verdict::inconclusive;
    c.named = names(report, fault.word);
    c.blamable = *fault.op ? 1 : 0;
    c.blamed = c.blamable && report.blame.op == fault.op;
    if (*fault.op) ops.insert(fault.op);
    words[fault.word].add(c);
    (network == Network::none ? alone : networks).add(c);
    const bool show = (!c.failed && wants("missed")) || (!c.named && wants("unnamed")) ||
                      (c.blamable && !c.blamed && wants("unblamed"));
    if (show) std::printf("[%s] %s, %s\n%s\n", fault.word, fault.name, name(network), report.to_string(4).c_str());
  });
  std::printf("%-16s %8s %8s %13s %10s %8s\n", "class", "planted", "failed", "inconclusive", "diagnosed", "blamed");
  const auto line = [](const std::string& title, const Count& c) {
    std::printf("%-16s %8d %8d %13d %10d %4d/%d\n", title.c_str(), c.planted, c.failed, c.doubtful, c.named, c.blamed,
                c.blamable);
  };
  Count all;
  for (const auto& [word, c] : words) {
    line(word, c);
    all.add(c);
  }
  line("alone", alone);
  line("in networks", networks);
  line("all", all);
  std::printf("%zu faults, %zu names of ops\n", all_faults().size(), ops.size());
  CHECK(2 * networks.planted >= all.planted);
  CHECK(all.failed + all.doubtful == all.planted);
  CHECK(all.failed >= 0.98 * all.planted);
  CHECK(all.named >= 0.93 * all.planted);
  CHECK(all.blamed >= 0.98 * all.blamable);
}

// COTANGENT_SEEDS=20 takes that many places.
TEST_CASE("gradcheck passes the healthy twins of the corpus") {
  const char* asked = std::getenv("COTANGENT_SEEDS");
  const auto seeds = static_cast<uint64_t>(asked ? std::atoi(asked) : 1);
  int twins = 0, doubtful = 0;
  for_each_place([&](const Fault& fault, Network network) {
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
      INFO(fault.name << ", " << name(network) << ", seed " << seed);
      const Planted p(fault, network, true, seed);
      const GradcheckReport report = gradcheck(p, p.checked(), {.seed = seed});
      ++twins;
      doubtful += report.verdict == Verdict::inconclusive;
      INFO(report.to_string(4));
      CHECK(report.verdict != Verdict::fail);
    }
  });
  std::printf("gradcheck: %d healthy twins, %d of them inconclusive\n", twins, doubtful);
  CHECK(doubtful <= 0.02 * twins);
}
