"""Base of networks that predict: their network as a part, rows and labels with shapes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import type_of_target

from skbayes._model import Model
from skbayes.base._classifier import Classifier, check_labels
from skbayes.base._fitting import fit_method
from skbayes.base._regressor import Regressor
from skbayes.data._tables import validate_data
from skbayes.data._tensors import Data
from skbayes.likelihoods import Likelihood, Sites
from skbayes.networks import Network, NetworkSpec
from skbayes.neural_network._base import NetworkTemplate
from skbayes.neural_network._extending import Extendable
from skbayes.neural_network._joint_draws import NetworkDraws
from skbayes.neural_network._linear_part import warn_if_linear
from skbayes.neural_network._prior_draws import PriorDraws
from skbayes.posteriors import Posterior
from skbayes.posteriors._functions import ClassFunctions, NumericFunctions, SiteFunctions

#: What "auto" stands for in a network.
NETWORK_DEFAULTS = {"hidden_layer_sizes": [50], "activation": "tanh", "channels": [16, 32]}
#: Code of a label that is left out.
LEFT_OUT = -1


def shape_of(values: Any) -> tuple[int, ...]:
    """Shape of an array-like, frames and lists too; () where it has none."""
    if hasattr(values, "shape"):
        return tuple(values.shape)
    try:
        return np.asarray(values).shape
    except ValueError:  # ragged lists: whoever validates them says so
        return ()


def _several_axes(values: Any) -> tuple[int, ...] | None:
    """Shape of a row that is no row of a table."""
    shape = shape_of(values)
    return shape[1:] if len(shape) > 2 else None


class NetworkPredictor(Extendable, NetworkDraws, PriorDraws, NetworkTemplate):
    """Base of predictors: a subclass says which network, by `_spec`."""

    # Set by fit.
    likelihood_: Likelihood
    n_features_in_: int
    _n_targets: int
    #: Shape of the rows of X, where it has more than two dimensions, and of labels of sites.
    _row_shape: tuple[int, ...] | None = None
    _site_shape: tuple[int, ...] = ()
    #: Whether rows may be pictures and sequences, and labels those of their places.
    _takes_shapes: ClassVar[bool] = False
    #: Whether y holds several labels a row, which do not exclude one another.
    _several: bool = False
    #: Shape of a row's targets, where y has more than two dimensions.
    _number_shape: tuple[int, ...] = ()

    def _spec(self) -> NetworkSpec:
        """The network as it was asked for."""
        raise NotImplementedError(f"{type(self).__name__} must define _spec")

    def _network_config(self) -> dict[str, Any]:
        default = {**NETWORK_DEFAULTS, "row_shape": self._row_shape}
        spec = self._spec().resolved("network", default, self.n_features_in_)
        free = self.bayesian if isinstance(self.bayesian, str) else list(self.bayesian)
        sites = [] if self._several else list(self._site_shape or self._number_shape)
        return {"spec": spec, "target_shape": sites, "bayesian": free}

    def _column_groups(self) -> np.ndarray | None:
        return self._network_config()["spec"].column_groups(self.n_features_in_)

    def _trained_weights(self, network: Network) -> Any:
        return self._network_config()["spec"].trained_weights(network)

    def _make_network(self, n_inputs: int, n_outputs: int) -> Network:
        config = self._network_config()
        return config["spec"].network(n_inputs, n_outputs, config["target_shape"])

    def _make_network_from(self, config: dict[str, Any]) -> Network:
        n_outputs = self.likelihood_.n_outputs(self._n_targets)
        return config["spec"].network(self.n_features_in_, n_outputs, config["target_shape"])

    def _check_fit(self, model: Model, posterior: Posterior, data: Data, engine: str) -> None:
        warn_if_linear(model, posterior, data, engine)

    @fit_method
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetworkPredictor:
        """Infer the posterior over the network's weights, scales and noise.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Raw columns; they are standardised inside.
        y : array-like of shape (n_rows,) or (n_rows, n_targets)
            Targets, or class labels; zeros and ones of several labels for a classifier.
        sample_weight : array-like of shape (n_rows,), optional
            Exponents of the rows' likelihoods: a row of weight 2 counts as two rows, so
            the scale of the weights matters.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If the data or a parameter is unusable.
        IncompatiblePartsError
            If engine, prior and likelihood do not fit together.
        ModuleError
            If a network's module cannot be used; the message says what to write.
        InsufficientMemoryError
            If the draws of a sampler would not fit, before any work.
        DivergenceError
            If the engine met non-finite numbers; the estimator stays as it was.
        CheckpointError
            If the engine's ``checkpoint`` holds damaged files, or another run's.
        """
        self._fit(X, y, sample_weight)
        return self

    # --- rows with shapes ------------------------------------------------------------

    def _table(self, X: Any) -> Any:
        """Rows as columns: pictures and sequences come flat, or with their shape."""
        shape = shape_of(X)[1:]
        if len(shape) <= 1 or not self._takes_shapes:
            return X
        if self._row_shape is not None and shape != tuple(self._row_shape):
            raise ValueError(
                f"rows of X have shape {shape}, but those of fit had {tuple(self._row_shape)}"
            )
        return np.asarray(X).reshape(len(X), -1)

    def _inputs(self, X: Any) -> Any:
        return super()._inputs(self._table(X))

    def _training_data(self, X: Any, y: Any, sample_weight: Any) -> Any:
        return super()._training_data(self._table(X), y, sample_weight)


class NetworkRegressor(Regressor, NetworkPredictor):
    """Networks of numbers."""

    def _validate_training(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray, int]:
        if reset:
            self._row_shape = _several_axes(X)
            self._number_shape = _several_axes(y) or ()
        return super()._validate_training(self._table(X), self._flat_targets(y), reset)

    def _flat_targets(self, y: Any) -> Any:
        """Targets (N, T), of fields of numbers too."""
        has_shape = self._takes_shapes and len(shape_of(y)) > 2
        return np.asarray(y).reshape(len(y), -1) if has_shape else y

    def _encode_targets(self, y: Any, n_rows: int | None = None) -> np.ndarray:
        return super()._encode_targets(self._flat_targets(y), n_rows)

    def _shape(self, values: np.ndarray, dtype: np.dtype, axis: int = 1) -> np.ndarray:
        found = super()._shape(values, dtype, axis)
        if not self._number_shape:
            return found
        before, behind = found.shape[:axis], found.shape[axis + 1 :]
        return found.reshape(*before, *self._number_shape, *behind)

    def _predictive(self, X: Any) -> NumericFunctions:
        functions = self._functions(X)
        return NumericFunctions(self._y_scaler, **functions)


class NetworkClassifier(Classifier, NetworkPredictor):
    """Networks of labels: one a row, several a row, or one for each pixel or step."""

    #: Labels of pixels that are left out, and the shape of labels of sites that come flat.
    ignore_label: Any = None
    target_shape: Any = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _validate_training(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray, int]:
        if reset:
            self._row_shape = _several_axes(X)
        X, y = self._table(X), y.toarray() if hasattr(y, "toarray") else y
        shape = shape_of(y)
        if len(shape) < 2 or (len(shape) == 2 and shape[1] == 1 and self.target_shape is None):
            if self.target_shape is not None or self.ignore_label is not None:
                name = "target_shape" if self.target_shape is not None else "ignore_label"
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is for labels of pixels or steps, but y has "
                    f"shape {shape}, one label a row; leave {name} out, or give y as "
                    "(n_rows, *target_shape)"
                )
            self._check_kind_of_labels((), False, reset)
            return super()._validate_training(X, y, reset)
        several = self.target_shape is None and len(shape) == 2
        sites = tuple(shape[1:] if self.target_shape is None else self.target_shape)
        if int(np.prod(sites)) != int(np.prod(shape[1:])):
            raise ValueError(
                f"target_shape={self.target_shape!r} does not fit y, whose rows have shape "
                f"{shape[1:]}"
            )
        indicators = several and type_of_target(y, input_name="y") == "multilabel-indicator"
        if not indicators and not self._takes_shapes:
            raise ValueError(
                f"y should be a 1d array of labels, or hold zeros and ones of several labels a "
                f"row, got an array of shape {shape}"
            )
        if several and not indicators:
            raise ValueError(
                f"y has {shape[1]} columns of labels; for several labels a row give zeros and "
                f"ones, and for one label a step or pixel set target_shape=({shape[1]},)"
            )
        self._check_kind_of_labels(sites, several, reset)
        flat = np.asarray(y).reshape(len(y), -1)
        X, flat = validate_data(
            self, X, flat, dtype=[np.float64, np.float32], multi_output=True, reset=reset
        )
        check_labels(flat.ravel())
        if reset:
            found = np.unique(flat[self._counted(flat)])
            if len(found) < 2 and not several:
                raise ValueError(
                    f"{type(self).__name__} needs at least 2 classes, but y holds "
                    f"{found.tolist()} alone"
                )
            self.classes_ = np.arange(flat.shape[1]) if several else found
        codes = self._codes(flat)
        return X, codes, 2 if several else len(self.classes_)

    def _check_kind_of_labels(self, sites: tuple[int, ...], several: bool, reset: bool) -> None:
        """Note sites of labels; a warm start keeps those that it knows."""
        if not reset and (sites, several) != (tuple(self._site_shape), self._several):
            raise ValueError(
                "warm_start=True needs labels of the shape that the first fit saw; set "
                "warm_start=False to start anew"
            )
        self._site_shape, self._several = sites, several

    def _counted(self, y: np.ndarray) -> np.ndarray:
        """Where labels are not those that are left out."""
        return np.ones(y.shape, bool) if self.ignore_label is None else y != self.ignore_label

    def _codes(self, y: np.ndarray) -> np.ndarray:
        """Codes of labels of sites, `LEFT_OUT` where they are left out."""
        classes = np.arange(2) if self._several else self.classes_
        counted = self._counted(y)
        unknown = np.setdiff1d(y[counted], classes)
        if len(unknown):
            raise ValueError(f"y holds labels that fit did not see: {unknown[:5].tolist()}")
        codes = np.searchsorted(classes, np.where(counted, y, classes[0]))
        return np.where(counted, codes, LEFT_OUT)

    def _encode_targets(self, y: Any, n_rows: int | None = None) -> np.ndarray:
        if not self._site_shape:
            return super()._encode_targets(y, n_rows)
        y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
        flat = y.reshape(len(y), -1)
        if flat.shape[1] != int(np.prod(self._site_shape)):
            raise ValueError(
                f"rows of y have shape {y.shape[1:]}, but those of fit had {self._site_shape}"
            )
        if n_rows is not None and len(y) != n_rows:
            raise ValueError(f"X has {n_rows} rows but y has {len(y)}")
        return self._codes(flat)

    def _decode_targets(self, draws: np.ndarray, dtype: np.dtype) -> np.ndarray:
        return draws if self._several else super()._decode_targets(draws, dtype)

    def _make_likelihood(self, n_targets: int) -> Likelihood:
        likelihood: Any = super()._make_likelihood(n_targets)
        n_sites = int(np.prod(self._site_shape))
        return Sites(likelihood, n_sites) if self._site_shape else likelihood

    def _make_part(self, part: str) -> Any:
        if part == "likelihood" and self.likelihood == "auto":
            two = self._several or len(self.classes_) == 2
            return self._registries[part]["bernoulli" if two else "categorical"]()
        return super()._make_part(part)

    def _predictive(self, X: Any) -> ClassFunctions:
        functions = self._functions(X)
        if self._site_shape:
            return SiteFunctions(tuple(self._site_shape), self._several, **functions)
        return ClassFunctions(**functions)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy: the share of rows, or of pixels or steps, with the right label.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows to predict, as `fit` takes them.
        y : array-like of shape (n_rows,) or as `fit` took it
            Labels. Of several labels a row all must be right.
        sample_weight : array-like of shape (n_rows,), optional
            Weights of the rows.

        Returns
        -------
        accuracy : float
        """
        found = self.predict(X)
        if found.ndim < 2 or self._several:
            return float(accuracy_score(y, found, sample_weight=sample_weight))
        y = np.asarray(y).reshape(found.shape)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        counted = self._counted(y) * weight.reshape(-1, *[1] * (y.ndim - 1))
        return float(((found == y) * counted).sum() / counted.sum())
