#pragma once
// The gradient by the rules beside that by differences.
#include <cotangent/autograd/gradcheck/numeric_internal.hpp>

namespace cotangent::detail {

/// The derivatives of one order: of L with respect to each input.
struct Derivatives {
  int order;
  const Tensors& inputs;
  const std::vector<std::string>& names;
  std::vector<std::vector<double>> fast, recorded;  ///< by the rules, without and with create_graph
  std::vector<bool> reached;                        ///< whether the history leads to an input
};

/// What was measured of one input, element by element: what a diagnosis starts from.
struct Measured {
  size_t input;
  std::vector<int64_t> places = {};  ///< in row-major order; all of them for a small input
  std::vector<Difference> numeric = {};
  bool wrong = false;  ///< one of them, at least, or a direction
};

/// Compares them with differences, and adds what it finds to the report.
class Comparison {
 public:
  Comparison(NumericDerivative& numeric, Derivatives derivatives, const GradcheckOptions& options, CheckRandom& random,
             GradcheckReport& report);
  void run();
  const std::vector<Measured>& measured() const { return measured_; }
  const Derivatives& derivatives() const { return d_; }
  const GradcheckInput& found(size_t input) const { return report_.inputs[first_ + input]; }

 private:
  struct Sums {
    double fast = 0, recorded = 0, size = 0;
  };
  struct Doubt {
    GradcheckRow row;
    size_t input;
    int64_t elements;
    double bound;  // no error in these is larger
  };
  Verdict judge(double analytic, const Difference& d, double size, double rounding) const;
  Verdict check_element(size_t input, int64_t place, Measured& measured);
  void check_all(size_t input);
  void check_directions(size_t input);
  int64_t check_direction(const Moves& moves, bool closely, Measured& measured);
  int64_t certify(const Moves& moves, double noticed, const Difference& d, double size);
  std::vector<Moves> directions(size_t input, const Measured& measured);
  Moves part_of(const Moves& moves, size_t first, size_t last) const;
  int64_t worst_of(const Moves& moves);
  /// How far an element may be moved.
  double unit(size_t input, int64_t place) const { return units_[input][static_cast<size_t>(place)]; }
  Sums sums(const Moves& moves) const;
  void settle();
  void check_influence();
  void add_row(GradcheckRow row);
  GradcheckRow row(size_t input, int64_t place, bool recorded, const Difference& d) const;
  GradcheckInput& found(size_t input) { return report_.inputs[first_ + input]; }

  NumericDerivative& numeric_;
  Derivatives d_;
  const GradcheckOptions& options_;
  CheckRandom& random_;
  GradcheckReport& report_;
  size_t first_;  // of this order, in report_.inputs
  double rtol_, floor_ = 0;
  std::vector<std::vector<double>> units_;
  std::vector<double> rounding_;  // of the rules' own results, for each input
  std::vector<bool> moves_;       // whether an input has any influence
  std::vector<Measured> measured_;
  std::vector<Doubt> doubts_;
};

/// A broken contract, and the word of the diagnosis that fits it; `input` is "all inputs" where it is no one's alone.
void add_problem(GradcheckReport& report, int order, const std::string& input, const char* word,
                 const std::string& text);

/// Whether a line of the diagnosis says that the function is not determined.
bool is_left_to_chance(const std::string& line);

/// The worst first, and no more than are of use.
void sort_rows(GradcheckReport& report);

}  // namespace cotangent::detail
