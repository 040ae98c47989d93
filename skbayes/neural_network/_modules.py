"""Bayesian networks of any kind: modules of torch, and networks that are ready for use."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from skbayes.likelihoods import LIKELIHOODS, Likelihood
from skbayes.networks import NETWORKS, Module, NetworkSpec
from skbayes.networks._trained import trained_network
from skbayes.neural_network._predictors import (
    NetworkClassifier,
    NetworkPredictor,
    NetworkRegressor,
)
from skbayes.utils._sklearn import StrOptions


class ModuleTemplate(NetworkPredictor):
    """What estimators with a network as a part have in common."""

    network: Any
    _takes_shapes = True
    _registries = {**NetworkPredictor._registries, "network": NETWORKS}
    _parameter_constraints: dict = {
        **NetworkPredictor._parameter_constraints,
        "network": [StrOptions(set(NETWORKS)), NetworkSpec, callable],
        "bayesian": [str, list, tuple],
        "scale_inputs": [StrOptions({"channel", "column", "global"}), None],
    }
    _namesakes = {
        "module": "network=Module(factory, params={...})",
        "hidden_layer_sizes": "network=MLP(hidden_layer_sizes=...)",
        "activation": "network=MLP(activation=...)",
        "input_shape": "network=Module(factory, input_shape=...)",
    }

    def _make_part(self, part: str) -> Any:
        value = getattr(self, part)
        if part != "network":
            return super()._make_part(part)
        if isinstance(value, nn.Module):
            raise ValueError(
                f"network={type(value).__name__}(...) is a module that is made already: give "
                f"the class, network={type(value).__name__}, or Module(factory, params), so that "
                "each fit makes its own; from_trained takes a trained one"
            )
        if not isinstance(value, str | NetworkSpec):
            return Module(value)
        return super()._make_part(part)

    def _spec(self) -> NetworkSpec:
        return self._checked_part("network")

    @classmethod
    def from_trained(cls, source: Any, network: Any = None, **params: Any) -> Any:
        """Make an estimator of a network that is trained already.

        Its weights are the mode: engines do not search for another. `fit` takes the rows that
        tell the curvature around it, and sets scales and noise. ``inference="map"`` predicts as
        the network did; "laplace" (any structure) and "swag" give it a posterior,
        "mean_field_vi" and "gaussian_vi" start there.

        Parameters
        ----------
        source : nn.Module, skorch net, MLPClassifier or MLPRegressor
            A module that gives logits or numbers; a fitted net of skorch; or a fitted
            perceptron of scikit-learn.
        network : Module, optional
            How to make a module like ``source``, where it is a module of a class of one's own
            whose constructor takes arguments.
        **params : dict
            Parameters of the estimator; "laplace" is the default engine. Inputs and targets are
            left as they are, for the network knows them so.

        Returns
        -------
        estimator : BayesianModuleClassifier or BayesianModuleRegressor
            To be fitted.

        Raises
        ------
        ModuleError
            If the module cannot be made again from what is known of it.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skbayes import BayesianModuleClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> mlp = MLPClassifier((10,), max_iter=2000, random_state=0).fit(X, y)
        >>> clf = BayesianModuleClassifier.from_trained(mlp, random_state=0).fit(X, y)
        >>> clf.predict_uncertainty(X[:3]).mutual_information.shape
        (3,)
        """
        given = {"inference": "laplace", "scale_inputs": None, **params}
        if "scale_targets" in cls._get_param_names():
            given.setdefault("scale_targets", False)
        return cls(trained_network(source, network), **given)


class BayesianModuleRegressor(ModuleTemplate, NetworkRegressor):
    """Regression by a network of any kind with a posterior over weights, scales and noise.

    `BayesianMLPRegressor` is the same with dense layers.

    Parameters
    ----------
    network : str, NetworkSpec, type or callable, default="mlp"
        A name in ``skbayes.networks.NETWORKS``, an object such as ``CNN(...)`` or
        ``Module(factory, params)``, or a class of `torch.nn.Module` itself.
    prior : str or Prior, default="normal"
        Prior of the weights, a name in ``skbayes.priors.PRIORS`` or an object.
    likelihood : str or Likelihood, default="gaussian"
        Noise of the targets: a name in ``skbayes.likelihoods.LIKELIHOODS`` of real-valued
        targets, or an object.
    inference : "auto", str or Inference, default="auto"
        Engine, a name in ``skbayes.inference.INFERENCES`` or an object. "auto" samples by
        Hamiltonian Monte Carlo while rows times multiply-adds of a row stay below two million,
        and trains a deep ensemble beyond.
    bayesian : "all", "last" or list of str, default="all"
        Which weights are inferred: all, those of the last layer, or those whose names, or
        whose layers' names, match one of these patterns. The others are held at a mode of
        all, which is found first.
    scale_inputs : {"channel", "column", "global"} or None, default="channel"
        Standardise each channel of pictures, each feature of sequences and each column of
        flat rows; each number of a row; all by one scale; or leave X alone.
    scale_targets : bool, default=True
        Standardise the targets.
    n_predictive_samples : int, default=400
        Posterior draws behind a prediction (fewer where the engine keeps fewer, and none
        where ``inference="laplace"`` has its moments in closed form).
    device : str, default="auto"
        Torch device to fit on; "auto" takes CUDA for large work, else the CPU.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the network; "auto" is single. Predictions have the dtype of X.
    memory_budget : float, default=256.0
        MiB that a prediction's intermediate values may take; up to 32 whatever it is,
        and more where one row has more than half a million outputs over all draws.
    warm_start : bool, default=False
        Start from the last fit's posterior, and keep its scalers.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seeds everything: equal seeds give equal bits.

    Attributes
    ----------
    posterior_ : Posterior
        The posterior, as NumPy arrays.
    inference_, prior_, likelihood_ : Inference, Prior, Likelihood
        The parts that were used.
    evidence_kind_ : str or None
        How the evidence was obtained, if it was.
    evidence_se_ : float or None
        Its standard error in nats.
    diagnostics_ : dict
        What the engine reports: R-hat, effective sample sizes, acceptance.
    n_iter_ : int
        Steps taken by the engine.
    n_features_in_ : int
        Numbers of a row seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all were strings.

    See Also
    --------
    BayesianModuleClassifier : The same for class labels.

    Examples
    --------
    >>> import numpy as np
    >>> from skbayes import BayesianModuleRegressor
    >>> from skbayes.networks import GRU
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 5, 2))  # sequences of five steps of two features
    >>> y = X[:, :, 0].sum(axis=1)
    >>> reg = BayesianModuleRegressor(GRU(units=4), inference="map", random_state=0).fit(X, y)
    >>> reg.predict(X[:3]).shape
    (3,)
    """

    _parameter_constraints: dict = {
        **ModuleTemplate._parameter_constraints,
        "likelihood": [
            StrOptions({name for name, kind in LIKELIHOODS.items() if kind.target == "numeric"}),
            Likelihood,
        ],
        "scale_targets": ["boolean"],
    }

    def __init__(
        self,
        network: Any = "mlp",
        *,
        prior: Any = "normal",
        likelihood: Any = "gaussian",
        inference: Any = "auto",
        bayesian: Any = "all",
        scale_inputs: str | None = "channel",
        scale_targets: bool = True,
        n_predictive_samples: int = 400,
        device: str = "auto",
        dtype: str = "auto",
        memory_budget: float = 256.0,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.network = network
        self.prior = prior
        self.likelihood = likelihood
        self.inference = inference
        self.bayesian = bayesian
        self.scale_inputs = scale_inputs
        self.scale_targets = scale_targets
        self.n_predictive_samples = n_predictive_samples
        self.device = device
        self.dtype = dtype
        self.memory_budget = memory_budget
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state


class BayesianModuleClassifier(ModuleTemplate, NetworkClassifier):
    """Classification by a network of any kind with a posterior over weights and scales.

    One label a row, several labels a row, or one for each pixel or step of a row.
    `BayesianMLPClassifier` is the same with dense layers.

    Parameters
    ----------
    network : str, NetworkSpec, type or callable, default="mlp"
        A name in ``skbayes.networks.NETWORKS``, an object such as ``CNN(...)`` or
        ``Module(factory, params)``, or a class of `torch.nn.Module` itself.
    prior : str or Prior, default="normal"
        Prior of the weights, a name in ``skbayes.priors.PRIORS`` or an object.
    likelihood : {"auto", "categorical", "bernoulli"} or Likelihood, default="auto"
        One logit for two classes and for each of several labels, else one a class; or always
        one a class.
    inference : "auto", str or Inference, default="auto"
        Engine, a name in ``skbayes.inference.INFERENCES`` or an object. "auto" samples by
        Hamiltonian Monte Carlo while rows times multiply-adds of a row stay below two million,
        and trains a deep ensemble beyond.
    bayesian : "all", "last" or list of str, default="all"
        Which weights are inferred: all, those of the last layer, or those whose names, or
        whose layers' names, match one of these patterns. The others are held at a mode of
        all, which is found first.
    target_shape : tuple of int or None, default=None
        Shape of a row's labels, where each pixel or step has one: needed where y has two
        dimensions, which else are several labels a row that do not exclude one another, zeros
        and ones. Probabilities are ``(n_rows, n_classes, *target_shape)``.
    ignore_label : int, str or None, default=None
        Label of pixels or steps that do not count.
    scale_inputs : {"channel", "column", "global"} or None, default="channel"
        Standardise each channel of pictures, each feature of sequences and each column of
        flat rows; each number of a row; all by one scale; or leave X alone.
    n_predictive_samples : int, default=400
        Posterior draws behind a prediction (fewer where the engine keeps fewer, and none
        where ``inference="laplace"`` has its moments in closed form).
    device : str, default="auto"
        Torch device to fit on; "auto" takes CUDA for large work, else the CPU.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of the network; "auto" is single. Predictions have the dtype of X.
    memory_budget : float, default=256.0
        MiB that a prediction's intermediate values may take; up to 32 whatever it is,
        and more where one row has more than half a million outputs over all draws.
    warm_start : bool, default=False
        Start from the last fit's posterior, and keep its scalers.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seeds everything: equal seeds give equal bits.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of `predict_proba`; of several labels a row, their numbers.
    posterior_ : Posterior
        The posterior, as NumPy arrays.
    inference_, prior_, likelihood_ : Inference, Prior, Likelihood
        The parts that were used.
    evidence_kind_ : str or None
        How the evidence was obtained, if it was.
    evidence_se_ : float or None
        Its standard error in nats.
    diagnostics_ : dict
        What the engine reports: R-hat, effective sample sizes, acceptance.
    n_iter_ : int
        Steps taken by the engine.
    n_features_in_ : int
        Numbers of a row seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all were strings.

    See Also
    --------
    BayesianModuleRegressor : The same for numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbayes import BayesianModuleClassifier
    >>> from skbayes.inference import MAP
    >>> from skbayes.networks import CNN
    >>> X, y = load_digits(return_X_y=True)
    >>> cnn = CNN(image_shape=(1, 8, 8), channels=(4, 8))
    >>> clf = BayesianModuleClassifier(cnn, inference=MAP(max_iter=50), random_state=0)
    >>> clf.fit(X[:500], y[:500]).predict_proba(X[500:]).shape
    (1297, 10)
    """

    _parameter_constraints: dict = {
        **ModuleTemplate._parameter_constraints,
        "likelihood": [
            StrOptions(
                {"auto", *(name for name, kind in LIKELIHOODS.items() if kind.target == "classes")}
            ),
            Likelihood,
        ],
        "target_shape": ["array-like", None],
        "ignore_label": "no_validation",
    }

    def __init__(
        self,
        network: Any = "mlp",
        *,
        prior: Any = "normal",
        likelihood: Any = "auto",
        inference: Any = "auto",
        bayesian: Any = "all",
        target_shape: Any = None,
        ignore_label: Any = None,
        scale_inputs: str | None = "channel",
        n_predictive_samples: int = 400,
        device: str = "auto",
        dtype: str = "auto",
        memory_budget: float = 256.0,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.network = network
        self.prior = prior
        self.likelihood = likelihood
        self.inference = inference
        self.bayesian = bayesian
        self.target_shape = target_shape
        self.ignore_label = ignore_label
        self.scale_inputs = scale_inputs
        self.n_predictive_samples = n_predictive_samples
        self.device = device
        self.dtype = dtype
        self.memory_budget = memory_budget
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def _make_part(self, part: str) -> Any:
        if part == "likelihood" and self.likelihood == "auto" and not self._several:
            spec: Any = self._network_config()["spec"]
            # A module of two outputs has a logit for each of two classes.
            two = 2 * math.prod(self._site_shape)
            if isinstance(spec, Module) and spec.fixed_outputs() == two:
                return self._registries[part]["categorical"]()
        return super()._make_part(part)
