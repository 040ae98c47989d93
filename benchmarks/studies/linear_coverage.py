"""Coverage of linear regression's 90% intervals on few rows, under three laws of the data.

    python -m benchmarks.studies.linear_coverage

"own prior" draws signal-to-noise and noise from Gamma distributions, weights from normals.
"sparse" has noise over three decades and weights, half of them zero, over three more.
"correlated" has columns of correlation .95 far from zero, and targets far from zero. Every
set has 20 new rows. Intervals of the function are quantiles of 400 draws, those of y are
`predict_interval`; the loss is the mean negative log predictive of y over the noise's scale.
"""

from __future__ import annotations

import numpy as np

from benchmarks._common import limit_threads, parser, table, write
from skbayes import BayesianLinearRegression

MODELS = {
    "bayes (default)": {},
    "evidence": {"hyperparameters": "evidence"},
    "bayes, ard": {"ard": True},
}
ROWS, COLUMNS, N_NEW = (8, 15, 30, 100), (2, 5), 20

Law = tuple[np.ndarray, np.ndarray, np.ndarray, float, float]


def own_prior(rng: np.random.Generator, n_rows: int, n_columns: int) -> Law:
    """Rows, new rows, weights, intercept and noise."""
    beta, alpha = rng.gamma(3, 0.5), rng.gamma(2, 1.0)
    X = rng.normal(size=(n_rows + N_NEW, n_columns))
    weights = rng.normal(size=n_columns) / np.sqrt(alpha * beta)
    return X[:n_rows], X[n_rows:], weights, rng.normal() / np.sqrt(beta), beta**-0.5


def sparse(rng: np.random.Generator, n_rows: int, n_columns: int) -> Law:
    """Weights of unlike size, many of them zero, under noise of any size."""
    noise = 10 ** rng.uniform(-1, 2)
    X = rng.normal(size=(n_rows + N_NEW, n_columns))
    size = 0.5 * noise * 10 ** rng.uniform(-2, 1, size=n_columns)
    weights = rng.normal(size=n_columns) * size * (rng.random(n_columns) < 0.5)
    return X[:n_rows], X[n_rows:], weights, rng.normal() * 10 ** rng.uniform(-1, 2), noise


def correlated(rng: np.random.Generator, n_rows: int, n_columns: int) -> Law:
    """Columns that tell nearly the same, far from zero."""
    covariance = 0.95 + 0.05 * np.eye(n_columns)
    X = rng.normal(size=(n_rows + N_NEW, n_columns)) @ np.linalg.cholesky(covariance).T
    X += 10 * rng.normal(size=n_columns)
    weights = rng.normal(size=n_columns) * rng.gamma(2, 0.5)
    return X[:n_rows], X[n_rows:], weights, 100 * rng.normal(), 10 ** rng.uniform(-1, 1)


LAWS = {"own prior": own_prior, "sparse": sparse, "correlated": correlated}


def score(params: dict, law: Law, rng: np.random.Generator) -> list[float]:
    """Coverage of function and of y, and the loss, on one set of data."""
    X, new, weights, intercept, noise = law
    y = X @ weights + intercept + noise * rng.normal(size=len(X))
    function = new @ weights + intercept
    y_new = function + noise * rng.normal(size=N_NEW)
    model = BayesianLinearRegression(**params).fit(X, y)
    draws = model.sample_posterior(new, 400, random_state=0)[..., 0]
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    interval = model.predict_interval(new, 0.9)
    return [
        np.mean((low <= function) & (function <= high)),
        np.mean((interval[:, 0] <= y_new) & (y_new <= interval[:, 1])),
        -np.mean(model.log_predictive(new, y_new)) - np.log(noise),
    ]


def main() -> None:
    args = parser(__doc__).parse_args()
    limit_threads(args.threads)
    seeds = range(20 if args.quick else 200)
    sections = []
    for name, law in LAWS.items():
        rows = []
        for n_rows in ROWS:
            for n_columns in COLUMNS:
                for model, params in MODELS.items():
                    found = []
                    for seed in seeds:
                        rng = np.random.default_rng(seed)
                        found.append(score(params, law(rng, n_rows, n_columns), rng))
                    rows.append([n_rows, n_columns, model, *np.mean(found, axis=0)])
        columns = ["rows", "columns", "precisions", "90% of f", "90% of y", "loss"]
        sections.append(f"## {name}\n\n{table(columns, rows)}")
    sections.append(f"Means over {len(seeds)} sets; a coverage's standard error is about .01.")
    write("linear_coverage", "Linear regression on few rows", sections, args)


if __name__ == "__main__":
    main()
