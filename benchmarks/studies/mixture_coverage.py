"""Coverage of VariationalGMM's posterior: how often 90% intervals hold the truth.

Two normal clusters of unit variance, so many standard deviations apart, with .4 and .6 of
the rows; each set of rows is new. Central 90% intervals of 2,000 draws of
`sample_posterior` for the two means, the two variances and the weight, against the values
that made the rows, and the means' standard deviations against those of their estimates
over sets. Sets in which the fit keeps another number of components than two are counted
apart.
"""

from __future__ import annotations

import numpy as np

from benchmarks._common import limit_threads, parser, table, write
from skbayes import VariationalGMM

WEIGHTS = np.array([0.4, 0.6])
DISTANCES, N_ROWS = (1.5, 2.0, 2.5, 3.0, 4.0, 6.0), (200, 1000)


def inside(draws: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether central 90% intervals of draws (S, .) hold the truth (.,)."""
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    return (low <= truth) & (truth <= high)


def coverage(distance: float, n_rows: int, n_sets: int) -> list:
    centres = np.array([0.0, distance])
    held, spreads, found = [], [], []
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        labels = rng.choice(2, size=n_rows, p=WEIGHTS)
        X = (centres[labels] + rng.standard_normal(n_rows))[:, None]
        gmm = VariationalGMM(2, tol=1e-8, max_iter=5000, random_state=seed).fit(X)
        if gmm.n_live_ != 2:
            continue
        order = gmm.means_[:, 0].argsort()
        draws = gmm.sample_posterior(n_samples=2000, random_state=seed)
        mean = draws["mu"][:, order, 0]
        variance = 1 / draws["Lambda"][:, order, 0, 0]
        weight = draws["pi"][:, order[:1]]
        truths = ((mean, centres), (variance, np.ones(2)), (weight, WEIGHTS[:1]))
        held.append([inside(values, truth).mean() for values, truth in truths])
        spreads.append(mean.std(axis=0))
        found.append(gmm.means_[order, 0])
    shares = [f"{share:.2f}" for share in np.mean(held, axis=0)] if held else ["-"] * 3
    ratio = np.mean(spreads, axis=0) / np.std(found, axis=0) if len(held) > 1 else [np.nan]
    return [f"{distance:g}", n_rows, len(held), *shares, f"{np.mean(ratio):.2f}"]


def main() -> None:
    args = parser(__doc__).parse_args()
    limit_threads(args.threads)
    n_sets = 5 if args.quick else 200
    rows = [coverage(distance, n, n_sets) for n in N_ROWS for distance in DISTANCES]
    names = ["means", "variances", "weight"]
    columns = ["sds apart", "rows", f"of {n_sets} sets with two components", *names]
    made = table([*columns, "std of means over that of estimates"], rows)
    note = (
        "Coverage of 90% intervals; the standard error of a share is .036 at most for 200 sets. "
        "The default prior is worth one row as wide as all rows, so that variances come out too "
        "large where clusters are far apart and rows few."
    )
    write("mixture_coverage", "Coverage of a mixture's posterior", [made, note], args)


if __name__ == "__main__":
    main()
