// Words as vectors: word2vec on two made-up languages of which it is known what the vectors should tell, and on a text.
//
//     grid    6 x 6 words; word (i, j) stands among words that belong to row i and others that belong to column j.
//             Then vector(i, j) - vector(k, j) + vector(k, l) should be next to vector(i, l), as "king" - "man" +
//             "woman" is to "queen"
//     topics  4 x 10 words; a sentence has words of one topic, but for one in five. Words of one topic should be alike
//     text    Debian's fortunes, or a file: what is next to some words, and a picture of them in a plane
#include <algorithm>
#include <chrono>
#include <cotangent/cotangent.hpp>
#include <cotangent/zoo.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "common/command_line.hpp"
#include "common/gnuplot.hpp"

namespace ct = cotangent;
namespace zoo = cotangent::zoo;
using ct::Tensor;

constexpr zoo::Word2VecLoss kLosses[] = {zoo::Word2VecLoss::negative_sampling, zoo::Word2VecLoss::nce,
                                         zoo::Word2VecLoss::hierarchical_softmax};

/// The vectors with length 1, and without what all have in common: their products are cosines.
Tensor directions(const Tensor& vectors) {
  const Tensor v = vectors.detach() - ct::mean(vectors.detach(), 0, true);
  return v / ct::sqrt(ct::sum(ct::square(v), 1, true));
}

// ---- Two languages ----

constexpr int64_t kSide = 6, kTopics = 4, kTopicWords = 10;

/// Sentences of two words of the row, the word (i, j), and two words of the column; token 0 is between sentences.
Tensor grid_text(int64_t sentences, ct::Generator& g) {
  const auto draw = [&](int64_t end) { return ct::randint(0, end, {sentences, 1}, ct::int64, g); };
  const Tensor i = draw(kSide), j = draw(kSide), words = 1 + i * kSide + j;
  constexpr int64_t rows = 1 + kSide * kSide, columns = rows + 4 * kSide;  // where their own words begin, 4 of each
  return ct::cat({ct::zeros({sentences, 1}, ct::int64), rows + i * 4 + draw(4), rows + i * 4 + draw(4), words,
                  columns + j * 4 + draw(4), columns + j * 4 + draw(4)},
                 1)
      .flatten();
}

/// The share of (i, j) - (k, j) + (k, l) with i != k and j != l that are next to (i, l) of all other words.
double grid_analogies(const Tensor& vectors) {
  const Tensor v = directions(vectors.narrow(0, 1, vectors.size(0) - 1));
  const auto word = [](int64_t i, int64_t j) { return i * kSide + j; };
  int64_t right = 0, all = 0;
  for (int64_t i = 0; i < kSide; ++i)
    for (int64_t j = 0; j < kSide; ++j)
      for (int64_t k = 0; k < kSide; ++k)
        for (int64_t l = 0; l < kSide; ++l) {
          if (i == k || j == l) continue;
          const Tensor cosine = ct::matmul(v, v[word(i, j)] - v[word(k, j)] + v[word(k, l)]);
          for (const int64_t given : {word(i, j), word(k, j), word(k, l)}) cosine[given].fill_(-10);
          right += ct::argmax(cosine).item<int64_t>() == word(i, l);
          ++all;
        }
  return static_cast<double>(right) / static_cast<double>(all);
}

Tensor topic_text(int64_t sentences, ct::Generator& g) {
  constexpr int64_t length = 8;
  const Tensor topic = ct::randint(0, kTopics, {sentences, 1}, ct::int64, g);
  const Tensor own = topic * kTopicWords + ct::randint(0, kTopicWords, {sentences, length}, ct::int64, g);
  const Tensor any = ct::randint(0, kTopics * kTopicWords, {sentences, length}, ct::int64, g);
  const Tensor words = ct::where(ct::rand({sentences, length}, ct::float32, g) < 0.2, any, own);
  return ct::cat({ct::zeros({sentences, 1}, ct::int64), 1 + words}, 1).flatten();
}

/// The mean cosine of two words of a topic, less that of two words of different ones.
double topic_contrast(const Tensor& vectors) {
  constexpr int64_t n = kTopics * kTopicWords;
  const Tensor words = vectors.detach().narrow(0, 1, n);
  const Tensor v = words / ct::sqrt(ct::sum(ct::square(words), 1, true));
  const double all = ct::sum(ct::square(ct::sum(v, 0))).item();  // the sum of v_a . v_b over all pairs
  const double within = ct::sum(ct::square(ct::sum(v.reshape({kTopics, kTopicWords, -1}), 1))).item();
  return (within - n) / (n * (kTopicWords - 1)) - (all - within) / (n * (n - kTopicWords));
}

/// How often each word comes; what is between sentences is none.
Tensor counts_of(const Tensor& tokens, int64_t vocabulary) {
  return ct::scatter_add(ct::zeros({vocabulary}), 0, tokens, (tokens != 0).to(ct::float32));
}

/// Means over some texts, each with other starting values.
void show_languages(int64_t sentences, int64_t starts) {
  std::printf("%-22s %-10s %16s %20s %26s\n", "loss", "", "grid: analogies", "topics: contrast",
              "analogies by one slow pass");
  for (const zoo::Word2VecLoss loss : kLosses)
    for (const bool cbow : {false, true}) {
      double analogies = 0, contrast = 0, slow = 0;
      for (int64_t start = 1; start <= starts; ++start) {
        const auto learned = [&](const Tensor& text, int64_t window, int64_t epochs, double rate) {
          const int64_t vocabulary = ct::max(text).item<int64_t>() + 1;
          ct::manual_seed(static_cast<uint64_t>(start));
          zoo::Word2Vec model(counts_of(text, vocabulary), {.width = 16, .loss = loss});
          model.fit(text, {.cbow = cbow,
                           .window = window,
                           .epochs = epochs,
                           .subsampling = zoo::Subsampling::none,
                           .rate = rate,
                           .boundary = 0});
          return model.in;
        };
        ct::Generator g(static_cast<uint64_t>(start) + 1);
        const Tensor grid = grid_text(sentences, g), topics = topic_text(sentences / 4, g);
        const double rate = cbow ? 0.2 : 0.05;
        analogies += grid_analogies(learned(grid, 2, 10, rate)) / static_cast<double>(starts);
        contrast += topic_contrast(learned(topics, 5, 10, rate)) / static_cast<double>(starts);
        slow += grid_analogies(learned(grid, 2, 1, 0.01)) / static_cast<double>(starts);
      }
      std::printf("%-22s %-10s %14.1f %% %20.3f %24.1f %%\n", zoo::name(loss), cbow ? "CBOW" : "skip-gram",
                  100 * analogies, contrast, 100 * slow);
      std::fflush(stdout);
    }
}

// ---- A text ----

struct Group {
  const char* name;
  std::vector<std::string> words;
};
const std::vector<Group> kGroups{
    {"numbers",
     {"one", "two", "three", "four", "five", "six", "seven", "eight", "ten", "twenty", "hundred", "thousand"}},
    {"times",
     {"minutes", "hours", "days", "weeks", "months", "years", "day", "week", "month", "year", "night", "morning"}},
    {"family", {"mother", "father", "wife", "husband", "son", "daughter", "brother", "sister", "children", "parents"}},
    {"computers",
     {"computer", "software", "program", "code", "unix", "linux", "system", "machine", "user", "users", "windows"}},
    {"food", {"food", "eat", "drink", "milk", "coffee", "tea", "beer", "wine", "bread", "cheese", "sugar", "water"}}};

/// The vectors of the groups' words in the plane in which they differ most: that of the first two right singular
/// vectors.
void draw_groups(const zoo::Word2Vec& model, const ct::data::WordVocabulary& vocabulary, const std::string& out) {
  struct Point {
    size_t group;
    std::string word;
  };
  std::vector<Point> points;
  ct::Tensors rows;
  const Tensor v = directions(model.in);
  for (size_t group = 0; group < kGroups.size(); ++group)
    for (const std::string& word : kGroups[group].words)
      if (const int64_t token = vocabulary.token(word); token != ct::data::WordVocabulary::unknown) {
        points.push_back({group, word});
        rows.push_back(v[token]);
      }
  if (points.size() < 3) return;
  Tensor x = ct::stack(rows, 0);
  x = x - ct::mean(x, 0, true);
  const Tensor plane = ct::matmul(x, ct::linalg::svd(x, false).Vh.narrow(0, 0, 2).transpose(0, 1));

  std::string script = "set terminal svg size 1100,800 font 'Helvetica,13' background 'white'\nset output " +
                       quoted(out + "/word2vec.svg") +
                       "\nunset border; unset tics; set key outside right top Left reverse\n"
                       "set offsets graph 0.03, graph 0.08, graph 0.03, graph 0.03\n"
                       "colours = '#1f4e9c #e08a1e #2b8a3e #b3261e #7b3fa0'\n";
  std::string plot = "plot ";
  for (size_t group = 0; group < kGroups.size(); ++group) {
    const std::string data = "$g" + std::to_string(group),
                      colour = "rgb word(colours, " + std::to_string(group + 1) + ")";
    std::string lines;
    for (size_t i = 0; i < points.size(); ++i) {
      if (points[i].group != group) continue;
      const Tensor place = plane[static_cast<int64_t>(i)];
      for (const int64_t k : {0, 1}) lines.append(std::to_string(place[k].item())).append(" ");
      lines.append(points[i].word).append("\n");
    }
    if (lines.empty()) continue;
    script.append(data).append(" << END\n").append(lines).append("END\n");
    plot.append(data).append(" with points pt 7 ps 0.5 lc ").append(colour);
    plot.append(" title '").append(kGroups[group].name).append("', ").append(data);
    plot.append(" using 1:2:3 with labels left offset 0.5,0 tc ").append(colour).append(" notitle, ");
  }
  std::filesystem::create_directories(out);
  run_gnuplot(script + plot + "\n", out + "/word2vec.svg");
  std::printf("the picture is in %s\n", out.c_str());
}

struct Settings {
  std::string text, loss = "negative_sampling", out = "runs/word2vec";
  bool cbow = false;
  int64_t width = 100, window = 5, epochs = 15, min_count = 5, sentences = 20000, starts = 3;
  std::vector<std::string> words{"three", "father", "computer", "water", "monday", "president"};
};

void learn_text(const Settings& s, const std::string& text) {
  using ct::data::WordVocabulary;
  const WordVocabulary vocabulary(text, s.min_count);
  Tensor tokens = vocabulary.encode(text);
  tokens = ct::index_select(tokens, 0, ct::nonzero(tokens != WordVocabulary::unknown).flatten());
  std::printf("%lld words of %lld kinds\n", static_cast<long long>(ct::sum(tokens != 0).item<int64_t>()),
              static_cast<long long>(vocabulary.size() - 2));

  ct::manual_seed(1);
  const auto* loss = std::ranges::find(kLosses, s.loss, zoo::name);
  zoo::Word2Vec model(counts_of(tokens, vocabulary.size()), {.width = s.width, .loss = *loss});
  const auto start = std::chrono::steady_clock::now();
  const double last =
      model.fit(tokens, {.cbow = s.cbow, .window = s.window, .epochs = s.epochs, .boundary = WordVocabulary::boundary});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%lld passes in %.1f s: %.0f words a second; loss %.3f\n", static_cast<long long>(s.epochs), seconds,
              static_cast<double>(s.epochs * tokens.numel()) / seconds, last);

  const Tensor v = directions(model.in);
  for (const std::string& word : s.words) {
    const int64_t token = vocabulary.token(word);
    if (token == WordVocabulary::unknown) {
      std::printf("%-12s comes less than %lld times\n", word.c_str(), static_cast<long long>(s.min_count));
      continue;
    }
    const auto [cosines, nearest] = ct::topk(ct::matmul(v, v[token]), 9);
    std::printf("%-12s", word.c_str());
    for (int64_t i = 1; i < 9; ++i)
      std::printf(" %s %.2f", vocabulary.word(nearest[i].item<int64_t>()).c_str(), cosines[i].item());
    std::printf("\n");
  }
  draw_groups(model, vocabulary, s.out);
}

int main(int argc, char** argv) {
  Settings s;
  CommandLine options("word2vec", "Learns vectors of words, from two made-up languages and from a text.", 1);
  options.add("--sentences", s.sentences, "Sentences of the made-up languages; 0 leaves them out", kNotNegative);
  options.add("--starts", s.starts, "Texts and starting values of the made-up languages, over which means are taken",
              kPositive);
  options.group("The text");
  options.add("--text", s.text, "A file instead of Debian's fortunes");
  options.add("--loss", s.loss, "The loss by which the vectors are learned");
  options.allow("--loss", {zoo::name(kLosses[0]), zoo::name(kLosses[1]), zoo::name(kLosses[2])});
  options.add("--cbow", s.cbow, "Predict a word from the mean of those around it, not those around from the word");
  options.add("--width", s.width, "Numbers in a vector", kPositive);
  options.add("--window", s.window, "Words on either side, at most", kPositive);
  options.add("--epochs", s.epochs, "Passes over the text", kPositive);
  options.add("--min-count", s.min_count, "Rarer words are left out", kPositive);
  options.add("--words", s.words, "Words whose nearest neighbours are printed");
  options.add("--out", s.out, "Directory for the picture");
  return options.run(argc, argv, [&] {
    const std::string text = s.text.empty() ? ct::data::read_fortunes() : ct::data::read_text(s.text);
    if (s.sentences > 0) show_languages(s.sentences, s.starts);
    learn_text(s, text);
  });
}
