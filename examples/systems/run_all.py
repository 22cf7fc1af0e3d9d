"""Run all experiments, or some, and print what they reached as a table in Markdown.

    python examples/systems/run_all.py [--n-jobs N] [NUMBER ...]

for instance ``python examples/systems/run_all.py 9 18``. Without numbers all of them are run, in
two processes unless told otherwise; that takes 515 seconds of CPU time. Seconds are
CPU time, without the compilation of kernels where they are in the cache. Experiments 12, 13 and 24
share trained networks: 12 trains those without attention, 13 those with it.

The bounds are those of the tests (`tests/test_systems_*.py`), which hold the experiments to them.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed, parallel_config

FOLDER = Path(__file__).resolve().parent


class Row(NamedTuple):
    """What is shown of one experiment; texts are format strings of the numbers it returns."""

    script: str
    reached: str
    baseline: str
    bounds: str  # of what is reached; of the baseline


# fmt: off
ROWS = {
    "1": Row("exp_01_parameter_sharing",
             "shifted sentences: tanh {tanh_shifted:.1%}, GRU {gru_shifted:.1%}",
             "bag of words {bag_shifted:.1%}, weights for each position {mlp_shifted:.1%}",
             "≥ 99 %; ≤ 55 %, ≤ 60 %"),
    "2": Row("exp_02_brackets",
             "{bits:.3f} bits (entropy {entropy:.3f}), right bracket {right_kinds:.1%}",
             "best Markov chain {bits_markov:.3f} bits",
             "≤ entropy + 0.08, ≥ 97 %; ≥ entropy + 0.2"),
    "2b": Row("exp_02b_english",
              "{bits:.3f} bits",
              "best Markov chain {best_markov:.3f} bits",
              "none: the text depends on the version of Python"),
    "3": Row("exp_03_sequence_output",
             "{bits:.5f} bit",
             "recurrence from the output, given true ones: {bits_output_recurrence_forced:.4f} bit",
             "≤ 0.01; 1 ± 0.01"),
    "4": Row("exp_04_output_at_the_end",
             "orthogonal tanh {orthogonal:.1%}, LSTM {lstm:.1%}",
             "small uniform weights: tanh {uniform:.1%}",
             "≥ 95 %; < 95 %, and 2 points below"),
    "5": Row("exp_05_output_recurrence",
             "{accuracy:.2%} of 1000 steps",
             "the same on y(t) = x(t - 2): {accuracy_echo:.1%}",
             "≥ 99.9 %; ≤ 60 %"),
    "6": Row("exp_06_initial_state",
             "MSE {mse_learned:.0e}",
             "from the state 0: MSE {mse_zeros:.4f} (variance {variance:.4f})",
             "≤ 0.001; the variance"),
    "6b": Row("exp_06b_any_initial_state",
              "MSE {mse_zeros:.4f}, {mse_half:.4f}, {mse_drawn:.4f}",
              "the mean: MSE {mse_mean:.3f}",
              "≤ 0.01, within a factor of 2; > 0.01"),
    "7": Row("exp_07_teacher_forcing",
             "scheduled sampling {free_run_scheduled:.3f}, better for {n_better:.0f} of 3 seeds",
             "teacher forcing {free_run_teacher:.3f}, counting the same steps"
             " {free_run_teacher_warm:.3f}",
             "≤ 0.6 of the first, 3 of 3; above it"),
    "8": Row("exp_08_exact_gradients",
             "largest relative error {worst:.0e}",
             "without the way back through time {without_way_back:.2f}",
             "≤ 1e-12; ≥ 0.1"),
    "9": Row("exp_09_jacobian",
             "relative error {error:.0e}",
             "without tanh' {error_without_tanh:.1e}",
             "≤ 1e-12; ≥ 1"),
    "10": Row("exp_10_markov",
              "order {order:.0f}: {bits_3:.3f} bits (truth {bits_true:.3f})",
              "order 2: {bits_2:.3f} bits",
              "order 3, within 0.01; ≥ truth + 0.2"),
    "11": Row("exp_11_end_of_sequence",
              "symbol {symbol:.1%}, stop unit {bernoulli:.1%}, length first {length:.1%}",
              "no end: {none:.1%}",
              "≥ 99 %; 0 %"),
    "12": Row("exp_12_encoder_decoder",
              "5 digits {length_5:.1%}",
              "20 digits {length_20:.1%}",
              "≥ 98 %; ≤ 50 %"),
    "13": Row("exp_13_attention",
              "20 digits {attention_20:.1%}, 30 {attention_30:.1%}, 40 {attention_40:.1%}",
              "one vector {fixed_20:.1%}, {fixed_30:.1%}, {fixed_40:.1%}",
              "≥ 98 % at 20, above the baseline at 30 and 40; ≤ 50 % at 20"),
    "14": Row("exp_14_self_attention",
              "{accuracy:.1%} after 500 batches",
              "LSTM {accuracy_lstm:.1%} after 4000",
              "≥ 99 %; ≤ 50 %"),
    "15": Row("exp_15_stacked_language",
              "2 layers of 64: {bits_2x64:.3f} bits",
              "1 of 96: {bits_1x96:.3f}, 1 of 64: {bits_1x64:.3f}, best Markov chain"
              " {bits_markov:.3f}",
              "none: the text depends on the version of Python"),
    "16": Row("exp_16_deep_transition",
              "with a skip: MSE {median_skip:.4f} (median of 3 seeds)",
              "without: {best_deep:.3f} (best of 3)",
              "≤ 0.06; ≥ 0.12"),
    "17": Row("exp_17_recursive",
              "depth 6 {accuracy_depth_6:.1%}, depth 8 {accuracy_depth_8:.1%}",
              "bag of tokens {bag_depth_6:.1%}, {bag_depth_8:.1%}",
              "≥ 98 %; ≤ 62 %"),
    "18": Row("exp_18_eigen",
              "relative error {error:.0e}",
              "transpose for inverse, W not symmetric: {error_general_with_transpose:.1e}",
              "≤ 1e-10; ≥ 0.5"),
    "19": Row("exp_19_echo_state",
              "free run {free_run:.3f} after 84 steps, one step {one_step:.4f}",
              "without recurrence {free_run_without_recurrence:.2f}, ridge on 20 lags"
              " {free_run_autoregression:.2f}",
              "≤ 0.1, ≤ 0.001; ≥ 0.5"),
    "20": Row("exp_20_gated_cells",
              "MSE: LSTM {mse_lstm:.4f}, GRU {mse_gru:.4f}",
              "tanh {mse_tanh:.3f} (the mean {mse_mean:.3f})",
              "≤ 0.01; ≥ 0.12"),
    "21": Row("exp_21_clipping",
              "{n_learnt:.0f} of 10 seeds learn",
              "without clipping {n_learnt_without:.0f} of 10",
              "≥ 9; ≤ 1"),
    "22": Row("exp_22_turing",
              "{n_seeds_that_copy_16:.0f} of 3 seeds copy 16 rows (worst: {worst_16:.1%} wrong)",
              "LSTM at 16 rows: {lstm_error_16:.1%} wrong bits",
              "≥ 2 of 3 with ≤ 1 %; ≥ 30 %"),
    "23": Row("exp_23_adaptive",
              "{accuracy:.1%}, {ponder:.1f} runs; at a higher price {ponder_dear:.1f}",
              "one run {accuracy_once:.1%}",
              "≥ 97 %, fewer runs for each seed; ≤ 75 %"),
    "24": Row("exp_24_attention_map",
              "at the right place {exact:.1%}, within one {within_one:.1%}",
              "uniform weights {exact_uniform:.1%}, {within_one_uniform:.1%}",
              "≥ 90 %, ≥ 99 %; ≤ 20 % within one"),
    "25": Row("exp_25_truncated",
              "window 20: {bits_window_20:.3f} bit",
              "window 5: {bits_window_5:.3f} bit",
              "≤ 0.01; ≥ 0.9"),
    "bridge": Row("exp_bridge_finetune",
                  "{mean_after:.3f} over 30 steps, better for {n_better:.0f} of 5 seeds",
                  "before fine-tuning {mean_before:.3f}",
                  "better on the mean, ≥ 4 of 5"),
}
# fmt: on

HEAD, RULE = "| | reached | baseline | bounds | s |", "|---|---|---|---|---|"
TOGETHER = (("12", "13", "24"),)  # they use the same networks
LONGEST = ("23", "22", "2b", "15", "12", "bridge", "4", "14", "16", "7", "20", "2")  # begin first


def derived(found):
    """Numbers that are shown, and not returned: extremes and medians of some that are."""

    def all_of(pattern):
        return [value for name, value in found.items() if re.fullmatch(pattern, name)]

    more = {}
    if skips := all_of(r"mse_deep_skip_\d"):
        more["median_skip"] = float(np.median(skips))
        more["best_deep"] = min(all_of(r"mse_deep_\d"))
    if errors := all_of(r"error_16_seed_\d"):
        more["worst_16"] = max(errors)
    if orders := all_of(r"bits_markov_\d"):
        more["best_markov"] = min(orders)
    if "without_way_back" in found:
        more["worst"] = max(found[name] for name in found if name != "without_way_back")
    return found | more


def measured(numbers):
    """What some experiments find, one after the other, and the CPU time of each."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    answers = {}
    for number in numbers:
        run = importlib.import_module(ROWS[number].script).run
        start = time.process_time()
        found = run()
        answers[number] = derived(found), time.process_time() - start
    return answers


def line(number, found, seconds):
    """The row of an experiment."""
    row = ROWS[number]
    cells = [text.format_map(found) for text in (row.reached, row.baseline)]
    time_taken = f"{seconds:.1f}" if seconds < 9.95 else f"{seconds:.0f}"
    cells = [re.sub(r"(?<=\d)%", " %", cell) for cell in cells]
    return f"| {number} | {' | '.join(cells)} | {row.bounds} | {time_taken} |"


def table(numbers, n_jobs=1):
    """The whole table, in the order of ROWS."""
    groups = [[n for n in group if n in numbers] for group in TOGETHER]
    groups += [[n] for n in ROWS if n in numbers and not any(n in group for group in TOGETHER)]
    ranks = {number: rank for rank, number in enumerate(LONGEST)}
    groups = sorted(filter(None, groups), key=lambda group: ranks.get(group[0], len(ranks)))
    with parallel_config("loky", inner_max_num_threads=1):
        parts = Parallel(n_jobs=n_jobs, batch_size=1)(delayed(measured)(group) for group in groups)
    answers = {number: answer for part in parts for number, answer in part.items()}
    return "\n".join([HEAD, RULE] + [line(n, *answers[n]) for n in ROWS if n in answers])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help=", ".join(ROWS))
    parser.add_argument("--n-jobs", type=int, default=2)
    given = parser.parse_args()
    if unknown := sorted(set(given.numbers) - set(ROWS)):
        parser.error(f"no experiment {', '.join(unknown)}: known are {', '.join(ROWS)}")
    start = time.perf_counter()
    print(table(given.numbers or list(ROWS), given.n_jobs))
    print(f"\n{time.perf_counter() - start:.0f} seconds with {given.n_jobs} processes")


if __name__ == "__main__":
    main()
