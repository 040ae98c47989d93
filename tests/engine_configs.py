"""Quick configurations of every registered engine, under a second a fit on small data."""

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
#: Parameters that make an engine quick: those that each registered class carries.
QUICK = {name: kind.test_params for name, kind in INFERENCES.items()}


def _cheap(kind):
    """A few steps of an engine, for tests of what comes before and after them."""
    known = kind().get_params()
    if "max_iter" in known:
        params = {"max_iter": 30, "n_members": 3, "n_snapshots": 4, "thinning": 3}
    elif "thinning" in known:
        params = SHORT
    else:
        params = {
            "n_samples": 20,
            "n_chains": 1,
            "warmup": 20,
            "max_extensions": 0,
            "init_steps": 20,
            "max_depth": 3,
        }
    return {name: value for name, value in params.items() if name in known}


CHEAP = {name: _cheap(kind) for name, kind in INFERENCES.items()}


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
