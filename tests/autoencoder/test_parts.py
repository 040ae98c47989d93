"""Parts of autoencoders: each parameter changes the fit, and old or foreign names find them."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris

import skbayes
from skbayes import (
    AutoencoderTransformer,
    BayesianAutoencoder,
    SemiSupervisedVAEClassifier,
    VAETransformer,
    io,
)
from skbayes.autoencoder import (
    CORRUPTIONS,
    ELBO,
    OBJECTIVES,
    GaussianNoise,
    ImportanceBound,
    Mask,
    Matched,
)
from skbayes.latent import (
    LATENT_PRIORS,
    GaussianMixture,
    StandardNormal,
    Vamp,
    VariationalMixture,
)
from skbayes.networks import CNN, MLP, WAYS_BACK
from skbayes.training import TRAININGS, Training

X = load_iris().data[::2]
#: Parameters of a whole estimator, the longest list that a user should have to read.
MOST_PARAMETERS = 18

#: Of every part: where it stands, and a value of each parameter that must change the fit.
TABLE = {
    MLP: ("encoder", {"hidden_layer_sizes": (9,), "activation": "tanh"}),
    CNN: (
        "encoder",
        {
            "image_shape": (1, 4, 1),
            "channels": (2,),
            "hidden_layer_sizes": (9,),
            "activation": "tanh",
            "kernel_size": 1,
            "pooling": "max",
        },
    ),
    StandardNormal: ("latent_prior", {}),
    Vamp: ("latent_prior", {"n_components": 3}),
    GaussianMixture: ("latent_prior", {"n_components": 3}),
    VariationalMixture: ("latent_prior", {"n_components": 1}),
    ELBO: ("objective", {"beta": 2.0, "free_bits": 0.5, "warm_up": 0.5}),
    ImportanceBound: ("objective", {"n_samples": 2, "warm_up": 0.5}),
    Matched: ("objective", {"divergence": "energy", "weight": 3.0, "warm_up": 0.5}),
    Mask: ("corruption", {"rate": 0.6}),
    GaussianNoise: ("corruption", {"sd": 1.0}),
    Training: (
        "training",
        {"max_iter": 31, "learning_rate": 0.03, "batch_size": 20, "tol": 0.5},
    ),
}
#: Parameters of the training that leave the fit alone; test_trainer.py shows what they do.
OPERATIONAL = {"checkpoint", "checkpoint_every", "device"}
#: What a part is compared with where its defaults would not do.
BESIDE = {CNN: {"image_shape": (1, 2, 2), "channels": (3,)}}
CASES = [(kind, name) for kind, (_, values) in TABLE.items() for name in values]


def quick(**params):
    """A fit of a tenth of a second."""
    settings = {"training__max_iter": 30, "training__learning_rate": 0.02, "random_state": 0}
    return VAETransformer(n_score_samples=4).set_params(**{**settings, **params})


def test_every_parameter_of_every_part_has_an_entry():
    registries = (WAYS_BACK, OBJECTIVES, LATENT_PRIORS, CORRUPTIONS, TRAININGS)
    assert TABLE.keys() == {kind for registry in registries for kind in registry.values()}
    for kind, (_, values) in TABLE.items():
        # Of pictures of four pixels a margin is all; tests/networks/test_modules.py has larger.
        beside = {Training: OPERATIONAL, CNN: {"padding"}}.get(kind, set())
        assert values.keys() | beside == kind().get_params().keys()


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_every_parameter_changes_the_fit(kind, name):
    place, values = TABLE[kind]
    long = {"training__max_iter": 400} if name == "tol" else {}
    first = quick(**long)
    if kind is not Training:
        first.set_params(**{place: kind(**BESIDE.get(kind, {}))})
    other = clone(first).set_params(**{f"{place}__{name}": values[name]})
    first, other = (vae.fit(X).score_samples(X) for vae in (first, other))
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "decoder",
    [
        MLP(hidden_layer_sizes=(9,)),
        MLP(activation="tanh"),
        CNN(channels=(2,)),
        CNN(hidden_layer_sizes=(9,)),
        CNN(activation="tanh"),
        CNN(image_shape=(1, 4, 1)),
    ],
    ids=str,
)
def test_a_decoder_of_its_own_changes_the_fit(decoder):
    encoder = CNN((1, 2, 2), channels=(3,), hidden_layer_sizes=(8,))
    same, other = quick(encoder=encoder), quick(encoder=encoder, decoder=decoder)
    assert not np.array_equal(same.fit(X).reconstruct(X), other.fit(X).reconstruct(X))


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        (MLP((8, 4), "tanh"), MLP((4, 8), "tanh")),
        (MLP((8, 4), "tanh"), MLP((4, 8))),
        (CNN((1, 2, 2), (3, 5)), CNN((1, 2, 2), (5, 3), "auto", "relu")),
    ],
    ids=str,
)
def test_none_mirrors_the_encoder(encoder, decoder):
    mirrored, written = quick(encoder=encoder), quick(encoder=encoder, decoder=decoder)
    assert_array_equal(mirrored.fit(X).reconstruct(X), written.fit(X).reconstruct(X))


@pytest.mark.parametrize(
    "name", ["encoder", "decoder", "latent_prior", "objective", "corruption", "training"]
)
def test_a_name_is_the_object_with_its_defaults(name):
    registry = VAETransformer._registries[name]
    for key in registry:
        params = {"image_shape": (1, 2, 2)} if key == "cnn" else {}
        nested = {f"{name}__{k}": v for k, v in params.items()}
        short = {"training": Training(max_iter=9)} if name != "training" else {}
        given = VAETransformer(**{name: registry[key](**params), **short}, random_state=0)
        named = VAETransformer(**short, random_state=0).set_params(**{name: key}, **nested)
        if name == "training":
            given, named = (v.set_params(training__max_iter=9) for v in (given, named))
        assert_array_equal(named.fit(X).transform(X), given.fit(X).transform(X))


def test_parts_are_saved_and_loaded(tmp_path):
    vae = quick(
        encoder=CNN((1, 2, 2), (3,)),
        decoder=MLP((5,)),
        objective=Matched("energy"),
        corruption=GaussianNoise(0.1),
    ).fit(X)
    io.save(vae, tmp_path / "vae.skbayes")
    again = io.load(tmp_path / "vae.skbayes")
    assert repr(again) == repr(vae)
    assert_array_equal(again.score_samples(X[:3]), vae.score_samples(X[:3]))
    for kind in TABLE:
        io.save(VAETransformer(**{TABLE[kind][0]: kind()}), tmp_path / "part.skbayes")
        assert isinstance(getattr(io.load(tmp_path / "part.skbayes"), TABLE[kind][0]), kind)


@pytest.mark.parametrize(
    ("kind", "name", "remedy"),
    [
        (VAETransformer, "beta", "objective=ELBO(beta=...)"),
        (VAETransformer, "free_bits", "objective__free_bits"),
        (VAETransformer, "divergence", "objective=Matched(divergence=...)"),
        (VAETransformer, "n_importance_samples", "objective=ImportanceBound(n_samples=...)"),
        (VAETransformer, "n_prior_components", "latent_prior=Vamp(n_components=...)"),
        (VAETransformer, "covariance", "use bottleneck"),
        (VAETransformer, "noise_variance", "Gaussian(noise=...)"),
        (AutoencoderTransformer, "binarize", "likelihood=BernoulliColumns(binarize=...)"),
        (VAETransformer, "max_iter", "training=Training(max_iter=...)"),
        (VAETransformer, "device", "training=Training(device=...)"),
        (AutoencoderTransformer, "corruption_rate", "corruption=Mask(rate=...)"),
        (AutoencoderTransformer, "epochs", "training=Training(max_iter=...)"),
        (BayesianAutoencoder, "hidden_layer_sizes", "encoder=MLP(hidden_layer_sizes=...)"),
        (BayesianAutoencoder, "image_shape", "encoder=CNN(image_shape=...)"),
        (BayesianAutoencoder, "decoder_hidden_layer_sizes", "decoder=MLP("),
        (SemiSupervisedVAEClassifier, "activation", "encoder=MLP(activation=...)"),
        (SemiSupervisedVAEClassifier, "learning_rate", "training=Training(learning_rate=...)"),
    ],
)
def test_a_parameter_that_moved_says_where(kind, name, remedy):
    with pytest.raises(TypeError, match=re.escape(remedy)):
        kind(**{name: 1})
    with pytest.raises(ValueError, match=re.escape(remedy)):
        kind().set_params(**{name: 1})


@pytest.mark.parametrize("part", ["decoder", "corruption"])
def test_a_part_that_is_none_has_no_parameters(part):
    name = {"decoder": "activation", "corruption": "rate"}[part]
    with pytest.raises(ValueError, match=f"{part}=None has no parameters; give {part}="):
        VAETransformer().set_params(**{f"{part}__{name}": 1})


@pytest.mark.parametrize("name", sorted(skbayes._HOMES))
def test_no_estimator_is_a_wall_of_parameters(name):
    kind = getattr(skbayes, name)
    if isinstance(kind, type):
        assert len(kind().get_params(deep=False)) <= MOST_PARAMETERS


def test_a_classifier_of_images_is_refused():
    with pytest.raises(ValueError, match=r"'encoder' parameter of SemiSupervised.*'MLP'"):
        SemiSupervisedVAEClassifier(encoder=CNN((1, 2, 2))).fit(X, np.arange(75) % 2)
