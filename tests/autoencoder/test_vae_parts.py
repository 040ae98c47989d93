"""Latent priors and convolutional networks inside VAETransformer."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits

from skbayes import VAETransformer, io
from skbayes.exceptions import IncompatiblePartsError
from skbayes.latent import LATENT_PRIORS
from skbayes.likelihoods import BernoulliColumns
from skbayes.networks import CNN
from skbayes.testing._checks import DENSITY_CHECKS

MIXTURES = sorted(LATENT_PRIORS.keys() - {"normal"})
X, Y = load_digits(n_class=3, return_X_y=True)
X = X / 16


SETTINGS = {
    "encoder__hidden_layer_sizes": (10,),
    "likelihood": "shared_gaussian",
    "scale_inputs": "global",
    "n_score_samples": 64,
    "training__max_iter": 150,
    "training__learning_rate": 0.01,
}


def quick(**params):
    return VAETransformer(2).set_params(**{**SETTINGS, **params})


@pytest.mark.parametrize("check", DENSITY_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MIXTURES)
def test_contract_of_densities(name, check):
    check(
        "VAETransformer",
        quick(latent_prior=name, latent_prior__n_components=3, training__max_iter=60),
    )


@pytest.mark.parametrize("name", MIXTURES)
def test_density_and_draws_use_one_prior(name):
    """Draws' codes have the density that scores rows: its cross entropy is no worse for others."""
    vae = quick(latent_prior=name, latent_prior__n_components=4, random_state=0).fit(X)
    model, parameters = vae._model(), vae._tensors()
    density = model.latent_density(parameters)
    import torch

    generator = torch.Generator().manual_seed(0)
    z = density.sample(4000, generator)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    gain = (density.log_prob(z) - normal).numpy()
    assert gain.mean() > 5 * gain.std() / np.sqrt(len(gain))


@pytest.mark.parametrize("name", MIXTURES)
def test_number_of_components_changes_the_prior(name):
    one = quick(latent_prior=name, latent_prior__n_components=1, random_state=0).fit(X)
    many = clone(one).set_params(latent_prior__n_components=5).fit(X)
    assert not np.array_equal(one.score_samples(X[:5]), many.score_samples(X[:5]))


def test_prior_fitted_afterwards_raises_the_density_of_new_rows():
    """The networks are the same, and three digits make three groups of codes."""
    train, new = X[::2], X[1::2]
    normal = quick(random_state=0, training__max_iter=400).fit(train)
    mixed = clone(normal).set_params(latent_prior="variational_mixture").fit(train)
    assert_array_equal(mixed.transform(new), normal.transform(new))
    gain = mixed.score_samples(new) - normal.score_samples(new)
    assert gain.mean() > 5 * gain.std() / np.sqrt(len(gain))


def test_prior_fitted_afterwards_is_saved_and_started_from_again(tmp_path):
    vae = quick(latent_prior="variational_mixture", random_state=0).fit(X)
    io.save(vae, tmp_path / "vae.skbayes")
    again = io.load(tmp_path / "vae.skbayes")
    assert_array_equal(again.score_samples(X[:5]), vae.score_samples(X[:5]))
    more = clone(vae).set_params(warm_start=True).fit(X).fit(X)
    assert more.n_iter_ == 300
    prior = {name for name in more._parameters if name.startswith("prior_")}
    assert prior == {"prior_log_weight", "prior_loc", "prior_root", "prior_df"}


def test_priors_that_do_not_go_together_are_named():
    with pytest.raises(IncompatiblePartsError, match="latent_prior='vamp' does not go with cond"):
        quick(latent_prior="vamp", condition_on_y=True).fit(X, Y)
    with pytest.raises(
        IncompatiblePartsError, match=r"ELBO\(free_bits=0\.1\) does not go with lat"
    ):
        quick(latent_prior="gaussian_mixture", objective__free_bits=0.1).fit(X)
    with pytest.raises(IncompatiblePartsError, match="which partial_fit does not keep"):
        quick(latent_prior="variational_mixture").partial_fit(X)


IMAGES = {"encoder": CNN((1, 8, 8), (4, 8)), "training__max_iter": 50}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"likelihood": "heteroscedastic"},
        {"likelihood": BernoulliColumns("threshold")},
        {"condition_on_y": True},
        {"allow_missing": True},
        {"bottleneck": "full"},
        {"latent_prior": "vamp"},
    ],
)
def test_images_go_through_convolutions(params):
    vae = quick(**{**IMAGES, **params}, random_state=0)
    given = (Y[:50],) if vae.condition_on_y else ()
    vae.fit(X[:50], *given)
    kernels = [b.name for b in vae._model().network.layout if len(b.shape) == 4]
    assert [name.split(".")[0] for name in kernels] == [
        "encoder0",
        "encoder1",
        "decoder2",
        "decoder3",
    ]
    given = (Y[:3],) if given else ()
    assert vae.transform(X[:3], *given).shape == (3, 2)
    assert np.isfinite(vae.score_samples(np.round(X[:3]), *given)).all()
    assert vae.reconstruct(X[:3], *given).shape == (3, 64)


def test_channels_change_the_fit():
    vae = quick(**IMAGES, random_state=0).fit(X)
    other = clone(vae).set_params(encoder__channels=(3,)).fit(X)
    assert not np.array_equal(vae.transform(X[:5]), other.transform(X[:5]))
    # One number is one convolution.
    assert_array_equal(
        other.transform(X[:5]), clone(vae).set_params(encoder__channels=3).fit(X).transform(X[:5])
    )


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"encoder": CNN((1, 7, 8))}, ValueError, "has 56 numbers, but X has 64 columns"),
        (
            {"encoder": CNN((1, 8, 8)), "likelihood": {"gaussian": list(range(64))}},
            IncompatiblePartsError,
            "does not go with likelihood=",
        ),
    ],
)
def test_rows_that_are_no_images_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        quick(**params).fit(X)
