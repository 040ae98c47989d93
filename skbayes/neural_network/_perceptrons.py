"""Bayesian multilayer perceptrons."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from skbayes.likelihoods import LIKELIHOODS, Likelihood
from skbayes.networks import ACTIVATIONS, MLP
from skbayes.networks._sizes import layer_sizes
from skbayes.neural_network._predictors import (
    NetworkClassifier,
    NetworkPredictor,
    NetworkRegressor,
)
from skbayes.utils._sklearn import StrOptions


class MLPTemplate(NetworkPredictor):
    """What both multilayer perceptrons are: a network of dense layers."""

    hidden_layer_sizes: Any
    activation: str
    _parameter_constraints: dict = {
        **NetworkPredictor._parameter_constraints,
        "hidden_layer_sizes": ["array-like", Integral],
        "activation": [StrOptions(set(ACTIVATIONS))],
    }
    #: Parameters of scikit-learn's MLPs, and values that other names suggest.
    _namesakes: ClassVar[dict[str, str]] = {
        "alpha": "the prior's scale, prior=Normal(scale=...); it is learned by default",
        "solver": "inference, the engine, such as 'laplace' or 'hmc'",
        "learning_rate_init": "the engine's learning_rate, inference=Laplace(learning_rate=...)",
        "early_stopping": "the engine's tol, inference=Laplace(tol=...)",
        "n_iter_no_change": "the engine's tol, inference=Laplace(tol=...)",
        "loss": "likelihood, such as 'gaussian' or 'student_t'",
        "hidden_layer_sizes=NoneType": "() for a model without hidden layers",
        "activation='identity'": "hidden_layer_sizes=() for a linear model",
        "prior='gaussian'": "prior='normal'",
        "prior='horseshoe'": "a prior with heavy tails, prior='student_t' or 'cauchy'",
        "prior=float": "an object, prior=Normal(scale=...)",
        "likelihood='normal'": "likelihood='gaussian'",
        "inference='mcmc'": "inference='hmc'",
        "inference='vi'": "inference='mean_field_vi'",
        "inference='advi'": "inference='mean_field_vi'",
        "inference='ensemble'": "inference='deep_ensemble'",
        "inference='dropout'": "inference='mc_dropout'",
    }

    def _spec(self) -> MLP:
        sizes = layer_sizes("hidden_layer_sizes", self.hidden_layer_sizes)
        return MLP(sizes, self.activation)


class BayesianMLPRegressor(MLPTemplate, NetworkRegressor):
    """Multilayer perceptron regression with a posterior over weights, scales and noise.

    Raw columns and targets are standardised inside; predictions, densities and evidence
    are in the units of y.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(50,)
        Units of each hidden layer; ``()`` makes a linear model.
    activation : {"tanh", "relu", "logistic", "softplus"}, default="tanh"
        Activation of the hidden units.
    prior : str or Prior, default="normal"
        Prior of the weights, a name in ``skbayes.priors.PRIORS`` or an object.
    likelihood : str or Likelihood, default="gaussian"
        Noise of the targets: a name in ``skbayes.likelihoods.LIKELIHOODS`` of real-valued
        targets, or an object.
    inference : "auto", str or Inference, default="auto"
        Engine, a name in ``skbayes.inference.INFERENCES`` or an object. "auto" samples by
        Hamiltonian Monte Carlo while rows times weights stay below two million, and
        trains a deep ensemble beyond.
    scale_inputs : {"column", "global"} or None, default="column"
        Standardise each column, divide all by one scale (pixels), or leave X alone.
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
        Columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all were strings.

    See Also
    --------
    BayesianMLPClassifier : The same for class labels.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbayes import BayesianMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = BayesianMLPRegressor(inference="laplace", random_state=0).fit(X[:300], y[:300])
    >>> mean, std = reg.predict(X[300:], return_std=True)
    >>> reg.predict_interval(X[300:], coverage=0.9).shape
    (142, 2)
    """

    _parameter_constraints: dict = {
        **MLPTemplate._parameter_constraints,
        "likelihood": [
            StrOptions({name for name, kind in LIKELIHOODS.items() if kind.target == "numeric"}),
            Likelihood,
        ],
        "scale_targets": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (50,),
        activation: str = "tanh",
        *,
        prior: Any = "normal",
        likelihood: Any = "gaussian",
        inference: Any = "auto",
        scale_inputs: str | None = "column",
        scale_targets: bool = True,
        n_predictive_samples: int = 400,
        device: str = "auto",
        dtype: str = "auto",
        memory_budget: float = 256.0,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.prior = prior
        self.likelihood = likelihood
        self.inference = inference
        self.scale_inputs = scale_inputs
        self.scale_targets = scale_targets
        self.n_predictive_samples = n_predictive_samples
        self.device = device
        self.dtype = dtype
        self.memory_budget = memory_budget
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state


class BayesianMLPClassifier(MLPTemplate, NetworkClassifier):
    """Multilayer perceptron classification with a posterior over weights and scales.

    Raw columns are standardised inside.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(50,)
        Units of each hidden layer; ``()`` makes a linear model.
    activation : {"tanh", "relu", "logistic", "softplus"}, default="tanh"
        Activation of the hidden units.
    prior : str or Prior, default="normal"
        Prior of the weights, a name in ``skbayes.priors.PRIORS`` or an object.
    likelihood : {"auto", "categorical", "bernoulli"} or Likelihood, default="auto"
        One logit for two classes, else one a class; or always one a class.
    inference : "auto", str or Inference, default="auto"
        Engine, a name in ``skbayes.inference.INFERENCES`` or an object. "auto" samples by
        Hamiltonian Monte Carlo while rows times weights stay below two million, and
        trains a deep ensemble beyond.
    scale_inputs : {"column", "global"} or None, default="column"
        Standardise each column, divide all by one scale (pixels), or leave X alone.
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
        Labels, in the order of the columns of `predict_proba`.
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
        Columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all were strings.

    See Also
    --------
    BayesianMLPRegressor : The same for numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skbayes import BayesianMLPClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = BayesianMLPClassifier(inference="laplace", random_state=0).fit(X[:400], y[:400])
    >>> clf.predict_proba(X[400:]).shape
    (169, 2)
    >>> clf.predict_uncertainty(X[400:]).mutual_information.shape
    (169,)
    """

    _parameter_constraints: dict = {
        **MLPTemplate._parameter_constraints,
        "likelihood": [
            StrOptions(
                {"auto", *(name for name, kind in LIKELIHOODS.items() if kind.target == "classes")}
            ),
            Likelihood,
        ],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (50,),
        activation: str = "tanh",
        *,
        prior: Any = "normal",
        likelihood: Any = "auto",
        inference: Any = "auto",
        scale_inputs: str | None = "column",
        n_predictive_samples: int = 400,
        device: str = "auto",
        dtype: str = "auto",
        memory_budget: float = 256.0,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.prior = prior
        self.likelihood = likelihood
        self.inference = inference
        self.scale_inputs = scale_inputs
        self.n_predictive_samples = n_predictive_samples
        self.device = device
        self.dtype = dtype
        self.memory_budget = memory_budget
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
