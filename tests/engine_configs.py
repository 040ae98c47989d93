"""A quick configuration of every engine, under a second a fit on small data."""

from skbayes import BayesianMLPClassifier, BayesianMLPRegressor
from skbayes.inference import INFERENCES

#: The shortest run of the samplers without an accept step that tests of other things need.
SHORT = {
    "n_samples": 10,
    "n_chains": 1,
    "thinning": 2,
    "warmup": 24,
    "max_extensions": 0,
    "init_steps": 20,
}
UNADJUSTED = {"n_samples": 20, "warmup": 120, "init_steps": 20, "max_extensions": 0}
#: Parameters that make an engine quick; every registered engine has an entry.
QUICK = {
    "map": {"max_iter": 50},
    # A dozen steps of training may choose any temperature: see test_temperature.py.
    "laplace": {"max_iter": 50, "temperature": 1.0},
    "mean_field_vi": {"max_iter": 60, "n_particles": 2, "temperature": 1.0},
    "mc_dropout": {"max_iter": 60, "learning_rate": 0.1},
    "deep_ensemble": {"n_members": 3, "max_iter": 50, "learning_rate": 0.1},
    "swag": {"n_snapshots": 5, "thinning": 4, "max_iter": 50},
    "hmc": {
        "n_samples": 20,
        "warmup": 20,
        "init_steps": 20,
        "max_extensions": 0,
        "max_leapfrog": 6,
    },
    "nuts": {
        "n_samples": 20,
        "warmup": 20,
        "init_steps": 20,
        "max_extensions": 0,
        "max_depth": 3,
    },
    "sghmc": {**UNADJUSTED, "thinning": 4},
    "sgld": {**UNADJUSTED, "thinning": 8},
    "mclmc": {**UNADJUSTED, "thinning": 4},
}
#: A few steps of every engine, for tests of what comes before and after them.
CHEAP = {
    "map": {"max_iter": 30},
    "laplace": {"max_iter": 30},
    "mean_field_vi": {"max_iter": 30},
    "mc_dropout": {"max_iter": 30},
    "deep_ensemble": {"n_members": 3, "max_iter": 30},
    "swag": {"n_snapshots": 4, "thinning": 3, "max_iter": 30},
    "hmc": {"n_samples": 20, "n_chains": 1, "warmup": 20, "max_extensions": 0, "init_steps": 20},
    "nuts": {
        "n_samples": 20,
        "n_chains": 1,
        "warmup": 20,
        "max_extensions": 0,
        "init_steps": 20,
        "max_depth": 3,
    },
    "sghmc": SHORT,
    "sgld": SHORT,
    "mclmc": SHORT,
}


def cheap_engines(max_iter=30, **changes):
    """A new engine of every kind, with ``max_iter`` steps where it trains, and changes by name."""
    steps = {"max_iter": max_iter}
    return {
        name: INFERENCES[name](
            **{**params, **(steps if "max_iter" in params else {}), **changes.get(name, {})}
        )
        for name, params in CHEAP.items()
    }


def quick_engine(name, **params):
    """The engine of that name, quick."""
    return INFERENCES[name](**{**QUICK[name], **params})


def quick_regressor(engine="laplace", **params):
    """A small regressor with a quick engine."""
    return _quick(BayesianMLPRegressor, engine, params)


def quick_classifier(engine="laplace", **params):
    """A small classifier with a quick engine."""
    return _quick(BayesianMLPClassifier, engine, params)


def _quick(kind, engine, params):
    if isinstance(engine, str):
        engine = quick_engine(engine)
    return kind(hidden_layer_sizes=(5,), inference=engine, random_state=0, **params)
