#include <cotangent/autograd/graph/page.hpp>

#include <catch2/catch.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <cotangent/autograd/graph/embedded_internal.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tests/json.hpp>

using namespace cotangent;

namespace {

Tensor named_ones(const Shape& shape, const char* name) {
  Tensor x = ones(shape);
  x.requires_grad_().set_name(name);
  return x;
}

/// What the page holds for its scripts.
Json data_of(const std::string& page) {
  const std::string start = "id=\"data\">";
  const size_t from = page.find(start) + start.size();
  return Json::parse(page.substr(from, page.find("</script>", from) - from));
}

std::string text_of(const Json& known) { return known.is_null() ? "null" : known["text"].get<std::string>(); }

struct PageNet : nn::Module {
  nn::Linear fc1{3, 4}, fc2{4, 1};
  COTANGENT_MODULE(fc1, fc2)
  Tensor forward(const Tensor& x) { return fc2(relu(fc1(x))); }
};

}  // namespace

TEST_CASE("page: one file that loads nothing") {
  const Tensor x = named_ones({2}, "x");
  const std::string page = to_html(Graph(sum(x * x)), {.title = "squares"});
  CHECK_THAT(page, Catch::StartsWith("<!DOCTYPE html>"));
  for (const char* foreign : {"http:", "https:", "src=", "href=", "url(", "import ", "fetch("})
    CHECK_THAT(page, !Catch::Contains(foreign));
  for (const char* place : {"/* style.css */", "/* tree.js */", "/* layout.js */", "/* draw.js */", "/* page.js */"})
    CHECK_THAT(page, !Catch::Contains(place));
  CHECK_THAT(page, Catch::Contains("function layout()") && Catch::Contains("function draw()"));
  CHECK(data_of(page)["title"] == "squares");
}

TEST_CASE("page: nodes, values and gradients; what is not known is not 0") {
  PageNet net;
  const WatchGraph watch;
  const Tensor loss = mean(net(ones({2, 3})));
  const Graph graph(loss);
  const Json before = data_of(to_html(graph))["nodes"];
  REQUIRE(before.size() == graph.nodes().size());
  for (const Json node : before)
    for (const Json y : node["outputs"]) CHECK(y["grad"].is_null());
  const size_t linear = static_cast<size_t>(graph.nodes().back().inputs[0].node) - 1;  // fc2, before mean and reshape
  REQUIRE(before[linear]["op"] == "linear");
  CHECK(before[linear]["modules"][1][0] == "fc2");
  CHECK(before[linear]["modules"][1][1] == "Linear");
  CHECK(before[linear]["inputs"].size() == 3);
  CHECK(before[linear]["outputs"][0]["shape"] == "(2, 1)");
  CHECK(text_of(before[linear]["outputs"][0]["value"]) == "not known: nobody keeps it");
  const int relu = before[linear]["inputs"][0][0];
  CHECK_THAT(text_of(before[static_cast<size_t>(relu)]["outputs"][0]["value"]), Catch::StartsWith("min "));

  loss.backward();
  const Json after = data_of(to_html(graph))["nodes"];
  for (const Json node : after)
    CHECK(node["outputs"][0]["grad"].is_null() == !node["leaf"].get<bool>());  // results do not retain theirs
  CHECK_THAT(text_of(after[static_cast<size_t>(relu)]["outputs"][0]["value"]), Catch::StartsWith("min "));
  const Json late = data_of(to_html(Graph(loss)))["nodes"];
  CHECK(text_of(late[static_cast<size_t>(relu)]["outputs"][0]["value"]) == "not known: what was kept is freed");
  CHECK(late[static_cast<size_t>(relu)]["saved"] == "what it kept is freed");
}

TEST_CASE("page: a value that was written since is not shown") {
  const Tensor x = named_ones({2}, "x");
  Tensor y = exp(x);
  y.add_(1);
  const Json nodes = data_of(to_html(Graph(y)))["nodes"];
  CHECK(text_of(nodes[1]["outputs"][0]["value"]) == "not known: it was kept, and written in place since");
}

TEST_CASE("page: few elements are shown themselves, and NaN is counted") {
  const Tensor x = named_ones({4}, "x");
  const Tensor y = exp(x * tensor({0.f, NAN, INFINITY, 0.f}));
  const Json value = data_of(to_html(Graph(y)))["nodes"].back()["outputs"][0]["value"];
  CHECK(value["text"] == "min 1, max 1, mean 1, std 0, 1 NaN, 1 infinite");
  CHECK(value["elements"] == to_string(y.detach()));
  CHECK_FALSE(
      data_of(to_html(Graph(exp(named_ones({100}, "")))))["nodes"][1]["outputs"][0]["value"].contains("elements"));
}

TEST_CASE("page: names can't end the script, and may be anything") {
  const char* name = "</script><script>alert(1)</script> \"quoted\" \\ \n <!-- & \xe2\x80\xa8";
  const Tensor x = named_ones({2}, name);
  const std::string page = to_html(Graph(sum(x)), {.title = "<b>", .note = "a\n</script>"});
  CHECK(data_of(page)["nodes"][0]["name"] == name);
  CHECK(data_of(page)["note"] == "a\n</script>");
  CHECK_THAT(page, !Catch::Contains("<script>alert") && !Catch::Contains("<b>"));
  x.set_name("\xff\xfe");  // no UTF-8
  CHECK_NOTHROW(data_of(to_html(Graph(sum(x)))));
}

TEST_CASE("page: the steps of a pass") {
  const Tensor a = named_ones({2}, "a");
  const Tensor b = a + a, c = sum(b * b);
  const Graph graph(c);
  const Json data = data_of(to_html(graph, {.steps = backward_steps(c)}));
  const Json steps = data["steps"];
  REQUIRE(steps.size() == 4);  // reshape, sum, mul, add
  CHECK(data["nodes"][static_cast<size_t>(steps[3]["node"].get<int>())]["op"] == "add");
  CHECK(text_of(steps[3]["arrived"][0]) == "min 4, max 4, mean 4, std 0");
  CHECK(steps[3]["sent"][0]["to"].get<int>() == 0);
  CHECK(steps[3]["sent"][0]["before"].is_null());
  CHECK(text_of(steps[3]["sent"][1]["before"]) == "min 4, max 4, mean 4, std 0");
  CHECK(text_of(data["nodes"][0]["outputs"][0]["grad"]) == "min 8, max 8, mean 8, std 0");
  // of another graph: there is no place for it
  const Tensor other = sum(named_ones({1}, "other") * 2);
  CHECK(data_of(to_html(graph, {.steps = backward_steps(other)}))["steps"][0]["node"].get<int>() == -1);
}

TEST_CASE("page: without history, and of a forward pass that threw") {
  CHECK(data_of(to_html(Graph(ones({2}))))["nodes"].empty());
  nn::Sequential model(nn::Linear(3, 4), nn::Linear(5, 1));
  const WatchGraph watch;
  CHECK_THROWS(model(ones({2, 3})));
  CHECK(data_of(to_html(watch.graph()))["nodes"].back()["op"] == "linear");
}

TEST_CASE("page: contracts come from the headers of the ops") {
  CHECK_THAT(detail::op_contract("silu"),
             Catch::StartsWith("x * sigmoid(x)") && Catch::Contains("dx = dy s (1 + x (1 - s)), s = sigmoid(x)"));
  CHECK(detail::op_contract("maximum") == detail::op_contract("minimum"));  // one comment above both
  CHECK_THAT(detail::op_contract("mul"), Catch::Contains("da = dy * b"));
  CHECK(detail::op_contract("mul_") == detail::op_contract("mul"));
  CHECK(detail::op_contract("no_such_op").empty());
  CHECK(detail::op_contract("").empty());
  const Tensor x = named_ones({2}, "x");
  CHECK(data_of(to_html(Graph(silu(x))))["contracts"]["silu"] == detail::op_contract("silu"));
}

TEST_CASE("page: 5,000 nodes in little time") {
  const Tensor x = named_ones({4}, "x");
  Tensor y = x;
  for (int i = 0; i < 5000; ++i) y = y * x;
  const Graph graph(sum(y));
  const auto steps = backward_steps(sum(y));
  const auto start = std::chrono::steady_clock::now();
  const std::string page = to_html(graph, {.steps = steps});
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  CHECK(page.size() < 10'000'000);
}

TEST_CASE("page: a browser draws it", "[slow]") {
  const auto folder = std::filesystem::temp_directory_path() / "cotangent_page_test";
  std::filesystem::create_directories(folder);
  const auto body = [&](const std::string& page, const std::string& link) {
    std::ofstream(folder / "page.html") << page;
    const std::string command =
        "timeout 120 chromium --headless --no-sandbox --disable-gpu --virtual-time-budget=10000 --dump-dom 'file://" +
        (folder / "page.html").string() + link + "' > '" + (folder / "dom.html").string() + "' 2> /dev/null";
    REQUIRE(std::system(command.c_str()) == 0);
    std::ostringstream text;
    text << std::ifstream(folder / "dom.html").rdbuf();
    const std::string dom = text.str();
    return dom.substr(0, dom.find("<script"));
  };
  if (std::system("command -v chromium > /dev/null") != 0) {
    WARN("chromium is not installed: the page is not drawn");
    return;
  }
  PageNet net;
  const WatchGraph watch;
  const Tensor loss = mean(net(ones({2, 3})));
  const Graph graph(loss);
  const std::string page = to_html(graph, {.title = "a net", .steps = backward_steps(loss)});
  // fc1 and fc2 with their parameters, PageNet and relu, mean and reshape; the line from relu to linear has a trunk
  CHECK_THAT(body(page, "#open=all"),
             Catch::Contains("data-drawn=\"12 boxes, 13 lines\"") && Catch::Contains(">a net<"));
  CHECK_THAT(body(page, "#open=none"), Catch::Contains("data-drawn=\"3 boxes, 2 lines\""));
  CHECK_THAT(body(page, "#open=none&select=0"), Catch::Contains("fc1.weight") && Catch::Contains("not computed yet"));
  CHECK_THAT(body(page, "#step=5&select=0"), Catch::Contains("step 5, from ") && Catch::Contains("grad(): "));
  CHECK_THAT(body(to_html(Graph(ones({1}))), ""), Catch::Contains("no history") && Catch::Contains("0 boxes, 0 lines"));

  // what a reader does: click, drag, turn the wheel, open and close, press keys, move the slider, search
  const std::string reader = R"x(<script>{
canvas.setPointerCapture = () => {};  // there is no real pointer
const boxOf = (item) => scene.boxes.find((b) => b.item === item);
const area = canvas.getBoundingClientRect();
const at_ = (b) => ({ pointerId: 1, clientX: area.left + view.x + (b.x + 10) * view.scale, clientY: area.top + view.y + (b.y + 10) * view.scale });
const pointer = (kind, place) => canvas.dispatchEvent(new PointerEvent("pointer" + kind, place));
const click = (b) => (pointer("down", at_(b)), pointer("up", at_(b)));
const press = (key) => window.dispatchEvent(new KeyboardEvent("keydown", { key }));
const type = (id, value) => ((byId(id).value = value), byId(id).dispatchEvent(new Event("input")));
const relu = nodes.find((node) => node.op === "relu"), outermost = root.children.find((child) => child.group);
const seen = [];
click(boxOf(relu)), seen.push(byId("panel").querySelector("h2").textContent);
const x = view.x, place = at_(boxOf(relu));
pointer("down", place), pointer("move", { ...place, clientX: place.clientX + 50 }), pointer("up", place), seen.push("moved " + (view.x - x));
const scale = view.scale;
canvas.dispatchEvent(new WheelEvent("wheel", { ...place, deltaY: -500, cancelable: true })), seen.push("zoomed " + (view.scale / scale).toFixed(2));
click(boxOf(outermost)), seen.push("closed " + scene.boxes.length);
canvas.dispatchEvent(new MouseEvent("dblclick", at_(boxOf(outermost)))), seen.push("opened " + scene.boxes.length);
press("e"), seen.push("e " + scene.boxes.length);
press("c"), seen.push("c " + scene.boxes.length);
press("ArrowRight"), seen.push("step " + at);
type("step", 3), seen.push(byId("where").textContent);
type("search", "fc2.bias"), seen.push(selected.item.name);
click({ x: -1e6, y: 0 }), seen.push("nothing " + (selected === null));
document.body.dataset.seen = seen.join(", ");
}</script></body>)x";
  std::string read = page;
  read.replace(read.find("</body>"), 7, reader);
  CHECK_THAT(body(read, ""),
             Catch::Contains("data-seen=\"relu, moved 50, zoomed 2.72, closed 3, opened 6, e 12, c 3, step 1, "
                             "backward, step 3 of 5, fc2.bias, nothing true\""));

  Tensor x = named_ones({4}, "</script><i>x</i>"), y = x;
  for (int i = 0; i < 5000; ++i) y = y * x;
  CHECK_THAT(body(to_html(Graph(y)), "#select=0"),
             Catch::Contains("data-drawn=\"5001 boxes, ") && Catch::Contains("&lt;/script&gt;&lt;i&gt;x"));
  std::filesystem::remove_all(folder);
}
