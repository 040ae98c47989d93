"""
Which order of polynomial? The evidence
=======================================

Bishop (2006), figure 3.14: the error on ten noisy points of a sine cannot tell which order of
polynomial to take, as higher orders fit no worse. The evidence can: it charges for freedom that
the points do not call for, and needs no held-out points to do so. Prior and noise precision are
those of the book.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import skbayes
from skbayes import BayesianLinearRegression

x = np.linspace(0, 1, 10)[:, None]
y = np.sin(2 * np.pi * x[:, 0]) + 0.3 * np.random.default_rng(0).normal(size=10)

# %%
# One pipeline an order. Basis functions are transformers; ``skbayes.score_evidence`` reaches
# through the pipeline.


def polynomial(order):
    linear = BayesianLinearRegression(5e-3, 11.1, fit_intercept=False, hyperparameters="fixed")
    return make_pipeline(PolynomialFeatures(order), linear).fit(x, y)


fits = [polynomial(order) for order in range(10)]
evidence = [skbayes.score_evidence(fit) for fit in fits]
rmse = [np.sqrt(np.mean((y - fit.predict(x)) ** 2)) for fit in fits]
print("order  log evidence  RMSE on the points")
for order in range(10):
    print(f"{order:5d}  {evidence[order]:12.2f}  {rmse[order]:18.3f}")
print(f"the evidence prefers order {np.argmax(evidence)}")

# %%
# The cubic wins, as in the book. Order 9 draws nearly the same mean, with wider intervals.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.plot(evidence, "o-")
left.set(xlabel="order", ylabel="log evidence (nats)", xticks=range(10))
grid = np.linspace(0, 1, 200)[:, None]
for order in (0, 3, 9):
    low, high = skbayes.predict_interval(fits[order], grid, coverage=0.9).T
    (line,) = right.plot(grid, fits[order].predict(grid), label=f"order {order}")
    right.fill_between(grid[:, 0], low, high, color=line.get_color(), alpha=0.15)
right.plot(x, y, "ko", markersize=4, label="points")
right.set(xlabel="x", ylabel="y, with 90% intervals", ylim=(-2, 2.6))
right.legend(ncols=4, loc="upper center", columnspacing=1, handlelength=1.2)
plt.show()
