"""
scikit-learn's BayesianRidge beside ours
========================================

Both give a linear model with error bars. ``BayesianRidge`` takes the prior's and the noise's
most probable precisions as known; ``BayesianLinearRegression`` integrates them out. On few
rows that is the difference between 90% intervals and "90%" intervals.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.linear_model import BayesianRidge

from skbayes import BayesianLinearRegression
from skbayes.metrics import interval_coverage

# %%
# 20 data sets a size, five columns of which two matter; coverage is counted on new rows.

rng = np.random.default_rng(0)
sizes, found = (8, 12, 20, 40), {"BayesianRidge": [], "BayesianLinearRegression": []}
for n in sizes:
    hits = {name: [] for name in found}
    for _ in range(20):
        X = rng.normal(size=(n + 50, 5))
        y = X[:, 0] - X[:, 1] + rng.normal(size=n + 50)
        mean, std = BayesianRidge().fit(X[:n], y[:n]).predict(X[n:], return_std=True)
        normal = mean[:, None] + norm.ppf([0.05, 0.95]) * std[:, None]
        ours = BayesianLinearRegression().fit(X[:n], y[:n]).predict_interval(X[n:], coverage=0.9)
        hits["BayesianRidge"].append(interval_coverage(y[n:], normal))
        hits["BayesianLinearRegression"].append(interval_coverage(y[n:], ours))
    for name in found:
        found[name].append(np.mean(hits[name]))

for (name, coverage), style in zip(found.items(), ("s--", "o-"), strict=True):
    plt.plot(sizes, coverage, style, label=name)
    print(f"{name:25s}", *(f"{value:.3f}" for value in coverage))
plt.axhline(0.9, color="0.5", linestyle=":")
plt.xscale("log")
plt.xticks(sizes, sizes)
plt.minorticks_off()
plt.xlabel("rows")
plt.ylabel("new targets inside their 90% interval")
plt.legend()
plt.show()
