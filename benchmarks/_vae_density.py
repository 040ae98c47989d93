"""Densities of binarised MNIST and what they cost: sections of `benchmarks.vae`.

Every fit is appended to results/vae_*.csv and not run again while its row is there; the long
ones keep checkpoints in the temporary folder, so that a stopped run goes on.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks import _common
from benchmarks._vae_rivals import (
    BATCH,
    HIDDEN,
    N_CODES,
    PlainVAE,
    fit_plain,
    fit_pythae,
    importance_nll,
    timed,
)
from skbayes import VAETransformer
from skbayes.autoencoder import ImportanceBound
from skbayes.likelihoods import BernoulliColumns
from skbayes.networks import MLP
from skbayes.training import Training

#: Rows of the pictures that a section trains on; the test rows are never looked at before.
N_TEST = 1000


def pictures(name, n_train, seed=0):
    """Training and test pictures in [0, 1] with labels; training rows in a random order."""
    data = _common.load(name)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(data["X_train"]))[:n_train]

    def flat(X):
        return X.reshape(len(X), -1).astype(np.float32) / 255

    train = flat(data["X_train"][chosen]), data["y_train"][chosen].astype(int)
    return (*train, flat(data["X_test"]), data["y_test"].astype(int))


def binary(pixels, seed=0):
    """One draw of each pixel."""
    return (np.random.default_rng(seed).random(pixels.shape) < pixels).astype(np.float32)


def ours(n_rows, n_epochs, **params):
    """The estimator with the networks of all three."""
    settings = {
        "encoder": MLP(HIDDEN),
        "likelihood": BernoulliColumns("sample"),
        "training": Training(max_iter=n_epochs * (n_rows // BATCH), batch_size=BATCH),
        "random_state": 0,
    }
    return VAETransformer(N_CODES, **settings).set_params(**params)


def seconds_per_epoch(pixels, rounds):
    """Median CPU seconds of an epoch, from fits of one and of four, taken in turns."""
    fits = {
        "VAETransformer": lambda n: ours(len(pixels), n).fit(pixels),
        "plain torch loop": lambda n: fit_plain(pixels, n),
        "pythae": lambda n: fit_pythae(pixels, n),
    }
    taken = {name: [] for name in fits}
    for _ in range(rounds):
        for name, fit in fits.items():
            one, four = (timed(lambda fit=fit, n=n: fit(n))[1] for n in (1, 4))
            taken[name].append((four - one) / 3)
    return {name: float(np.median(values)) for name, values in taken.items()}


def speed(quick):
    """Seconds an epoch of the three."""
    pixels, _, _, _ = pictures("mnist", 2000 if quick else 10000)
    taken = seconds_per_epoch(pixels, 1 if quick else 5)
    own, plain, pythae = taken.values()
    verdicts = [
        f"pythae / ours {pythae / own:.2f}, {_common.verdict(pythae / own, 1.5)}",
        f"ours / plain {own / plain:.2f}, {_common.verdict(own / plain, 1.1, at_most=True)}",
    ]
    columns = ["784-200-200-50, batches of 128", "CPU s for 10,000 rows once"]
    table = _common.table(columns, [[name, value] for name, value in taken.items()])
    return f"## Seconds an epoch\n\n{table}\n\n{'; '.join(verdicts)}."


FIELDS = ("model", "epochs", "nll", "error", "seconds", "revision")
COLUMNS = ("", "epochs", "NLL, nats a row", "s.e. over rows", "CPU s of the fit")
RIVALS = {"plain torch loop": fit_plain, "pythae": fit_pythae}
#: Test rows are scored in so many parts, each kept.
N_PARTS = 20
#: Fits of VAETransformer beside the rivals', and what they set.
DEFAULT, LONG = "VAETransformer", "VAETransformer, 5 draws in training"
SETTINGS = {LONG: {"objective": ImportanceBound(5)}}


def likelihood(quick):
    """NLL of the three after 30 epochs, and of a longer fit."""
    if quick:
        return compared(Comparison("vae_likelihood", {DEFAULT: 2} | dict.fromkeys(RIVALS, 2)), True)
    epochs = {DEFAULT: 30} | dict.fromkeys(RIVALS, 30) | {LONG: 60}
    return compared(Comparison("vae_likelihood", epochs, goals={DEFAULT: 92.5, LONG: 88}), False)


def short(quick):
    """NLL of the three after 10 epochs, with fewer draws and test rows."""
    epochs = {DEFAULT: 10} | dict.fromkeys(RIVALS, 10)
    return compared(Comparison("vae_short", epochs, n_rows=500, n_draws=1000), quick)


@dataclass(frozen=True)
class Comparison:
    """Fits by name with their epochs, how test rows are scored, and goals."""

    ledger: str
    epochs: dict
    n_rows: int = N_TEST
    n_draws: int = 5000
    goals: dict = field(default_factory=dict)


def compared(plan, quick):
    """Run what the ledger lacks; the report."""
    pixels, _, test, _ = pictures("mnist", 2000 if quick else 60000)
    rows = binary(test)[: 100 if quick else plan.n_rows]
    ledger = _common.Ledger(plan.ledger, FIELDS, 1, stored=not quick)
    for name in plan.epochs:
        if (name,) not in ledger:
            ledger.add(name, *nll_of(plan, name, pixels, rows, quick), _common.revision())
    return report(plan, ledger)


def nll_of(plan, name, pixels, rows, quick):
    """Epochs, negative log likelihood, its standard error over rows, and CPU seconds."""
    epochs = 2 if quick else plan.epochs[name]
    n_draws = 200 if quick else plan.n_draws
    folder = None if quick else parts_of(f"{name}{epochs}")
    if name in RIVALS:
        model, taken = kept(name, epochs, pixels, folder)
    else:
        vae = ours(len(pixels), epochs, **SETTINGS.get(name, {}))
        model, taken = resumed(vae, pixels, folder)
    if quick:
        return epochs, *averaged(nll_by_row(model, rows, n_draws)), taken
    pieces = []
    for i, part in enumerate(np.array_split(rows, N_PARTS)):
        file = folder / f"nll{len(rows)}_{n_draws}_{i}.npy"
        if not file.exists():
            np.save(file, nll_by_row(model, part, n_draws))
        pieces.append(np.load(file))
    return epochs, *averaged(np.concatenate(pieces)), taken


def nll_by_row(model, rows, n_draws):
    """Negative log likelihoods of rows under our model or a rival's."""
    if isinstance(model, VAETransformer):
        return -model.score_samples(rows, n_importance_samples=n_draws)
    return importance_nll(model, rows, n_draws)


def averaged(nll):
    """Mean, and its standard error over rows."""
    return nll.mean(), nll.std() / np.sqrt(len(nll))


def report(plan, ledger):
    """The table, and its goals met or missed."""
    nll = {name: float(ledger[(name,)]["nll"]) for name in plan.epochs}
    best = min(nll[name] for name in RIVALS)
    verdicts = [f"against the better rival {_common.verdict(nll[DEFAULT], best, at_most=True)}"]
    for name, goal in plan.goals.items():
        verdicts.append(f"{name} {_common.verdict(nll[name], goal, at_most=True)}")
    notes = (
        "All take batches of 128, freshly binarised. VAETransformer has its defaults: Adam at "
        "2e-3, over the second half of the steps falling to zero. The others keep Adam at "
        "1e-3, as they are commonly run. Test rows are binarised once and are the same for "
        "all; densities of the others have draws of the encoder's alone."
    )
    lines = [[name, *numbers(ledger[(name,)], "epochs", *FIELDS[2:5])] for name in plan.epochs]
    title = (
        f"## Binarised MNIST, 784-200-200-50: {plan.n_rows} test rows, {plan.n_draws} draws a row"
    )
    table = _common.table(COLUMNS, lines)
    return f"{title}\n\n{notes}\n\n{table}\n\n{'; '.join(verdicts)}."


def numbers(row, *names):
    """Values of a ledger's row as numbers; logs keep two decimals."""
    return [f"{float(row[n]):.2f}" if n in ("nll", "error") else int(float(row[n])) for n in names]


def kept(name, epochs, pixels, folder):
    """A rival's fit and its CPU seconds, from a file if an earlier run has finished it."""
    file = None if folder is None else folder / "fit.pt"
    if file is None or not file.exists():
        model, taken = timed(lambda: RIVALS[name](pixels, epochs))
        if file is not None:
            torch.save({"weights": model.state_dict(), "seconds": taken}, file)
        return model, taken
    found = torch.load(file, weights_only=True)
    model = PlainVAE(pixels.shape[1])
    model.load_state_dict(found["weights"])
    return model, found["seconds"]


def parts_of(name):
    """Folder of what a fit has come to; of another revision it must be deleted."""
    folder = Path(tempfile.gettempdir()) / "skbayes_vae" / "".join(filter(str.isalnum, name))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def resumed(vae, pixels, folder):
    """A fit that goes on where a stopped one was, and the CPU seconds of all its parts."""
    if folder is None:
        return timed(lambda: vae.fit(pixels))
    clock = folder / "seconds.txt"
    before = float(clock.read_text()) if clock.exists() else 0.0
    start = time.process_time()
    try:
        vae.set_params(checkpoint=folder, checkpoint_every=500).fit(pixels)
    finally:
        taken = before + time.process_time() - start
        clock.write_text(str(taken))
    return vae, taken


def importance(quick):
    """NLL of models trained with k draws."""
    n_rows, n_epochs, n_draws = (1000, 2, 200) if quick else (3000, 15, 500)
    pixels, _, test, _ = pictures("mnist", n_rows)
    rows = binary(test)[: 50 if quick else N_TEST // 2]
    ledger = _common.Ledger("vae_importance", FIELDS, 1, stored=not quick)
    published = {1: (89.9, 90.3), 5: (None, 88.5), 50: (87.1, 87.3)}
    for k in published:
        if (k,) not in ledger:
            vae = ours(n_rows, n_epochs, objective=ImportanceBound(k) if k > 1 else "elbo")
            vae, taken = timed(lambda vae=vae: vae.fit(pixels))
            ledger.add(
                k, n_epochs, *averaged(nll_by_row(vae, rows, n_draws)), taken, _common.revision()
            )
    lines = [[k, *numbers(ledger[(k,)], *FIELDS[2:5]), *published[k]] for k in published]
    ordered = all(float(a[1]) > float(b[1]) for a, b in pairwise(lines))
    columns = ["k", *COLUMNS[2:], "pythae's table", "an independent re-run"]
    verdict = f"Ordered as published: {'yes' if ordered else 'NO'}."
    notes = (
        f"{n_rows} training rows, {n_epochs} epochs, {n_draws} draws for each of {len(rows)} "
        "test rows; the published columns are of runs of hundreds to thousands of epochs on "
        "60,000 rows."
    )
    title = "## Draws of the importance-weighted bound in training"
    return f"{title}\n\n{notes}\n\n{_common.table(columns, lines)}\n\n{verdict}"
