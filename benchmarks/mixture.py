"""VariationalGMM against scikit-learn's mixtures: complete fits, density, memory, evidence.

Complete fits are timed, starts included, with the same largest number of components and
scikit-learn's defaults otherwise. ``--stream-rows`` chunks of made rows are fitted in a
process of its own, whose peak memory is asserted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from benchmarks._common import limit_threads, load, parser, table, verdict, write
from skbayes import VariationalGMM

MEMORY_LIMIT_MIB = 1024
CHUNK_ROWS = 50_000
#: Settings of the Old Faithful fits, in units of standardised columns.
FAITHFUL = {"mean_precision_prior": 1.0, "degrees_of_freedom_prior": 2.0}


def synthetic(n_components: int, n_columns: int, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clusters of unlike shapes; a sixth of the rows is held out."""
    rng = np.random.default_rng(0)
    means = 1.5 * rng.standard_normal((n_components, n_columns))
    factors = 0.8 * rng.standard_normal((n_components, n_columns, n_columns))
    factors = factors / np.sqrt(n_columns) + 0.4 * np.eye(n_columns)
    weights = rng.dirichlet(np.full(n_components, 5.0))
    labels = rng.choice(n_components, size=n_rows, p=weights)
    X = means[labels] + np.einsum(
        "nij,nj->ni", factors[labels], rng.standard_normal((n_rows, n_columns))
    )
    n_train = n_rows * 5 // 6
    return X[:n_train], X[n_train:]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Twenty principal components of the digits, 1400 rows for training."""
    X = np.random.RandomState(0).permutation(load_digits().data)
    pca = PCA(20, random_state=0).fit(X[:1400])
    return pca.transform(X[:1400]), pca.transform(X[1400:])


def timed(
    make: Callable[..., Any], X: np.ndarray, held_out: np.ndarray, n_seeds: int
) -> tuple[float, float, float]:
    """Means over seeds: CPU seconds of a complete fit, last updates, held-out nats a row."""
    found = []
    for seed in range(n_seeds):
        start = time.process_time()
        fitted = make(random_state=seed).fit(X)
        found.append((time.process_time() - start, fitted.n_iter_, fitted.score(held_out)))
    seconds, updates, score = np.mean(found, axis=0)
    return float(seconds), float(updates), float(score)


def compare(
    name: str, data: tuple[np.ndarray, np.ndarray], n_components: int, goals: tuple, n_seeds: int
) -> list[list]:
    X, held_out = data
    theirs = 0.0
    rows = []
    for peer in (GaussianMixture, BayesianGaussianMixture):
        theirs, *rest = timed(partial(peer, n_components=n_components), X, held_out, n_seeds)
        rows.append([name, n_components, peer.__name__, theirs, *rest, "", ""])
    for dtype, goal in zip((np.float64, np.float32), goals, strict=True):
        for n_moves in (0, 10):
            make = partial(VariationalGMM, n_components=n_components, n_moves=n_moves)
            seconds, *rest = timed(make, X.astype(dtype), held_out.astype(dtype), n_seeds)
            label = f"VariationalGMM, {np.dtype(dtype).name}, n_moves={n_moves}"
            ratio = theirs / seconds
            rows.append([name, n_components, label, seconds, *rest, ratio, verdict(ratio, goal)])
        print(*rows[-2:], sep="\n", file=sys.stderr, flush=True)
    return rows


# --- memory ---------------------------------------------------------------------------


def stream(n_rows: int) -> Callable[[], Iterator[np.ndarray]]:
    """Chunks of made rows, the same at every call."""
    means = 1.5 * np.random.default_rng(0).standard_normal((20, 16))

    def chunks() -> Iterator[np.ndarray]:
        rng = np.random.default_rng(1)
        for start in range(0, n_rows, CHUNK_ROWS):
            n = min(CHUNK_ROWS, n_rows - start)
            noise = 0.6 * rng.standard_normal((n, 16), dtype=np.float32)
            yield (means[rng.integers(20, size=n)] + noise).astype(np.float32)

    return chunks


def stream_child(n_rows: int, once: bool) -> None:
    """Fit a stream; print CPU seconds, passes, components found and peak memory in MiB."""
    start = time.process_time()
    chunks = stream(n_rows)
    gmm = VariationalGMM(20, random_state=0).fit(chunks() if once else chunks)
    seconds = time.process_time() - start
    # Of this process alone: getrusage's peak begins with that of the parent.
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(float(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    print(seconds, gmm.n_iter_, gmm.n_live_, peak)


def streamed(n_rows: int) -> list[list]:
    rows = []
    for once in (True, False):
        child = [sys.executable, "-m", "benchmarks.mixture", "--stream-child", str(n_rows)]
        child += ["--once"] if once else []
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(child, capture_output=True, text=True, check=True, env=one_thread)
        output = done.stdout
        seconds, passes, live, peak = map(float, output.split())
        assert peak < MEMORY_LIMIT_MIB, f"{peak:.0f} MiB"
        name = "iterator, one pass" if once else "callable, passes to convergence"
        n_passes = 1 if once else int(passes)
        verdict_ = verdict(peak, MEMORY_LIMIT_MIB, at_most=True)
        rows.append([name, n_rows, n_passes, seconds, int(live), peak, verdict_])
    return rows


# --- evidence ---------------------------------------------------------------------------


def two_clusters() -> list[list]:
    """Bounds by number of components where two are true."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(-3, 1, (150, 1)), rng.normal(3, 1, (150, 1))])
    counts = (1, 2, 3, 4, 6)
    ours = [VariationalGMM(k, random_state=0).fit(X).score_evidence() for k in counts]
    theirs = []
    for k in counts:
        peer = BayesianGaussianMixture(n_components=k, max_iter=1000, random_state=0).fit(X)
        theirs.append(float(np.ravel(peer.lower_bound_)[0]))
    return [
        [name, *(f"{b:.1f}" for b in bounds), counts[int(np.argmax(bounds))]]
        for name, bounds in (("score_evidence()", ours), ("scikit-learn lower_bound_", theirs))
    ]


def old_faithful() -> list[list]:
    """Live components of six by concentration of the Dirichlet prior."""
    X = load("old_faithful")["X"].astype(float)
    X = (X - X.mean(0)) / X.std(0)
    prior = {**FAITHFUL, "mean_prior": [0.0, 0.0], "covariance_prior": np.eye(2)}
    rows = []
    for concentration in (1e-3, 1.0, 10.0):
        live = []
        for n_moves in (0, 10):
            fits = [
                VariationalGMM(
                    6,
                    weight_concentration=concentration,
                    n_moves=n_moves,
                    max_iter=5000,
                    tol=1e-9,
                    random_state=seed,
                    **prior,
                ).fit(X)
                for seed in range(5)
            ]
            best = max(fits, key=lambda gmm: gmm.lower_bound_)
            live += [str([gmm.n_live_ for gmm in fits]), best.n_live_, f"{best.lower_bound_:.1f}"]
        rows.append([f"{concentration:g}", *live])
    return rows


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--stream-rows", type=int, default=5_000_000)
    made.add_argument("--stream-child", type=int, help="(internal) fit one stream")
    made.add_argument("--once", action="store_true", help="(internal) by an iterator")
    args = made.parse_args()
    warnings.simplefilter("ignore")  # some fits are stopped at scikit-learn's 100 updates
    if args.stream_child:
        stream_child(args.stream_child, args.once)
        return
    limit_threads(args.threads)
    memory = table(
        ["stream of 16 columns", "rows", "passes", "fit, CPU s", "live of 20", "peak MiB", "goal"],
        streamed(200_000 if args.quick else args.stream_rows),
    )
    n_rows = 12_000 if args.quick else 120_000
    fits = compare("digits, PCA-20", digits(), 20, (2.5, 2.5), 6)
    fits += compare("digits, PCA-20", digits(), 50, (2.5, 2.5), 6)
    fits += compare(f"{n_rows * 5 // 6} x 16", synthetic(20, 16, n_rows), 20, (7, 15), 1)
    fits += compare(f"{n_rows * 5 // 6} x 16", synthetic(50, 16, n_rows), 50, (7, 15), 1)
    fits += compare(f"{n_rows // 6} x 64", synthetic(20, 64, n_rows // 5), 20, (2, 4), 1)
    columns = ["rows", "K", "estimator", "fit, CPU s", "last updates", "held-out nats a row"]
    speed = table([*columns, "times faster", "goal"], fits)
    notes = (
        "Means over seeds, 6 on digits and 1 on made rows. Held-out rows: `score_samples`, a "
        "normalised density for VariationalGMM (exact "
        "Student-t mixture) and GaussianMixture; that of BayesianGaussianMixture is not "
        "normalised. With `n_moves=0` both do the same work, coordinate ascent from k-means; "
        "the default tries births and merges as well."
    )
    evidence = table(["two true clusters, N=300", "1", "2", "3", "4", "6", "best"], two_clusters())
    sections = [speed, notes, memory, evidence]
    if "SKBAYES_DATA" in os.environ:
        live = ["live, 5 seeds", "at the best bound", "bound"]
        columns = [f"{c}, n_moves={n}" for n in (0, 10) for c in live]
        sections.append(table(["Old Faithful, concentration", *columns], old_faithful()))
        sections.append(
            "K=6 on standardised columns, m0 = 0, beta0 = 1, nu0 = 2, W0 = I, to convergence "
            "(tol 1e-9); live: N_k of at least 1."
        )
    write("mixture", "Mixtures", sections, args)


if __name__ == "__main__":
    main()
