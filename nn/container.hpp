#pragma once
// Modules made of modules.
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

namespace detail {
Tensor add_residual(const Tensor& x, const Tensor& change);
[[noreturn]] void empty_any();
}  // namespace detail

/// `count` modules, each made by a call of make(): std::vector<Block> blocks = nn::repeat(6, [] { return Block(64); });
template <class F>
auto repeat(int64_t count, F make) {
  std::vector<decltype(make())> modules;
  modules.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) modules.push_back(make());
  return modules;
}

/// A module of any type derived from Base, held by value: nn::Any<nn::Attention> attention = nn::MultiHeadAttention(64,
/// 8). A copy holds a copy, which shares the parameters as copies of modules do. In a list of members it stands for
/// what it holds. Empty when default-constructed or moved from: false, and a ValueError when it is used.
template <class Base>
class Any {
 public:
  Any() = default;
  template <class M>
  requires std::is_base_of_v<Base, M> Any(M module)
      : held_(new M(std::move(module))),
        copy_([](const Base& m) -> Base* { return new M(static_cast<const M&>(m)); }) {}
  Any(const Any& other) : held_(other.held_ ? other.copy_(*other.held_) : nullptr), copy_(other.copy_) {}
  Any(Any&& other) noexcept : held_(std::exchange(other.held_, nullptr)), copy_(other.copy_) {}
  Any& operator=(Any other) noexcept {
    std::swap(held_, other.held_);
    std::swap(copy_, other.copy_);
    return *this;
  }
  ~Any() { delete held_; }

  explicit operator bool() const { return held_ != nullptr; }
  Base& operator*() const {
    if (!held_) detail::empty_any();
    return *held_;
  }
  Base* operator->() const { return &**this; }
  /// Calls the module.
  template <class... Inputs>
  decltype(auto) operator()(Inputs&&... inputs) const {
    return (**this)(std::forward<Inputs>(inputs)...);
  }

 private:
  Base* held_ = nullptr;
  Base* (*copy_)(const Base& m) = nullptr;
};

/// A function of one tensor as a module, for nn::Sequential: nn::Function([](const Tensor& x) { return x.flatten(1);
/// }).
template <class F>
struct Function : Module {
  explicit Function(F f) : function(std::move(f)) {}
  F function;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x) { return function(x); }
};

/// Modules one after another, each fed with what the one before gives. They are named 0, 1, ...
///
///     nn::Sequential net(nn::Linear(2, 16), nn::Tanh(), nn::Linear(16, 1));
///
/// The modules are moved in. A function of one tensor may stand for a module.
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class... M>
  requires(sizeof...(M) > 1 ||
           (!std::is_same_v<std::remove_cvref_t<M>, Sequential> && ...)) explicit Sequential(M&&... modules) {
    stages_.reserve(sizeof...(M));
    (append(std::forward<M>(modules)), ...);
  }
  /// Adds a module at the end, and returns this.
  template <class M>
  Sequential& append(M&& module) {
    using Plain = std::remove_cvref_t<M>;
    if constexpr (std::is_base_of_v<Module, Plain>)
      stages_.emplace_back(new Holder<Plain>(std::forward<M>(module)));
    else
      stages_.emplace_back(new Holder<Function<Plain>>(Function<Plain>(std::forward<M>(module))));
    return *this;
  }

  size_t size() const { return stages_.size(); }
  /// Module i. With a type, a ValueError if it is another: net.at<nn::Linear>(0).weight.
  Module& operator[](size_t i) { return stage(i).module(); }
  template <class M>
  M& at(size_t i) {
    if (M* module = dynamic_cast<M*>(&stage(i).module())) return *module;
    wrong_type(i);
  }

  void members(Members& visitor) override;
  Tensor forward(const Tensor& x);
  Tensor operator()(const Tensor& x);
  Tensor operator()(const Tensor& x) const { return detail::evaluated(*this)(x); }
  template <class Self = void>
  auto clone() const {
    return detail::clone<Self>(*this);
  }

 private:
  /// A module of any type.
  struct Stage {
    virtual ~Stage() = default;
    virtual Tensor call(const Tensor& x) = 0;
    virtual Module& module() = 0;
    virtual Stage* copy() const = 0;
  };
  template <class M>
  struct Holder final : Stage {
    explicit Holder(M m) : held(std::move(m)) {}
    Tensor call(const Tensor& x) override { return held(x); }
    Module& module() override { return held; }
    Stage* copy() const override { return new Holder(held); }
    M held;
  };
  /// Owns a stage; a copy owns a copy.
  class Owner {
   public:
    explicit Owner(Stage* stage) : stage_(stage) {}
    Owner(const Owner& other) : stage_(other.stage_->copy()) {}
    Owner(Owner&& other) noexcept : stage_(std::exchange(other.stage_, nullptr)) {}
    Owner& operator=(Owner other) noexcept {
      std::swap(stage_, other.stage_);
      return *this;
    }
    ~Owner() { delete stage_; }
    Stage* operator->() const { return stage_; }
    Stage& operator*() const { return *stage_; }

   private:
    Stage* stage_;
  };
  Stage& stage(size_t i);
  [[noreturn]] void wrong_type(size_t i);

  std::vector<Owner> stages_;
};

/// y = x + body(x) (He et al., "Deep residual learning", 2016). A ShapeError if the body changes the shape.
template <class Body>
struct Residual : Module {
  explicit Residual(Body b) : body(std::move(b)) {}
  Body body;
  COTANGENT_MODULE(body)
  Tensor forward(const Tensor& x) { return detail::add_residual(x, body(x)); }
};

}  // namespace cotangent::nn
