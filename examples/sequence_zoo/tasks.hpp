// Seven small tasks, each of which asks a layer for one thing that it should be able to do. Tokens are integers, and at
// some places the model is asked for one:
//
//     copy     3 1 4 . . > _ _ _        12 symbols of 10, blanks, a marker; then the 12 in order. Is a far place found?
//              - - - - - - 3 1 4
//     shift    3 1 4 1 5 9              the token 3 places before, without a causal mask. Is a place found at all?
//              - - - 3 1 4              Without positions one can but name the row's commonest token: right for 19 %
//     induct   3 1 ! 5 9 2 !            what followed the marker when it stood there before. Two steps of reasoning:
//              - - - - - - 5            one finds the token before, the next finds a place by what it saw
//     mqar     a 3 b 1 c 4 b a c        4 to 8 pairs of key and value, then the keys in another order. How much is held
//              - - - - - - 1 3 4        in memory? ("multi-query associative recall", Arora et al., arXiv:2312.04927)
//     selcopy  . 3 . . 1 4 . > > >      6 symbols of 8 at random places among 32 blanks (or as you say of both),
//              - - - - - - - 3 1 4      then markers, which ask for them in order. Can it choose what to remember?
//                                       ("selective copying", Gu and Dao, arXiv:2312.00752)
//     markov   3 1 4 1 5 9              the next token of a random source that looks two tokens back. Nobody can do
//              - 4 1 5 9 2              better than its entropy
//     delay    .3 -1 .7 2 .1            numbers of a normal distribution: what came 32 steps ago, K of 128 in all. How
//              - - - .3 -1              exactly is it kept, whatever comes after it?
#pragma once
#include <cotangent/tensor/random.hpp>
#include <functional>
#include <string>
#include <vector>

/// What is not asked at a place: the losses pass over it.
inline constexpr int64_t kNotAsked = -100;

struct Examples {
  cotangent::Tensor x;  // (B, T) tokens, or numbers
  cotangent::Tensor y;  // (B, T) the answers, kNotAsked elsewhere
};

/// By what a task is judged.
enum class Measure : uint8_t {
  accuracy,       // the share of right answers: solved from `target` on
  cross_entropy,  // by how much of the task's entropy it lies above it: solved down from `target`
  squared_error   // of numbers, by their variance: solved down from `target`
};

struct Task {
  std::string name;
  int64_t tokens;  // how many there are; 0 where the sequences are of numbers
  int64_t length;  // T, at most
  bool causal;     // a token may not see those after it
  Measure measure;
  double target;    // solved
  double guessing;  // the same figure for a model that has learned how often each answer comes, and no more
  std::function<Examples(int64_t batch, cotangent::Generator& generator)> draw;
  double entropy = 0;  // of an answer in nats, given all before it, for Measure::cross_entropy

  bool solved(double figure) const { return measure == Measure::accuracy ? figure >= target : figure <= target; }
};

/// copy, shift, induct, mqar, selcopy, markov and delay. With a length above 0, only those whose sequences may be of
/// any, shift, induct, markov and delay, with sequences of that length. selcopy has `copied` symbols
/// among `blanks`.
std::vector<Task> tasks(int64_t length = 0, int64_t copied = 6, int64_t blanks = 32);
/// Tests whether their examples are what this file says: an Error that says what is not. tasks_check.cpp
void check_tasks();
