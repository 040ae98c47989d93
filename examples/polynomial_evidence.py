"""Evidence against the order of a polynomial (Bishop 2006, figure 3.14).

Ten noisy points of a sine. The error on the points falls with every order, the evidence
has its peak at a cubic: it charges for freedom that the points do not call for, without a
held-out set. Prior and noise precision are those of the book. Run it with
`python examples/polynomial_evidence.py`; the picture needs matplotlib.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import skbayes
from skbayes import BayesianLinearRegression

PICTURE = "polynomial_evidence.svg"
ALPHA, BETA = 5e-3, 11.1
ORDERS = range(10)
#: What the orders drawn on the right look like between the points.
SHOWN = {0: "#9ecae1", 3: "#08519c", 9: "#d62728"}


def points():
    """Ten points of a sine with noise of standard deviation 0.3."""
    x = np.linspace(0, 1, 10)[:, None]
    noise = np.random.default_rng(0).normal(size=10)
    return x, np.sin(2 * np.pi * x[:, 0]) + 0.3 * noise


def polynomial(order):
    """A pipeline of powers 0 to ``order`` and a regression of fixed precisions."""
    linear = BayesianLinearRegression(ALPHA, BETA, fit_intercept=False, hyperparameters="fixed")
    return make_pipeline(PolynomialFeatures(order), linear)


def main():
    """Print the table and save the picture."""
    x, y = points()
    fits = [polynomial(order).fit(x, y) for order in ORDERS]
    evidence = [skbayes.score_evidence(fit) for fit in fits]
    rmse = [np.sqrt(np.mean((y - fit.predict(x)) ** 2)) for fit in fits]
    print("order  log evidence  RMSE on the points")
    for order in ORDERS:
        print(f"{order:5d}  {evidence[order]:12.2f}  {rmse[order]:18.3f}")
    print(f"the evidence prefers order {np.argmax(evidence)}")
    draw(x, y, fits, evidence)


def draw(x, y, fits, evidence):
    """Evidence on the left, three posterior predictives on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(ORDERS, evidence, "o-", color=SHOWN[3])
    left.set(xlabel="order", ylabel="log evidence, nats", xticks=ORDERS)
    grid = np.linspace(0, 1, 200)[:, None]
    for order, colour in SHOWN.items():
        mean = fits[order].predict(grid)
        low, high = skbayes.predict_interval(fits[order], grid, coverage=0.9).T
        right.plot(grid, mean, color=colour, label=f"order {order}")
        right.fill_between(grid[:, 0], low, high, color=colour, alpha=0.15)
    right.plot(x, y, "ko", markersize=4)
    right.set(xlabel="x", ylabel="y, with 90% intervals", ylim=(-2, 2))
    right.legend(frameon=False)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
