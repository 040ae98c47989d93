"""Reconstructions under priors, against their exact moments."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris

from skbayes import BayesianAutoencoder
from skbayes.inference import MAP
from skbayes.priors import Pretrained
from skbayes.utils._random import make_generator

X = load_iris().data
N = 20_000


def fitted(**params):
    params = {"encoder__hidden_layer_sizes": (), "scale_inputs": None, "density": None, **params}
    return (
        BayesianAutoencoder(3, inference=MAP(max_iter=5), random_state=0)
        .set_params(**params)
        .fit(X)
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("prior", ["standard", "fan_in", "fitted"])
def test_a_linear_autoencoder_has_these_moments(prior):
    """A sum over codes of products of a decoder's weight and a normal code, and a bias.

    The variance is q (|x|² + 1) + 1 under standard normal weights and |x|² / D + 2 over the
    fan-in, also where every layer's scale is half-normal: its mean square is one.
    """
    row = X[:1]
    draws = fitted().sample_prior(row, N, prior, random_state=0)[:, 0]
    square = (row**2).sum()
    variance = 3 * (square + 1) + 1 if prior == "standard" else square / 4 + 2
    assert (np.abs(draws.mean(0)) < 4.5 * np.sqrt(variance / N)).all()
    error = (draws**2).std(0) / np.sqrt(N)
    assert (np.abs((draws**2).mean(0) - variance) < 4.5 * error).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scales_have_the_widths_of_their_priors():
    """Half-normal: their mean square is the width's, 10 where logits are fed and 1 before."""
    model = BayesianAutoencoder(
        2, likelihood="bernoulli", inference=MAP(max_iter=1), density=None, random_state=0
    )
    model = model.fit((X.mean(axis=0) < X).astype(float))._model()
    _, log_scales, noise = model.split(model.sample_prior(N, make_generator(0)))
    assert noise.shape[1] == 0
    squares = np.exp(2 * log_scales.double().numpy()) / np.r_[np.ones(model.n_scales - 1), 100.0]
    assert_allclose(squares.mean(0), 1.0, atol=4.5 * np.sqrt(2 / N))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_draws_of_a_narrow_prior_are_its_network():
    bae = BayesianAutoencoder(
        2, prior=Pretrained(scale=1e-4, max_iter=50), inference=MAP(max_iter=1), random_state=0
    ).fit(X, X_prior=X)
    draws = bae.sample_prior(X, 3, random_state=0)
    assert draws.shape == (3, *X.shape)
    assert_allclose(draws, np.broadcast_to(bae.predict(X), draws.shape), atol=0.05)
    assert_array_equal(draws, bae.sample_prior(X, 3, random_state=0))
    assert not np.array_equal(draws, bae.sample_prior(X, 3, random_state=1))
    assert bae.sample_prior(X.astype(np.float32)).dtype == np.float32
    with pytest.raises(ValueError, match="prior='normal' is not known"):
        bae.sample_prior(X, prior="normal")
