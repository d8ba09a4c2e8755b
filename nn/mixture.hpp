#pragma once
// Mixtures of experts: many networks of one shape, of which each token goes through the few that a router chooses.
//
//     nn::MixtureOfExperts experts(64, nn::repeat(8, [] {
//       return nn::Sequential(nn::Linear(64, 256), nn::ReLU(), nn::Linear(256, 64));
//     }));
//     const nn::MixtureOutput y = experts(x);
//     Tensor loss = mse_loss(x + y.output, target) + y.loss;
#include <cotangent/nn/container.hpp>

namespace cotangent::nn {

/// Which experts a token goes to, and by which gates their outputs are multiplied, given the logits z = x W^T of the
/// token and p = softmax(z). Of equal experts the first come first.
enum class Gating : uint8_t {
  dense,         ///< all, by p
  noisy_top_k,   ///< the k largest of h = z + e softplus(x Wn^T), by the softmax of these; e is normal in training and
                 ///< 0 in evaluation. W and Wn start at 0. Shazeer et al., arXiv:1701.06538
  switch_top_1,  ///< the largest, by its p: by 1 the router would get no gradient. Fedus et al., arXiv:2101.03961
  gshard_top_2   ///< the two largest, by g1 = p1 / (p1 + p2) and g2 = p2 / (p1 + p2); in training the second is asked
                 ///< with a probability of min(1, g2 / second_threshold). Lepikhin et al., arXiv:2006.16668
};

struct MixtureOptions {
  Gating gating = Gating::switch_top_1;
  int64_t top_k = 2;              ///< k of noisy_top_k
  double second_threshold = 0.5;  ///< 0.5 gives the article's min(1, 2 g2), 0.2 Mesh TensorFlow's rule, 0 keeps all
  double capacity_factor = 0;     ///< c: an expert takes ceil(c tokens / E) tokens at most; 0 for any number
  double noise = 0;               ///< of switch_top_1 and gshard_top_2: in training the choice and p are those of
                                  ///< z + noise e, e normal, as in Riquelme et al., arXiv:2106.05974
  double balance = 1e-2;          ///< weight of the loss that spreads the tokens evenly over the experts
  double z = 1e-3;                ///< weight of router_z_loss
  Dtype dtype = default_dtype();  ///< of the router's weights
};

/// What a router says of n tokens and E experts. float16 and bfloat16 are routed in float32, also under Autocast.
struct Route {
  Tensor experts;     ///< int64 (n, k), the largest gate first; -1 where none is asked
  Tensor gates;       ///< (n, k)
  Tensor importance;  ///< (E): for noisy_top_k the sum of the gates, else the mean P of p
  Tensor load;        ///< (E): for noisy_top_k the sum of load_probability, else the part f of the tokens whose first
                      ///< choice it is, which has no gradient
  Tensor z;           ///< (): router_z_loss of the logits
};

/// The square of the coefficient of variation, var(x) / (mean(x)^2 + 1e-10), where var divides by n: 0 where all
/// elements are equal, n - 1 where one is everything.   x (..) -> ()
Tensor cv_squared(const Tensor& x);
/// The probability that an expert stays among the k largest if its noise alone is drawn again,
///   P_i = Phi((clean_i - the kth largest of noisy without i) / deviation_i),   (n, E) each -> (n, E)
/// which is smooth where the number of tokens is not. 1 for k = E. Shazeer et al., arXiv:1701.06538, appendix A.
Tensor load_probability(const Tensor& clean, const Tensor& noisy, const Tensor& deviation, int64_t k);
/// E sum_i f_i P_i: 1 where tokens and probabilities are spread evenly, E where one expert has all. Its gradient goes
/// to P.   Fedus et al., arXiv:2101.03961.
Tensor switch_balance_loss(const Tensor& load, const Tensor& importance);
/// mean(logsumexp(z)^2), which keeps logits small: (n, E) -> (), and 0 without tokens. Zoph et al., arXiv:2202.08906.
Tensor router_z_loss(const Tensor& logits);

/// The router alone.   x (n, d) -> Route;   weight (E, d), and for noisy_top_k noise_weight (E, d)
/// At the start W is normal with a variance of 0.1 / d, but for noisy_top_k both weights are 0. A ShapeError for
/// another x, a ValueError for options out of range.
struct Router : Module {
  Router(int64_t width, int64_t experts, const MixtureOptions& options = {});
  Parameter weight, noise_weight;
  MixtureOptions options;
  COTANGENT_MODULE(weight, noise_weight)
  Route forward(const Tensor& x);
  std::string settings() const override;
};

struct MixtureOutput {
  Tensor output;  ///< of x's shape but for the width, which is that of the experts' results
  Tensor loss;    ///< (): what to add to the loss in training, weighted as the options say
  Tensor load;    ///< int64 (E): the tokens that each expert took
};

/// y = sum over a token's experts of gate times expert(x).   x (.., d) -> (.., d')
/// The loss is z router_z_loss, to which noisy_top_k adds balance (CV^2(importance) + CV^2(load)), and switch_top_1 and
/// gshard_top_2 add balance switch_balance_loss. An expert that has a capacity takes first choices before second ones,
/// and of each the first tokens. What is left over adds nothing, so that a token that nobody takes has y = 0 (a
/// residual around the mixture carries it on). An expert without tokens is called with none, and gets gradients of 0.
struct MixtureOfExperts : Module {
  MixtureOfExperts(int64_t width, std::vector<Sequential> experts, const MixtureOptions& options = {});
  Router router;
  std::vector<Sequential> experts;
  COTANGENT_MODULE(router, experts)
  MixtureOutput forward(const Tensor& x);
  /// The same with another's choice: x (n, d) -> (n, d'), and how many tokens each expert took.
  MixtureOutput apply_route(const Tensor& x, const Route& route);
};

/// Two levels: a router chooses groups of experts, and each group's router among its own, so that
///   y = sum_i G_i(x) sum_j G_ij(x) E_ij(x).   x (.., d) -> (.., d')
/// The loss has the form of one level, over all experts: importance_ij = sum_x G_i(x) G_ij(x), load_ij = load_i
/// load'_ij / n_i for the n_i tokens of group i, and the sum of the first router_z_loss and the mean of the others, all
/// with the weights of `options`. All routers are noisy_top_k; a ValueError otherwise. Shazeer et al.,
/// arXiv:1701.06538, appendix B.
struct HierarchicalMixture : Module {
  HierarchicalMixture(int64_t width, std::vector<MixtureOfExperts> groups,
                      const MixtureOptions& options = {.gating = Gating::noisy_top_k});
  Router router;
  std::vector<MixtureOfExperts> groups;
  COTANGENT_MODULE(router, groups)
  MixtureOutput forward(const Tensor& x);
};

}  // namespace cotangent::nn
