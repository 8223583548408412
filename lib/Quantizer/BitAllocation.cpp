//===- BitAllocation.cpp - Who gets how many bits -------------------------===//
//
// Part of the Nibble project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "nibble/Quantizer/BitAllocation.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace nibble::quantizer;

/// States of the dynamic program that are kept after an item. Real models need
/// some hundred.
static constexpr size_t maxStates = 1 << 13;

namespace {
/// An option in terms of the problem that is solved: `value` is to be small,
/// and `weight` has a limit.
struct Option {
  double weight, value;
  unsigned number;
};
using Options = std::vector<Option>;

/// A step along the hull of an item.
struct Step {
  unsigned item, from;
  double weight, gain;

  double getRatio() const { return gain / weight; }
};

class Solver {
public:
  explicit Solver(std::vector<Options> classes);

  /// Nothing if no choice keeps the limit.
  std::optional<std::vector<unsigned>> solve(double limit, bool &isOptimal);
  llvm::ArrayRef<Step> getSteps() const { return steps; }
  /// Numbers in `getPareto` of the options on the hull of an item.
  const Options &getHull(unsigned item) const { return hulls[item]; }

private:
  struct State {
    double weight, value, penalty;
    uint32_t parent;
    unsigned option;
  };

  std::vector<unsigned> getNumbers(llvm::ArrayRef<unsigned> places) const;
  std::vector<std::vector<State>> search(double limit, double lambda,
                                         double gap, bool &isOptimal) const;

  /// By item, options that are not worse than another one, by weight; and
  /// those of them on the lower convex hull.
  std::vector<Options> pareto, hulls;
  /// Of all items, the best first. The steps of one item are in their order.
  std::vector<Step> steps;
};
} // namespace

/// Options with less value than every lighter one, by weight.
static Options keepPareto(Options options) {
  llvm::erase_if(options, [](const Option &option) {
    return !std::isfinite(option.weight) || !std::isfinite(option.value) ||
           option.weight < 0 || option.value < 0;
  });
  llvm::stable_sort(options, [](const Option &a, const Option &b) {
    return std::tie(a.weight, a.value) < std::tie(b.weight, b.value);
  });
  Options kept;
  for (const Option &option : options)
    if (kept.empty() || option.value < kept.back().value)
      kept.push_back(option);
  return kept;
}

/// Pareto options below every line between two others.
static Options keepHull(llvm::ArrayRef<Option> options) {
  Options hull;
  for (const Option &option : options) {
    auto isAbove = [&] {
      const Option &a = hull[hull.size() - 2], &b = hull.back();
      return (b.value - a.value) * (option.weight - a.weight) >=
             (option.value - a.value) * (b.weight - a.weight);
    };
    while (hull.size() > 1 && isAbove())
      hull.pop_back();
    hull.push_back(option);
  }
  return hull;
}

Solver::Solver(std::vector<Options> classes) {
  for (Options &options : classes) {
    pareto.push_back(keepPareto(std::move(options)));
    hulls.push_back(keepHull(pareto.back()));
  }
  for (auto [item, hull] : llvm::enumerate(hulls))
    for (unsigned i = 0; i + 1 < hull.size(); ++i)
      steps.push_back({static_cast<unsigned>(item), i,
                       hull[i + 1].weight - hull[i].weight,
                       hull[i].value - hull[i + 1].value});
  // Ratios fall along a hull, but rounding may make two equal.
  llvm::stable_sort(steps, [](const Step &a, const Step &b) {
    return a.getRatio() > b.getRatio();
  });
}

/// Goes item by item and keeps the choices that can still be better than the
/// greedy one: `lambda` is what a unit of the limit is worth, and what a choice
/// gives away at that price, its penalty, must stay below `gap`.
std::vector<std::vector<Solver::State>>
Solver::search(double limit, double lambda, double gap, bool &isOptimal) const {
  std::vector<double> lightest(pareto.size() + 1);
  for (size_t i = pareto.size(); i-- > 0;)
    lightest[i] = lightest[i + 1] + pareto[i].front().weight;
  std::vector<std::vector<State>> stages = {{State{0, 0, 0, 0, 0}}};
  for (auto [item, options] : llvm::enumerate(pareto)) {
    auto getPrice = [&](const Option &o) {
      return o.value + lambda * o.weight;
    };
    double least = getPrice(options.front());
    for (const Option &option : options)
      least = std::min(least, getPrice(option));
    // Only the whole sum must keep the limit to the last bit.
    double most = item + 1 == pareto.size() ? limit : limit * (1 + 1e-12);
    std::vector<State> states;
    for (auto [parent, before] : llvm::enumerate(stages.back()))
      for (auto [place, option] : llvm::enumerate(options)) {
        State state{before.weight + option.weight, before.value + option.value,
                    before.penalty + getPrice(option) - least,
                    static_cast<uint32_t>(parent),
                    static_cast<unsigned>(place)};
        if (state.penalty < gap && state.weight + lightest[item + 1] <= most)
          states.push_back(state);
      }
    llvm::stable_sort(states, [](const State &a, const State &b) {
      return std::tie(a.weight, a.value) < std::tie(b.weight, b.value);
    });
    std::vector<State> kept;
    for (const State &state : states)
      if (kept.empty() || state.value < kept.back().value)
        kept.push_back(state);
    if (kept.size() > maxStates) {
      isOptimal = false;
      llvm::stable_sort(kept, [](const State &a, const State &b) {
        return a.penalty < b.penalty;
      });
      kept.resize(maxStates);
    }
    stages.push_back(std::move(kept));
  }
  return stages;
}

std::vector<unsigned>
Solver::getNumbers(llvm::ArrayRef<unsigned> places) const {
  std::vector<unsigned> numbers;
  for (auto [hull, place] : llvm::zip_equal(hulls, places))
    numbers.push_back(hull[place].number);
  return numbers;
}

std::optional<std::vector<unsigned>> Solver::solve(double limit,
                                                   bool &isOptimal) {
  isOptimal = true;
  double weight = 0, value = 0, bestPrice = 0;
  for (const Options &hull : hulls) {
    if (hull.empty())
      return std::nullopt;
    weight += hull.front().weight;
    value += hull.front().value;
  }
  if (!(weight <= limit))
    return std::nullopt;

  // Greedy: the first step that does not fit has the price of the limit.
  std::vector<unsigned> places(hulls.size());
  const Step *first = nullptr;
  for (const Step &step : steps) {
    if (places[step.item] != step.from)
      continue;
    if (weight + step.weight > limit) {
      first = first ? first : &step;
      continue;
    }
    ++places[step.item];
    weight += step.weight;
    value -= step.gain;
  }
  if (!first)
    return getNumbers(places);

  double lambda = first->getRatio();
  for (const Options &hull : hulls) {
    double least = hull.front().value + lambda * hull.front().weight;
    for (const Option &option : hull)
      least = std::min(least, option.value + lambda * option.weight);
    bestPrice += least;
  }
  // No choice has less value than `bestPrice - lambda * limit`.
  double gap = value - (bestPrice - lambda * limit);
  auto stages = search(limit, lambda, gap, isOptimal);
  const std::vector<State> &last = stages.back();
  auto best = llvm::min_element(
      last, [](const State &a, const State &b) { return a.value < b.value; });
  if (best == last.end() || !(best->value < value))
    return getNumbers(places);
  std::vector<unsigned> numbers(pareto.size());
  const State *state = &*best;
  for (size_t item = pareto.size(); item-- > 0;) {
    numbers[item] = pareto[item][state->option].number;
    state = &stages[item][state->parent];
  }
  return numbers;
}

/// The items with one of their figures as weight and the other as value.
static std::vector<Options> makeClasses(llvm::ArrayRef<AllocationItem> items,
                                        double AllocationOption::*weight,
                                        double AllocationOption::*value) {
  std::vector<Options> classes;
  for (const AllocationItem &item : items) {
    Options &options = classes.emplace_back();
    for (auto [number, option] : llvm::enumerate(item))
      options.push_back(
          {option.*weight, option.*value, static_cast<unsigned>(number)});
  }
  return classes;
}

static std::optional<Allocation> solve(llvm::ArrayRef<AllocationItem> items,
                                       double AllocationOption::*weight,
                                       double AllocationOption::*value,
                                       double limit) {
  Allocation result;
  auto choices =
      Solver(makeClasses(items, weight, value)).solve(limit, result.isOptimal);
  if (!choices)
    return std::nullopt;
  result.choices = std::move(*choices);
  for (auto [item, choice] : llvm::zip_equal(items, result.choices)) {
    result.size += item[choice].size;
    result.damage += item[choice].damage;
  }
  return result;
}

std::optional<Allocation>
nibble::quantizer::minimizeDamage(llvm::ArrayRef<AllocationItem> items,
                                  double maxSize) {
  return solve(items, &AllocationOption::size, &AllocationOption::damage,
               maxSize);
}

std::optional<Allocation>
nibble::quantizer::minimizeSize(llvm::ArrayRef<AllocationItem> items,
                                double maxDamage) {
  return solve(items, &AllocationOption::damage, &AllocationOption::size,
               maxDamage);
}

std::vector<AllocationOption>
nibble::quantizer::computeFrontier(llvm::ArrayRef<AllocationItem> items) {
  Solver solver(
      makeClasses(items, &AllocationOption::size, &AllocationOption::damage));
  AllocationOption point;
  for (unsigned item = 0; item != items.size(); ++item) {
    if (solver.getHull(item).empty())
      return {};
    point.size += solver.getHull(item).front().weight;
    point.damage += solver.getHull(item).front().value;
  }
  std::vector<AllocationOption> frontier = {point};
  for (const Step &step : solver.getSteps()) {
    point.size += step.weight;
    point.damage -= step.gain;
    frontier.push_back(point);
  }
  return frontier;
}
