"""Autoencoders fitted again: nothing of an earlier fit may stand beside what is new."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris

from skbayes import AutoencoderTransformer, BayesianAutoencoder, VAETransformer, io
from skbayes.latent import VariationalMixture

X, Y = load_iris(return_X_y=True)
FRAME = pd.DataFrame(X, columns=list("abcd"))
QUICK = {"encoder__hidden_layer_sizes": (6,), "training__max_iter": 20, "random_state": 0}
BOTH = pytest.mark.parametrize("kind", [VAETransformer, AutoencoderTransformer])


@BOTH
def test_a_refit_that_fails_leaves_the_first_fit(kind):
    model = kind(2).set_params(**QUICK).fit(FRAME)
    before, turned = model.transform(FRAME), FRAME[list("dcba")]
    with pytest.raises(ValueError, match="names the column 'zz'"):
        model.set_params(likelihood={"gaussian": ["zz"]}).fit(turned)
    assert_array_equal(model.transform(FRAME), before)
    with pytest.raises(ValueError, match="same order"):
        model.transform(turned)


CHANGES = {
    "likelihood": "student_t",
    "scale_inputs": None,
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("verb", ["fit", "partial_fit"])
def test_further_training_keeps_the_columns(name, verb):
    vae = VAETransformer(2, warm_start=True).set_params(**QUICK).fit(X)
    before = vae.transform(X)
    with pytest.raises(ValueError, match=f"{name}={CHANGES[name]!r} would change"):
        getattr(vae.set_params(**{name: CHANGES[name]}), verb)(X)
    assert_array_equal(vae.transform(X), before)
    vae.set_params(warm_start=False).fit(X)


def test_columns_named_otherwise_are_the_same_columns():
    names = {"gaussian": ["a", "b"], "student_t": ["c", "d"]}
    vae = VAETransformer(2, likelihood=names, warm_start=True).set_params(**QUICK).fit(FRAME)
    vae.set_params(likelihood={"gaussian": [0, 1], "student_t": [2, 3]}).fit(FRAME)


@BOTH
def test_columns_without_a_value_are_refused(kind):
    holes = X.copy()
    holes[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"no value in column\(s\) \[1\]"):
        kind(2, allow_missing=True).set_params(**QUICK).fit(holes)
    holes[0, 1] = 1.0
    with pytest.raises(ValueError, match=r"no value in column\(s\) \[1\]"):
        kind(2, allow_missing=True).set_params(**QUICK).fit(holes, sample_weight=np.arange(150) > 0)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.where(Y == 0, None, Y.astype(str).astype(object)), "mixes labels of types"),
        (np.where(Y == 0, np.nan, Y.astype(str).astype(object)), "mixes labels of types"),
        (np.where(Y == 0, np.nan, Y), "y contains NaN"),
        (pd.DataFrame({"a": Y.astype(str), "b": Y}), "mixes labels of types"),
    ],
    ids=["none", "nan among strings", "nan", "mixed columns"],
)
def test_unusable_conditions_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        VAETransformer(2, condition_on_y=True).set_params(**QUICK).fit(X, y)


def test_conditions_of_draws_are_counted():
    vae = VAETransformer(2, condition_on_y=True).set_params(**QUICK).fit(X, Y)
    with pytest.raises(ValueError, match="y has 2 targets, but n_samples=3"):
        vae.sample(3, y=[0, 1])


def test_a_mixture_of_codes_counts_rows_by_weight():
    """Twenty rows alike, or one of weight 20, are twenty observations of a code."""
    rows = np.random.default_rng(0).normal(size=(40, 3))
    vae = VAETransformer(1, latent_prior=VariationalMixture(1)).set_params(**QUICK)
    fits = [
        clone(vae).fit(rows),
        clone(vae).fit(rows, sample_weight=np.full(40, 20.0)),
        clone(vae).fit(np.repeat(rows, 20, axis=0)),
    ]
    df = [fit._parameters["prior_df"] for fit in fits]
    assert_allclose(np.ravel(df), [41, 801, 801])
    loc = [fit._parameters["prior_loc"] for fit in fits]
    assert_array_equal(loc[1], loc[2])
    # Draws of their own: one heavy draw of each row would have the mean of one each.
    assert abs(loc[1] - loc[0]) > 1e-6


@BOTH
def test_files_keep_the_bits(kind, tmp_path):
    model = kind(2).set_params(**QUICK).fit(X)
    io.save(model, tmp_path / "model")
    for again in (io.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        for verb in (again.transform, again.reconstruct, again.score):
            assert_array_equal(verb(X), getattr(model, verb.__name__)(X))


def test_frames_give_no_warning():
    """Warnings are errors here: each verb hands names on, or none."""
    AutoencoderTransformer(2).set_params(**QUICK).fit(FRAME).score(FRAME)
    bae = BayesianAutoencoder(2, inference="map", random_state=0).set_params(
        encoder__hidden_layer_sizes=(4,)
    )
    bae.set_output(transform="pandas").fit(FRAME)
    assert bae.inverse_transform(bae.transform(FRAME)).shape == FRAME.shape
