"""Times scipy's, numpy's and statsmodels' tests on made-up data, and leaves the data and the answers as files of doubles.

Arguments: folder, pairs of counts, values in all, rounds. Prints one JSON object: seconds of each round.
"""
import json
import sys
import time

import numpy as np
import scipy.special as special
import scipy.stats as stats
from statsmodels.stats.proportion import test_proportions_2indep

folder, pairs, values, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
random = np.random.default_rng(20260101)
units_a = random.integers(500, 5000, pairs).astype(float)
units_b = random.integers(500, 5000, pairs).astype(float)
events_a = np.maximum(random.binomial(units_a.astype(int), 0.1), 1).astype(float)
events_b = np.maximum(random.binomial(units_b.astype(int), 0.11), 1).astype(float)
x = random.normal(size=values // 2)
y = random.normal(size=values // 2) + 0.001


def z_scipy():
    rate = (events_a + events_b) / (units_a + units_b)
    error = np.sqrt(rate * (1.0 - rate) * (1.0 / units_a + 1.0 / units_b))
    return 2.0 * stats.norm.sf(np.abs((events_b / units_b - events_a / units_a) / error))


def z_special():
    rate = (events_a + events_b) / (units_a + units_b)
    error = np.sqrt(rate * (1.0 - rate) * (1.0 / units_a + 1.0 / units_b))
    return 2.0 * special.ndtr(-np.abs((events_b / units_b - events_a / units_a) / error))


def z_statsmodels():
    return test_proportions_2indep(events_b, units_b, events_a, units_a, method="wald", compare="diff").pvalue


TAU2 = 0.001


def msprt():
    a, b = events_a / units_a, events_b / units_b
    variance = a * (1.0 - a) / units_a + b * (1.0 - b) / units_b
    ratio = TAU2 / variance
    log = 0.5 * ((b - a) ** 2 / variance * ratio / (1.0 + ratio) - np.log1p(ratio))
    return np.minimum(1.0, np.exp(-log))


def ranks():
    return stats.mannwhitneyu(x, y, alternative="two-sided", method="asymptotic")


def timed(work, rounds):
    seconds = []
    answer = None
    for _ in range(rounds):
        begin = time.perf_counter()
        answer = work()
        seconds.append(time.perf_counter() - begin)
    return answer, seconds


out = {}
z, out["scipyNorm"] = timed(z_scipy, rounds)
_, out["scipySpecial"] = timed(z_special, rounds)
_, out["statsmodels"] = timed(z_statsmodels, rounds)
sequential, out["numpySequential"] = timed(msprt, rounds)
ranked, out["scipyRanks"] = timed(ranks, max(1, rounds // 5))
out["ranksP"] = float(ranked.pvalue)
for name, data in {
    "units_a": units_a, "units_b": units_b, "events_a": events_a, "events_b": events_b,
    "x": x, "y": y, "z_p": z, "sequential_p": sequential,
}.items():
    data.astype("<f8").tofile(f"{folder}/{name}.f64")
print(json.dumps(out))
