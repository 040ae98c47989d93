"""A classifier that learns from unlabelled rows through a conditional autoencoder."""

from __future__ import annotations

from contextlib import ExitStack
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor

from skbayes._model import Model as JointModel
from skbayes.autoencoder._architecture import NAMESAKES, POSITIVE, TABLE_CONSTRAINTS
from skbayes.autoencoder._base import encode_rows
from skbayes.autoencoder._objective import Gradients
from skbayes.autoencoder._semi_supervised_objective import SemiSupervisedObjective
from skbayes.autoencoder._table import table_of
from skbayes.base._classifier import Classifier, check_labels
from skbayes.base._fitting import fit_method
from skbayes.base._monitor import Given, Monitor
from skbayes.base._predictive import as_float
from skbayes.data._canonical import canonical_rows
from skbayes.data._tables import validate_data
from skbayes.data._tensors import Data, as_tensor, resolve_device
from skbayes.data._tiles import EncodedRows
from skbayes.inference._remedies import smaller_rate
from skbayes.latent import DiagonalNormal, StandardNormal
from skbayes.latent._latent_model import LatentModel, arrays, count
from skbayes.likelihoods import COLUMN_LIKELIHOODS, Categorical
from skbayes.networks import MLP, MLPNetwork
from skbayes.networks._encoder_decoder import joined
from skbayes.networks._specs import resolve_networks
from skbayes.neural_network._engine_runs import warn_if_zero
from skbayes.posteriors import ParticlePosterior
from skbayes.posteriors._functions import ClassFunctions, named_draws
from skbayes.priors import Normal
from skbayes.training import TRAININGS, Training
from skbayes.training._trainer import train
from skbayes.utils._draws import check_count, seed_streams
from skbayes.utils._random import make_generator, torch_draw_generator
from skbayes.utils._sklearn import Interval, StrOptions, check_sample_weight
from skbayes.utils._threads import SMALL_TILE, limit_threads
from skbayes.utils._warnings import warn

#: What "auto" stands for in networks, and in the learning rate.
NETWORK_DEFAULTS = {"hidden_layer_sizes": [200], "activation": "relu"}
LEARNING_RATE = 5e-3
#: What marks a row without a label, as in ``sklearn.semi_supervised``.
UNLABELLED = -1


class SemiSupervisedVAEClassifier(Classifier):
    """Classifier that also learns from unlabelled rows, by modelling all of them.

    A conditional variational autoencoder p(x | y, z) explains rows by their label and a
    code, and an ensemble of classifiers q(y | x) names the labels that are missing; they
    are trained together (Kingma et al., 2014, model M2). Predictions are those of the
    ensemble, each member a network at its posterior mode.

    Parameters
    ----------
    n_components : int, default=20
        Number of codes z: what a row is beside its class.
    encoder : "mlp" or MLP, default="mlp"
        Network of the encoder, and of each classifier: fully connected, of one hidden layer
        of 200 units with "relu" unless `skbayes.networks.MLP` says otherwise.
    decoder : "mlp", MLP or None, default=None
        That of the decoder; None mirrors the encoder.
    likelihood : str, Likelihood or dict, default="gaussian"
        What columns are: numbers whose noise is each column's own ("gaussian"), one for all
        ("shared_gaussian") or depends on label and latents ("heteroscedastic"), numbers with
        outliers ("student_t", degrees of freedom are learned), zeros and ones ("bernoulli"),
        or levels ("categorical", numbers that name them). Objects of `skbayes.likelihoods`
        say more: ``Gaussian(noise=0.1)`` fixes the noise in the units of X, learned noise
        has a floor of a hundredth of a column's standard deviation. A dict names the columns
        of each, by number or name: ``{"gaussian": [0, 3], "categorical": ["sex"]}``.
    scale_inputs : {"column", "global"} or None, default="column"
        Standardise each numeric column, divide all by one scale (pixels), or leave them.
    label_weight : float, default=10.0
        How strongly labels bind the classifier: each labelled row's -log q(y | x) counts
        once, and ``label_weight`` times as often as there are unlabelled rows to a
        labelled one.
    warm_up : float, default=0.3
        Share of the training in which the classifiers learn from labels alone, while the
        autoencoder takes their guesses; without it, both may settle on other groups.
    prior_scale : float, default=10.0
        Standard deviation of the normal prior of the classifiers' weights, times the root
        of their fan in.
    n_members : int, default=5
        Classifiers in the ensemble, whose differences are the epistemic uncertainty.
    training : "adam" or Training, default="adam"
        Steps, learning rate, batches (of so many labelled and unlabelled rows each),
        checkpoints and device, as in ``skbayes.training.Training(max_iter=1000)``.
    verbose : int, default=0
        1 shows a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seeds everything: equal seeds give equal bits.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the columns of `predict_proba`; -1 is none of them.
    class_prior_ : ndarray of shape (n_classes,)
        Shares of the classes among the labelled rows, after one row more of each.
    posterior_ : ParticlePosterior
        The ensemble, as NumPy arrays.
    prior_, likelihood_ : Prior, Likelihood
        Those of the classifiers.
    evidence_kind_, evidence_se_ : None
        There is no evidence of the training labels.
    loss_curve_ : ndarray of shape (n_reports,)
        Mean loss of each fiftieth of the training, in nats a row.
    n_iter_ : int
        Steps taken.
    converged_ : bool or None
        Whether the training's ``tol`` ended it; None where that was 0.
    n_features_in_ : int
        Columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if all were strings.

    See Also
    --------
    VAETransformer : Codes as features for any classifier.
    sklearn.semi_supervised.SelfTrainingClassifier : Labels by a classifier's own guesses.

    Notes
    -----
    Every label is tried on every unlabelled row, so a step costs as many decodings as there
    are classes. The labels {-1, 1} alone are read as two classes, with a warning, since one
    class and unlabelled rows leave nothing to learn.

    References
    ----------
    .. [1] D. P. Kingma, D. J. Rezende, S. Mohamed and M. Welling (2014), Semi-supervised
       learning with deep generative models, NIPS 27.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import SemiSupervisedVAEClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> few = np.where(np.arange(150) % 10 == 0, y, -1)
    >>> from skbayes.training import Training
    >>> short = Training(max_iter=300)
    >>> clf = SemiSupervisedVAEClassifier(2, training=short, random_state=0).fit(X, few)
    >>> bool(clf.score(X, y) > 0.85)
    True
    """

    _registries: ClassVar[dict[str, dict[str, type]]] = {
        "encoder": {"mlp": MLP},
        "decoder": {"mlp": MLP},
        "likelihood": COLUMN_LIKELIHOODS,
        "training": TRAININGS,
    }
    _namesakes: ClassVar[dict[str, str]] = NAMESAKES
    _parameter_constraints: dict = {
        **TABLE_CONSTRAINTS,
        "n_components": [POSITIVE],
        "encoder": [StrOptions({"mlp"}), MLP],
        "decoder": [StrOptions({"mlp"}), MLP, None],
        "label_weight": [Interval(Real, 0, None, closed="left")],
        "warm_up": [Interval(Real, 0, 1, closed="both")],
        "prior_scale": [Interval(Real, 0, None, closed="neither")],
        "n_members": [POSITIVE],
        "training": [StrOptions(set(TRAININGS)), Training],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }
    posterior_: ParticlePosterior
    #: An ensemble's members differ by their starts, which more data need not overcome.
    consistent = False
    #: MiB of a prediction's intermediate values.
    memory_budget = 256.0

    def __init__(
        self,
        n_components: int = 20,
        *,
        encoder: Any = "mlp",
        decoder: Any = None,
        likelihood: Any = "gaussian",
        scale_inputs: str | None = "column",
        label_weight: float = 10.0,
        warm_up: float = 0.3,
        prior_scale: float = 10.0,
        n_members: int = 5,
        training: Any = "adam",
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.scale_inputs = scale_inputs
        self.label_weight = label_weight
        self.warm_up = warm_up
        self.prior_scale = prior_scale
        self.n_members = n_members
        self.training = training
        self.verbose = verbose
        self.random_state = random_state

    #: What to do with labels that are missing.
    _unknown_labels = "mark rows without a label by -1"

    # --- fitting ---------------------------------------------------------------------

    @fit_method
    def fit(  # type: ignore[override]
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> SemiSupervisedVAEClassifier:
        """Train on labelled and unlabelled rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows.
        y : array-like of shape (n_rows,)
            Labels, and -1 (in an array of objects among strings) for rows without one.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows.

        Returns
        -------
        self : SemiSupervisedVAEClassifier

        Raises
        ------
        ValueError
            If the data or a parameter are unusable, or fewer than two classes have labels.
        DivergenceError
            If the training met a non-finite loss; the estimator stays as it was.
        """
        training = self._checked_part("training")
        given = Given(X, y, sample_weight)
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        self.classes_, codes = encode_labels(y, type(self).__name__)
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        seeds = seed_streams(self.random_state)
        X, codes, weight = canonical_rows(X, codes, weight)
        if (codes < 0).all():
            raise ValueError("no labelled row has a positive sample_weight; weigh some of them")
        self._table = table_of(self, X.shape[1]).fit(X, weight)
        counts = np.bincount(codes[codes >= 0], weight[codes >= 0], len(self.classes_)) + 1
        self.class_prior_ = counts / counts.sum()
        self._fitted_config = self._network_config()
        self._prediction_seed, self._dtype = seeds["prediction"], str(X.dtype)
        self.evidence_kind_ = self.evidence_se_ = None
        with Monitor(type(self).__name__, self.verbose, self, given) as monitor:
            self._train(training, X, codes, weight, seeds, monitor)
            monitor.ended({})
        return self

    def _train(
        self,
        training: Training,
        X: np.ndarray,
        codes: np.ndarray,
        weight: np.ndarray,
        seeds: dict[str, int],
        monitor: Monitor,
    ) -> None:
        """Minimise the objective, and keep the trained parameters as arrays."""
        rows, labelled = self._split(X, codes, weight)
        model, network = self._autoencoder(), self._make_network_from(self._fitted_config)
        batch = min(training.batch_size, len(rows))
        learning_rate = training.rate(default=LEARNING_RATE)
        generator = make_generator(seeds["init"])
        start = model.init(rows, generator)
        start["classifier"] = network.init(self.n_members, generator)
        n_labels = 1 if labelled is rows else len(self.classes_)
        work = 6.0 * batch * count(start) * n_labels
        device = resolve_device(training.device, work)
        objective = SemiSupervisedObjective(
            model=model,
            classifier=network,
            labelled=labelled.to(device),
            log_class_prior=as_tensor(np.log(self.class_prior_), torch.float32, device),
            share_labelled=float(weight[codes >= 0].sum() / weight.sum()),
            label_weight=self.label_weight,
            warm_up=self.warm_up,
            prior_scales=self._prior_scales(network).to(device),
            total_weight=float(weight.sum()),
            batch_size=training.batch_size,
        )
        generator = make_generator(seeds["training"], device)
        monitor.attributes = lambda state: self._attributes(arrays(state))
        with limit_threads(work), ExitStack() as stack:
            shown = {"verbose", "training"}
            own = {k: v for k, v in self.get_params(deep=False).items() if k not in shown}
            deciding = (type(self), {**own, **self._fitted_config}, rows, labelled, start)
            trained, self.n_iter_, history = train(
                {name: value.to(device) for name, value in start.items()},
                Gradients(objective, model.network, generator),
                rows.to(device),
                batch_size=batch,
                generator=generator,
                engine=type(self).__name__,
                remedy=smaller_rate(learning_rate, "training__learning_rate"),
                max_iter=training.n_steps(len(rows) // batch),
                learning_rate=learning_rate,
                tol=training.tol,
                monitor=monitor,
                rate="held",
                warm_up=self.warm_up,
                checkpoint=training.files(
                    stack, deciding, generator, repeatable=self.random_state is not None
                ),
            )
        self.__dict__.update(self._attributes(arrays(trained)))
        self.loss_curve_, self.converged_ = np.array(history.losses), history.converged

    def _attributes(self, parameters: dict[str, np.ndarray]) -> dict[str, Any]:
        """The autoencoder's parameters, and the ensemble as a posterior."""
        weights = parameters.pop("classifier")
        network = self._make_network_from(self._fitted_config)
        whitened = weights / self._prior_scales(network).numpy()
        return {
            "_parameters": parameters,
            "prior_": Normal(scale=self.prior_scale),
            "likelihood_": Categorical(),
            "posterior_": ParticlePosterior(whitened[:, None], monte_carlo=False),
        }

    def _prior_scales(self, network: MLPNetwork) -> Tensor:
        """Standard deviations (P,) of the classifier's weights: over the root of the fan in."""
        return self.prior_scale * Normal().weight_factors(network, torch.empty(0))

    def _split(self, X: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> tuple[Data, Data]:
        """Unlabelled and labelled rows; twice the labelled ones where all are."""

        def rows(chosen: np.ndarray, context: np.ndarray | None) -> Data:
            own = weight[chosen]
            return encode_rows(self._table, X[chosen], context, own / own.mean())

        known = codes >= 0
        labelled = rows(known, np.eye(len(self.classes_))[codes[known]])
        return (labelled if known.all() else rows(~known, None)), labelled

    def _autoencoder(self) -> LatentModel:
        """The conditional autoencoder, without parameters."""
        config, n_classes, likelihood = (
            self._fitted_config,
            len(self.classes_),
            self._table.likelihood,
        )
        q = config["n_components"]
        bottleneck = DiagonalNormal().prepare(q)
        network = joined(
            config["encoder"].encoder(self._table.n_encoded, bottleneck.n_outputs, n_classes),
            config["decoder"].decoder(q, likelihood.n_outputs, n_classes),
        )
        return LatentModel(network, bottleneck, likelihood, StandardNormal().prepare(q))

    def _network_config(self) -> dict[str, Any]:
        encoder = self._checked_part("encoder")
        decoder = None if self.decoder is None else self._checked_part("decoder")
        up, down = resolve_networks(encoder, decoder, NETWORK_DEFAULTS, self.n_features_in_)
        return {"n_components": int(self.n_components), "encoder": up, "decoder": down}

    def _make_network_from(self, config: dict[str, Any]) -> MLPNetwork:
        n_inputs, n_outputs = self._table.n_encoded, len(self.classes_)
        return config["encoder"].encoder(n_inputs, n_outputs)

    # --- predictions -----------------------------------------------------------------

    def _predictive(self, X: Any) -> ClassFunctions:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return ClassFunctions(
            model=self._classifier(),
            posterior=self.posterior_,
            rows=EncodedRows(X, lambda part: encode_rows(self._table, part, None).X),
            dtype=X.dtype,
            n_draws=len(self.posterior_.particles),
            seed=self._prediction_seed,
            memory_budget=self.memory_budget,
        )

    def _classifier(self) -> JointModel:
        network = self._make_network_from(self._fitted_config)
        n_classes = len(self.classes_)
        return JointModel(network, self.prior_, self.likelihood_, n_classes, torch.empty(0))

    def _sample_parameters(self, n_samples: int, random_state: Any) -> dict[str, np.ndarray]:
        """Draw members: their weights, in standardised units."""
        return named_draws(self._classifier(), self.posterior_, n_samples, random_state)

    def _check_kind(self, kind: str) -> None:
        super()._check_kind(kind)
        warn_if_zero(self, kind)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "posterior_")

    def _no_evidence(self) -> str:
        return (
            f"{type(self).__name__} has no evidence of its training labels; use VAETransformer "
            "for a density of rows, or score held-out rows with score_evidence(X, y)"
        )

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw new rows with their labels.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        y : label or array-like of shape (n_samples,), optional
            Labels of the rows, one for all or one each; by default drawn from
            ``class_prior_``.
        random_state : int, RandomState instance or None, default=None
            Equal seeds give equal draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        y : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        n = check_count(n_samples)
        generator = torch_draw_generator(random_state)
        if y is None:
            p = torch.from_numpy(self.class_prior_)
            codes = torch.multinomial(p, n, replacement=True, generator=generator).numpy()
        else:
            codes = self._encode_targets(np.atleast_1d(y))
            if len(codes) not in (1, n):
                raise ValueError(f"y has {len(codes)} labels, but n_samples={n}; give one or {n}")
            codes = np.broadcast_to(codes, (n,))
        context = as_tensor(np.eye(len(self.classes_))[codes], torch.float32)
        parameters = {name: torch.from_numpy(value) for name, value in self._parameters.items()}
        model = self._autoencoder()
        z = torch.randn(n, model.network.n_latents, generator=generator)
        with limit_threads(n * count(parameters), SMALL_TILE):
            outputs = model.decode(parameters, z, context)
            (encoded,) = model.likelihood.sample(outputs[None], parameters["noise"], generator)
        X = self._table.decode(encoded.double().numpy())
        return as_float(X, np.dtype(self._dtype)), self.classes_[codes]


def encode_labels(y: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Classes, and the code (N,) of each row's label in them; -1 where it has none."""
    y = column_or_1d(y, warn=True)
    known = ~_unlabelled(y)
    check_labels(y[known])
    check_classification_targets(y[known])
    classes, of_known = np.unique(y[known], return_inverse=True)
    if len(classes) < 2:
        held = f"one class: {classes[0]!r}" if len(classes) else "unlabelled rows (-1) alone"
        raise ValueError(f"{name} needs labels of at least 2 classes, but y holds {held}")
    codes = np.full(len(y), UNLABELLED)
    codes[known] = of_known
    return classes, codes


def _unlabelled(y: np.ndarray) -> np.ndarray:
    """Where y is -1 (N,), unless -1 and 1 are the names of two classes."""
    if y.dtype.kind == "O":
        marked = np.array([isinstance(v, Real) and v == UNLABELLED for v in y], dtype=bool)
    else:
        marked = y == UNLABELLED if y.dtype.kind in "if" else np.zeros(len(y), dtype=bool)
    if not marked.any() or marked.all() or not (y[~marked] == 1).all():
        return marked
    warn(
        "y holds the labels -1 and 1 alone: they are read as two classes, not as unlabelled "
        "rows beside one class; name the classes otherwise to say so",
    )
    return np.zeros(len(y), dtype=bool)
