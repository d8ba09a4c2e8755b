#include <catch2/catch.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/cotangent.hpp>

using namespace cotangent;

namespace {

Tensor named(const Shape& shape, const char* name = "") {
  Tensor x = ones(shape);
  x.requires_grad_().set_name(name);
  return x;
}

std::vector<std::string> ops_of(const Graph& graph) {
  std::vector<std::string> result;
  for (const GraphNode& node : graph.nodes()) result.push_back(node.op);
  return result;
}

/// "2.0": output 0 of node 2.
std::vector<std::string> inputs_of(const GraphNode& node) {
  std::vector<std::string> result;
  for (const GraphInput& x : node.inputs) result.push_back(std::to_string(x.node) + '.' + std::to_string(x.output));
  return result;
}

using Words = std::vector<std::string>;

struct Block : nn::Module {
  nn::Linear fc{3, 3};
  COTANGENT_MODULE(fc)
  Tensor forward(const Tensor& x) { return relu(fc(x)); }
};
struct Tower : nn::Module {
  std::vector<Block> blocks = nn::repeat(2, [] { return Block(); });
  nn::Linear head{3, 1};
  COTANGENT_MODULE(blocks, head)
  Tensor forward(Tensor x) {
    for (Block& block : blocks) x = block(x);
    return head(x);
  }
};

struct Critic : nn::Module {
  nn::Linear fc{3, 1};
  COTANGENT_MODULE(fc)
  Tensor forward(const Tensor& x) { return fc(x); }
};
struct CallsCritic : nn::Module {
  nn::Linear own{3, 3};
  Critic* critic = nullptr;  // in no list
  COTANGENT_MODULE(own)
  Tensor forward(const Tensor& x) { return (*critic)(own(x)); }
};

}  // namespace

TEST_CASE("graph: nodes, shapes, inputs and names of a history") {
  const Tensor a = named({2, 3}, "a"), b = named({3});
  const Tensor y = a * b, z = sum(exp(y));
  y.set_name("y");
  const Graph graph(z);
  CHECK(ops_of(graph) == Words{"leaf", "expand", "leaf", "mul", "exp", "sum", "reshape"});
  const auto& nodes = graph.nodes();
  CHECK(nodes[0].is_leaf);
  CHECK(nodes[2].outputs[0].name == "a");
  CHECK(nodes[2].outputs[0].shape == Shape{2, 3});
  CHECK(nodes[3].outputs[0].name == "y");
  CHECK(nodes[3].outputs[0].dtype == float32);
  CHECK(inputs_of(nodes[3]) == Words{"2.0", "1.0"});
  CHECK(inputs_of(nodes[5]) == Words{"4.0"});
  CHECK(nodes[6].outputs[0].shape == Shape{});
  CHECK(graph.roots().size() == 1);
  CHECK(graph.roots()[0].node == 6);
  CHECK(graph.find(y) == 3);
  CHECK(graph.find(named({1})) == -1);
  CHECK(nodes[3].modules.empty());
  for (size_t i = 1; i < nodes.size(); ++i)
    for (const GraphInput& x : nodes[i].inputs) CHECK(x.node < static_cast<int64_t>(i));
}

TEST_CASE("graph: without a history there is none, and a leaf stands alone") {
  CHECK(Graph(Tensor()).nodes().empty());
  CHECK(Graph(ones({2})).nodes().empty());
  CHECK(Graph(ones({2})).roots()[0].node == -1);
  const Tensor x = named({2}, "x");
  CHECK(Graph((x * 2).detach()).nodes().empty());
  CHECK(ops_of(Graph(x)) == Words{"leaf"});
  CHECK(to_string(Graph(ones({2}))) == "no history\n");
  CHECK(ops_of(Graph(sum(x * (x * 2).detach()))) == Words{"leaf", "mul", "sum", "reshape"});
  NoGrad guard;
  CHECK(Graph(x * 2).nodes().empty());
}

TEST_CASE("graph: a node that is used twice is there once") {
  const Tensor a = named({2});
  const Tensor b = a + a, c = b + b;
  const Graph graph(sum(c));
  CHECK(ops_of(graph) == Words{"leaf", "add", "add", "sum", "reshape"});
  CHECK(inputs_of(graph.nodes()[1]) == Words{"0.0", "0.0"});
  CHECK(inputs_of(graph.nodes()[2]) == Words{"1.0", "1.0"});
  CHECK(ops_of(Graph(std::vector<Tensor>{b, c, b})) == Words{"leaf", "add", "add"});
}

TEST_CASE("graph: several outputs, views and constants") {
  const Tensor x = named({2, 4});
  const std::vector<Tensor> parts = split(x, 2, 1);
  const Graph several(sum(parts[1] * 2));
  const GraphNode& mul = several.nodes()[several.nodes().size() - 3];
  CHECK(mul.op == "mul");
  const GraphNode& made = several.nodes()[static_cast<size_t>(mul.inputs[0].node)];
  CHECK(made.outputs[static_cast<size_t>(mul.inputs[0].output)].shape == Shape{2, 2});

  SortResult sorted = sort(x, 1);
  const Graph two(sorted.values);
  CHECK(two.nodes().back().outputs.size() == 2);
  CHECK(two.nodes().back().outputs[1].dtype == int64);
  CHECK(Graph(x.transpose(0, 1)).nodes().back().outputs[0].shape == Shape{4, 2});

  const Graph constant(x * ones({2, 4}));
  CHECK(inputs_of(constant.nodes().back()) == Words{"0.0", "-1.0"});
}

TEST_CASE("graph: what is saved, its bytes, and what happens to it") {
  const Tensor a = named({2, 3}), b = named({2, 3});
  const Tensor product = a * b, y = exp(product);
  const Tensor loss = sum(y * y);
  Graph graph(loss);
  const GraphNode &mul = graph.nodes()[2], &exponential = graph.nodes()[3], &square = graph.nodes()[4];
  REQUIRE(mul.saved.size() == 2);
  CHECK((!mul.saved[0].is_output && mul.saved[0].index == 0 && mul.saved[0].bytes == 24));
  CHECK(mul.saved[0].shape == Shape{2, 3});
  REQUIRE(exponential.saved.size() == 1);
  CHECK(exponential.saved[0].is_output);
  CHECK(square.saved.size() == 2);
  CHECK(exponential.saved[0].memory == square.saved[1].memory);
  CHECK(graph.saved_bytes() == 3 * 24);  // a, b, y, though y is kept three times
  // the values are known where somebody keeps them
  CHECK(graph.nodes()[0].outputs[0].value.defined());
  CHECK_FALSE(mul.outputs[0].value.defined());
  CHECK(equal(exponential.outputs[0].value, y.detach()));
  CHECK_FALSE(exponential.outputs[0].value.requires_grad());

  CHECK_FALSE(graph.grad(0).defined());
  product.retain_grad();
  loss.backward();
  CHECK(allclose(graph.grad(0), a.grad()));
  CHECK(graph.grad(2).shape() == Shape{2, 3});
  CHECK_FALSE(graph.grad(3).defined());
  CHECK(exponential.outputs[0].value.defined());  // the graph holds it
  const Graph after(loss);
  CHECK(after.nodes()[3].released);
  CHECK(after.nodes()[3].saved.empty());
  CHECK(after.saved_bytes() == 0);
  CHECK_FALSE(after.nodes()[5].released);  // sum has nothing to keep
  CHECK_THAT(to_string(after), Catch::Contains("what it kept is freed"));
}

TEST_CASE("graph: writes in place") {
  const Tensor x = named({3}, "x");
  Tensor y = x * 2;
  y.set_name("y");
  const Tensor kept = exp(y);
  Tensor z = kept;
  z.add_(1);
  const Graph graph(z);
  const GraphNode& exponential = graph.nodes()[static_cast<size_t>(graph.nodes().back().inputs[0].node)];
  CHECK(exponential.op == "exp");
  CHECK(exponential.saved[0].written_since);
  CHECK_THAT(to_string(graph), Catch::Contains("output 0 (written in place since)"));
  y.add_(x);  // a name stays with its tensor, and where it was
  CHECK(y.name() == "y");
  const Graph twice(y);
  CHECK(twice.nodes().back().outputs[0].name == "y");
  CHECK(twice.nodes()[1].outputs[0].name == "y");
  // through a view
  Tensor base = x * 3;
  base.select(0, 1).mul_(x[0]);
  CHECK(Graph(base).nodes().size() > 3);
  CHECK(Graph(base.slice(0, 0, 1)).nodes().back().op == "slice");
}

TEST_CASE("set_name and name") {
  Tensor x = ones({2});
  CHECK(x.name().empty());
  CHECK_THROWS_WITH(x.set_name("x"),
                    Catch::Contains("[set_name] the tensor of shape (2,) does not require a gradient"));
  x.requires_grad_().set_name("x");
  CHECK(x.name() == "x");
  CHECK(Tensor(x).name() == "x");
  CHECK((x * 2).name().empty());
  x.set_name("w");
  CHECK(x.name() == "w");
  x.set_name("");
  CHECK(x.name().empty());
  CHECK(Graph(sum(x)).nodes()[0].outputs[0].name.empty());
  CHECK_THROWS_AS(Tensor().name(), Error);
  CHECK(Graph(sum(x), {{"given", x}, {"other", ones({1})}}).nodes()[0].outputs[0].name == "given");
}

TEST_CASE("a named leaf takes its gradient as any other") {
  const Tensor x = named({2}, "x");
  sum(x * x + x).backward();
  sum(x).backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{4, 4});
}

TEST_CASE("graph: modules and parameters have their paths where somebody watches") {
  Tower model;
  const Tensor x = named({4, 3}, "x");
  CHECK(Graph(model(x)).nodes().back().modules.empty());
  Tensor loss;
  {
    WatchGraph watch;
    loss = mean(model(x));
  }
  const Graph graph(loss);
  Words paths, names;
  for (const GraphNode& node : graph.nodes())
    if (node.is_leaf)
      names.push_back(node.outputs[0].name);
    else if (node.op == "linear" || node.op == "relu" || node.op == "mean")
      paths.push_back(node.op + ' ' + node.module());
  CHECK(paths == Words{"linear Tower.blocks.0.fc", "relu Tower.blocks.0", "linear Tower.blocks.1.fc",
                       "relu Tower.blocks.1", "linear Tower.head", "mean "});
  std::sort(names.begin(), names.end());
  CHECK(names == Words{"blocks.0.fc.bias", "blocks.0.fc.weight", "blocks.1.fc.bias", "blocks.1.fc.weight", "head.bias",
                       "head.weight", "x"});
  const GraphNode& first = graph.nodes()[static_cast<size_t>(graph.find(model.blocks[0].fc.weight))];
  CHECK(first.modules == std::vector<GraphModule>{{"", "Tower"}, {"blocks.0", "Block"}, {"fc", "Linear"}});
  CHECK(graph.nodes()[static_cast<size_t>(graph.find(x))].modules.empty());
  CHECK(model.blocks[0].fc.weight.name().empty());  // nothing was written into the model
  // after the scope nobody watches
  CHECK(Graph(model(x)).nodes().back().modules.empty());
}

TEST_CASE("graph: a module that is in no list has its type for a name, and its parameters have none") {
  Critic critic;
  critic.trained_elsewhere();
  CallsCritic model;
  model.critic = &critic;
  WatchGraph watch;
  const Graph graph(model(ones({2, 3})));
  CHECK(graph.nodes().back().module() == "CallsCritic.Critic.fc");
  CHECK(graph.nodes()[static_cast<size_t>(graph.find(critic.fc.weight))].outputs[0].name.empty());
  CHECK(graph.nodes()[static_cast<size_t>(graph.find(model.own.weight))].outputs[0].name == "own.weight");
  // one after the other, and one within a lambda that throws: each call ends
  CHECK_THROWS(critic(ones({2, 5})));
  CHECK(Graph(critic(ones({2, 3}))).nodes().back().module() == "Critic.fc");
}

TEST_CASE("graph: what was recorded before a forward pass threw") {
  nn::Sequential model(nn::Linear(3, 4), nn::ReLU(), nn::Linear(5, 1));
  WatchGraph watch;
  CHECK(watch.graph().nodes().empty());
  CHECK_THROWS_AS(model(ones({2, 3})), ShapeError);
  const Graph partial = watch.graph();
  CHECK(ops_of(partial).back() == "relu");
  CHECK(partial.nodes().back().outputs[0].shape == Shape{2, 4});
  CHECK_THAT(to_string(partial), Catch::Contains("0.weight"));
}

TEST_CASE("graph: an observer sees its own thread", "[threads]") {
  Tower model;
  const Tensor x = named({4, 3});
  WatchGraph watch;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        WatchGraph own;
        const Tensor loss = mean(model(x));
        const Graph graph(loss);
        if (graph.nodes().size() != own.graph().nodes().size()) throw std::runtime_error("a node of another thread");
        loss.backward();
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(watch.graph().nodes().empty());
}

TEST_CASE("graph: as text") {
  const Tensor w = named({2, 3}, "w");
  const Tensor loss = mean(linear(ones({4, 3}), w));
  CHECK(to_string(Graph(loss)) ==
        "0  leaf w   float32 (2, 3)\n"
        "1  linear   float32 (4, 2)  from -, 0, -  keeps 48 B: input 0\n"
        "2  mean     float32 (1, 1)  from 1\n"
        "3  reshape  float32 ()      from 2\n"
        "3 ops and 1 leaf; 48 B are kept for the backward pass\n");
  CHECK_THAT(to_string(Graph(sort(w, 1).values * 2)), Catch::Contains("from 1.0"));
}

TEST_CASE("graph: in the language of Graphviz") {
  const Tensor w = named({2}, "a \"quoted\" \\ name\nof two lines");
  const std::string dot = to_dot(Graph(sum(w)));
  CHECK_THAT(dot, Catch::Contains(R"x(n0 [label = "a \"quoted\" \\ name\nof two lines\nfloat32 (2,)", )x"));
  CHECK_THAT(dot, Catch::Contains("n0 -> n1;"));
  Tower model;
  WatchGraph watch;
  const std::string nested = to_dot(Graph(model(ones({2, 3}))));
  CHECK_THAT(nested, Catch::Contains("label = \"Tower\"") && Catch::Contains("label = \"blocks.1: Block\"") &&
                         Catch::Contains("label = \"fc: Linear\"") && Catch::Contains("blocks.1.fc.weight"));
  CHECK(std::count(nested.begin(), nested.end(), '{') == std::count(nested.begin(), nested.end(), '}'));
  CHECK_THAT(to_dot(Graph(ones({2}))), Catch::StartsWith("digraph {") && Catch::EndsWith("}\n"));
}

TEST_CASE("graph: Graphviz draws it", "[slow]") {
  if (std::system("command -v dot > /dev/null") != 0) {
    WARN("graphviz is not installed: the graph is not drawn");
    return;
  }
  Tower model;
  WatchGraph watch;
  const Tensor x = named({2, 3}, "a \"name\" \\ <&>\n\\");
  const Graph graph(mean(model(x)));
  const auto path = std::filesystem::temp_directory_path() / "cotangent_graph_test.dot";
  std::ofstream(path) << to_dot(graph);
  REQUIRE(std::system(("dot -Tsvg '" + path.string() + "' > '" + path.string() + ".svg'").c_str()) == 0);
  std::ostringstream text;
  text << std::ifstream(path.string() + ".svg").rdbuf();
  const auto count = [svg = text.str()](const std::string& part) {
    size_t n = 0;
    for (size_t at = svg.find(part); at != std::string::npos; at = svg.find(part, at + 1)) ++n;
    return n;
  };
  size_t edges = 0;
  for (const GraphNode& node : graph.nodes())
    for (const GraphInput& input : node.inputs) edges += input.node >= 0;
  CHECK(count("class=\"node\"") == graph.nodes().size());
  CHECK(count("class=\"edge\"") == edges);
  CHECK(count("class=\"cluster\"") == 6);  // Tower, two blocks, their layers, the head
  CHECK(count("&quot;name&quot;") == 1);
  std::filesystem::remove(path);
  std::filesystem::remove(path.string() + ".svg");
}

TEST_CASE("graph: sizes have a unit that keeps them short") {
  const auto text_of = [](int64_t elements) { return to_string(Graph(exp(zeros({elements}).requires_grad_()))); };
  CHECK_THAT(text_of(10), Catch::Contains("keeps 40 B: output 0"));
  CHECK_THAT(text_of(1000), Catch::Contains("keeps 4 kB: output 0"));
  CHECK_THAT(text_of(308642), Catch::Contains("keeps 1.23 MB: output 0"));
}

TEST_CASE("graph: 100,000 nodes in a chain") {
  const Tensor x = named({1});
  Tensor y = x;
  for (int i = 0; i < 100000; ++i) y = y + x;
  const auto start = std::chrono::steady_clock::now();
  const Graph graph(y);
  CHECK(graph.nodes().size() == 100001);
  CHECK(to_string(graph).size() > 1000000);
  CHECK(to_dot(graph).size() > 1000000);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}
