"""Error bars from 300 rows: diabetes, 300 training and 142 test rows, 10 splits.

python -m benchmarks.studies.diabetes300             # --peers adds MAPIE, NGBoost and bde
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_diabetes

from benchmarks._common import limit_threads, parser, table, write
from benchmarks._models import (
    PEER_REGRESSORS,
    REGRESSORS,
    Ours,
    mapie_cv_plus,
    mean_scores,
    score_regressor,
)

N_TEST = 142
#: RMSE, coverage, width, NLL of an earlier run of the peers on such splits.
REFERENCE = {
    "GaussianProcess": (53.7, 0.900, 180, 5.41),
    "BayesianRidge": (53.9, 0.901, 182, 5.41),
    "MAPIE CV+ on BayesianRidge": (53.9, 0.916, 189, None),
    "NGBoost": (57.3, 0.646, 106, 6.07),
}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--splits", type=int, default=10)
    made.add_argument("--peers", action="store_true", help="requirements-peers.txt needed")
    made.add_argument("--engines", default="auto,map", help="comma-separated engines of ours")
    args = made.parse_args()
    limit_threads(args.threads)
    X, y = load_diabetes(return_X_y=True)
    models = {f"skbayes, {name}": Ours(inference=name) for name in args.engines.split(",")}
    models |= REGRESSORS
    if args.peers:
        models |= {"MAPIE CV+ on BayesianRidge": mapie_cv_plus, **PEER_REGRESSORS}
    rows = []
    for name, model in models.items():
        scores = []
        for split in range(1 if args.quick else args.splits):
            order = np.random.default_rng(split).permutation(len(y))
            scores.append(score_regressor(model, X, y, np.isin(np.arange(len(y)), order[:N_TEST])))
        mean, coverage = mean_scores(scores), [score["coverage"] for score in scores]
        spread = f"{mean['coverage']:.3f} ({min(coverage):.2f}-{max(coverage):.2f})"
        earlier = REFERENCE.get(name)
        nll = f"{mean['nll']:.3f}"
        row = [name, mean["rmse"], spread, mean["width"], nll, mean["seconds"]]
        rows.append([*row, "/".join("-" if v is None else f"{v:g}" for v in earlier or (None,))])
        print(*rows[-1], flush=True)
    columns = ["model", "RMSE", "coverage of 90% (range)", "mean width", "NLL", "fit, CPU s"]
    columns.append("earlier run: RMSE/coverage/width/NLL")
    note = "Raw columns and target; GP and BayesianRidge behind a StandardScaler. Mean of splits."
    extra = ("ngboost", "mapie", "sklearn-contrib-bde") if args.peers else ()
    sections = [table(columns, rows), note]
    write("diabetes300", "Diabetes, 300 training rows", sections, args, extra)


if __name__ == "__main__":
    main()
