"""Pictures of what was learned: coefficients, evidences, chains, components."""

from __future__ import annotations

from typing import Any

import numpy as np

from skbayes.inspection._axes import get_axes


class CoefficientDisplay:
    """Coefficients of a linear model with their posterior intervals, by name of the column.

    Make one by `from_estimator`.

    Parameters
    ----------
    draws : ndarray of shape (n_draws, n_features)
        Posterior draws.
    names : list of str
        Of the columns.
    coverage : float
        Probability of each interval.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skbayes import BayesianLinearRegression
    >>> from skbayes.inspection import CoefficientDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> display = CoefficientDisplay.from_estimator(BayesianLinearRegression().fit(X, y))
    >>> display.names[:3]
    ['age', 'sex', 'bmi']
    """

    def __init__(self, *, draws: np.ndarray, names: list[str], coverage: float = 0.9) -> None:
        self.draws = draws
        self.names = names
        self.coverage = coverage

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        target: int = 0,
        coverage: float = 0.9,
        n_samples: int = 2000,
        random_state: Any = 0,
        ax: Any = None,
    ) -> CoefficientDisplay:
        """Draw coefficients of a fitted linear model, or of what holds one.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        target : int, default=0
            Which target, or which class's logit.
        coverage : float, default=0.9
            Probability of each interval.
        n_samples : int, default=2000
            Posterior draws behind the intervals.
        random_state : int, RandomState instance or None, default=0
            Seeds the draws.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : CoefficientDisplay

        Raises
        ------
        ValueError
            If the estimator has no coefficients.
        """
        from skbayes.verbs import sample_posterior
        from skbayes.verbs._wrappers import reach

        named = sample_posterior(estimator, n_samples=n_samples, random_state=random_state)
        if "coef" not in named:
            raise ValueError(
                f"{type(estimator).__name__} draws {sorted(named)} and no coefficients; give a "
                "linear model"
            )
        draws = named["coef"]
        if draws.ndim == 3:
            draws = draws[:, target]
        inner = reach(estimator, "sample_posterior").estimator
        names = getattr(inner, "feature_names_in_", [f"x{i}" for i in range(draws.shape[1])])
        return cls(draws=draws, names=[str(name) for name in names], coverage=coverage).plot(ax=ax)

    def plot(self, ax: Any = None) -> CoefficientDisplay:
        """Draw a median and an interval a column, from the first at the top.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        self : CoefficientDisplay
        """
        ax = get_axes(ax)
        tail = (1 - self.coverage) / 2
        low, middle, high = np.quantile(self.draws, [tail, 0.5, 1 - tail], axis=0)
        rows = np.arange(len(self.names))
        clear = (low > 0) | (high < 0)
        for chosen, colour, label in ((clear, "C0", "clear of zero"), (~clear, "0.6", "not clear")):
            if chosen.any():
                error = [(middle - low)[chosen], (high - middle)[chosen]]
                at = (middle[chosen], rows[chosen])
                ax.errorbar(*at, xerr=error, fmt="o", color=colour, label=label)
        ax.axvline(0, color="0.7", linewidth=1, zorder=0)
        ax.set_yticks(rows, self.names)
        ax.invert_yaxis()
        ax.set(xlabel=f"coefficient, {self.coverage:.0%} of its posterior")
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class EvidenceDisplay:
    """Log evidences of models on the same rows, as nats below the best, with their errors.

    Make one by `from_estimators`.

    Parameters
    ----------
    values, errors : ndarray of shape (n_models,)
        Log evidences and standard errors, in nats.
    names : list of str

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VariationalGMM
    >>> from skbayes.inspection import EvidenceDisplay
    >>> X = load_iris().data
    >>> fits = {k: VariationalGMM(k, random_state=0).fit(X) for k in (1, 2, 3)}
    >>> EvidenceDisplay.from_estimators(fits).names
    ['1', '2', '3']
    """

    def __init__(self, *, values: np.ndarray, errors: np.ndarray, names: list[str]) -> None:
        self.values = values
        self.errors = errors
        self.names = names

    @classmethod
    def from_estimators(cls, estimators: Any, *, ax: Any = None) -> EvidenceDisplay:
        """Ask fitted estimators for the evidence of their training rows, and draw.

        Parameters
        ----------
        estimators : dict of estimator
            Fitted to the same rows; keys are their names.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : EvidenceDisplay

        Raises
        ------
        ValueError
            If evidences are of different kinds, which must not be compared.
        """
        from skbayes.verbs import score_evidence
        from skbayes.verbs._wrappers import reach

        kinds = {
            str(name): reach(one, "score_evidence").estimator.evidence_kind_
            for name, one in estimators.items()
        }
        if len(set(kinds.values())) > 1:
            raise ValueError(
                f"evidences of different kinds are not to be compared: {kinds}; fit all by one "
                "engine, or compare held-out scores"
            )
        found = [score_evidence(one, return_std=True) for one in estimators.values()]
        values, errors = np.array(found, dtype=float).T
        return cls(values=values, errors=errors, names=list(kinds)).plot(ax=ax)

    def plot(self, ax: Any = None) -> EvidenceDisplay:
        """Draw how far each model lies below the best, and the differences that count.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        self : EvidenceDisplay
        """
        ax = get_axes(ax)
        rows, below = np.arange(len(self.names)), self.values - self.values.max()
        ax.axvspan(-2, 0, color="0.92", label="less than 2 nats: no difference", zorder=0)
        ax.errorbar(below, rows, xerr=1.64 * self.errors, fmt="o", label="log evidence, 90%")
        ax.set_yticks(rows, self.names)
        ax.invert_yaxis()
        ax.set(xlabel="nats below the best")
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class TraceDisplay:
    """Chains of one number, and the ranks of their draws: whether chains have mixed.

    Ranks of all draws together are spread evenly over each chain if the chains explore one
    distribution (Vehtari et al., 2021). Make one by `from_estimator` or `from_draws`.

    Parameters
    ----------
    draws : ndarray of shape (n_chains, n_draws)
    name : str

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Of the traces and of the ranks.
    figure_ : matplotlib Figure
        Their figure.

    References
    ----------
    A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner (2021), Rank-normalization,
    folding, and localization: an improved R-hat, Bayesian Analysis 16.

    Examples
    --------
    >>> import numpy as np
    >>> from skbayes.inspection import TraceDisplay
    >>> display = TraceDisplay.from_draws(np.random.default_rng(0).normal(size=(4, 100)))
    >>> display.rank_counts(5).sum(axis=1)
    array([100, 100, 100, 100])
    """

    def __init__(self, *, draws: np.ndarray, name: str = "value") -> None:
        self.draws = draws
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, row: int = 0, output: int = 0, axes: Any = None
    ) -> TraceDisplay:
        """Draw the chains of a fitted network's function at a row.

        Parameters
        ----------
        estimator : estimator
            A network whose posterior was sampled, bare or inside wrappers.
        X : array-like of shape (n_rows, n_features)
            Rows.
        row : int, default=0
            Which of them.
        output : int, default=0
            Which target, or which class's probability.
        axes : sequence of two matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : TraceDisplay

        Raises
        ------
        DrawsUnavailableError
            If the engine keeps no draws.
        """
        from skbayes.verbs._wrappers import reach

        found = reach(estimator, "to_arviz", X)
        joint = found.estimator._joint_draws(found.X, None, 0)
        (name, values), *_ = joint.functions.items()
        draws = values[:, row, output].reshape(joint.n_chains, -1)
        what = "function" if name == "f" else "probability"
        return cls(draws=draws, name=f"{what} at row {row}").plot(axes=axes)

    @classmethod
    def from_draws(cls, draws: Any, *, name: str = "value", axes: Any = None) -> TraceDisplay:
        """Draw chains that are at hand.

        Parameters
        ----------
        draws : array-like of shape (n_chains, n_draws)
            Draws of one number.
        name : str, default="value"
            Label of the axis.
        axes : sequence of two matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : TraceDisplay
        """
        draws = np.asarray(draws, dtype=float)
        if draws.ndim != 2:
            raise ValueError(f"draws has shape {draws.shape}; give (n_chains, n_draws)")
        return cls(draws=draws, name=name).plot(axes=axes)

    def rank_counts(self, n_bins: int = 10) -> np.ndarray:
        """Count each chain's draws by their rank among all.

        Parameters
        ----------
        n_bins : int, default=10
            Bins of the ranks.

        Returns
        -------
        counts : ndarray of shape (n_chains, n_bins)
        """
        ranks = self.draws.ravel().argsort(kind="stable").argsort(kind="stable")
        bins = (ranks * n_bins // self.draws.size).reshape(self.draws.shape)
        return np.array([np.bincount(chain, minlength=n_bins) for chain in bins])

    def plot(self, axes: Any = None) -> TraceDisplay:
        """Draw the traces, and beside them the ranks with the band of chance.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        self : TraceDisplay
        """
        from scipy.stats import binom

        if axes is None:
            figure = get_axes(None).figure
            figure.clear()
            figure.set_size_inches(9, 3)
            axes = figure.subplots(1, 2)
        traces, ranks = axes
        traces.plot(self.draws.T, linewidth=0.7)
        traces.set(xlabel="draw", ylabel=self.name)
        n_bins = 10
        low, high = binom.interval(0.9, self.draws.shape[1], 1 / n_bins)
        ranks.axhspan(low, high, color="0.9", label="90% chance, independent draws", zorder=0)
        for number, counts in enumerate(self.rank_counts(n_bins)):
            edges = np.arange(n_bins + 1) / n_bins
            ranks.stairs(counts, edges, label=f"chain {number}" if number < 4 else None)
        ranks.set(xlabel="rank among all draws", ylabel="draws of the chain", ylim=(0, None))
        ranks.legend(frameon=False, fontsize=7)
        self.axes_, self.figure_ = np.array([traces, ranks]), traces.figure
        return self


class MixtureDisplay:
    """Components of a fitted mixture as ellipses over two columns of rows.

    Each ellipse holds half of its component; its line is as strong as the component's weight,
    and a few draws of the posterior show how sure it is. Make one by `from_estimator`.

    Parameters
    ----------
    X : ndarray of shape (n_rows, 2)
        Rows.
    weights : ndarray of shape (n_draws, K)
    means : ndarray of shape (n_draws, K, 2)
    covariances : ndarray of shape (n_draws, K, 2, 2)
    names : tuple of str
        Of the two columns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the last plot was drawn.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbayes import VariationalGMM
    >>> from skbayes.inspection import MixtureDisplay
    >>> X = load_iris().data
    >>> display = MixtureDisplay.from_estimator(VariationalGMM(3, random_state=0).fit(X), X)
    >>> display.means.shape[1:]
    (3, 2)
    """

    def __init__(
        self,
        *,
        X: np.ndarray,
        weights: np.ndarray,
        means: np.ndarray,
        covariances: np.ndarray,
        names: tuple[str, str] = ("x0", "x1"),
    ) -> None:
        self.X = X
        self.weights = weights
        self.means = means
        self.covariances = covariances
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        features: tuple[int, int] = (0, 1),
        n_samples: int = 5,
        random_state: Any = 0,
        ax: Any = None,
    ) -> MixtureDisplay:
        """Draw a fitted `VariationalGMM` over two columns of rows.

        Parameters
        ----------
        estimator : VariationalGMM
            Fitted.
        X : array-like of shape (n_rows, n_features)
            Rows.
        features : (int, int), default=(0, 1)
            Columns of the axes; the others are integrated out.
        n_samples : int, default=5
            Posterior draws, an ellipse each.
        random_state : int, RandomState instance or None, default=0
            Seeds the draws.
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        display : MixtureDisplay
        """
        named = estimator.sample_posterior(n_samples=n_samples, random_state=random_state)
        if "mu" not in named:
            raise ValueError(f"{type(estimator).__name__} has no components; give a VariationalGMM")
        columns = list(features)
        table = np.asarray(X, dtype=float)
        covariances = _covariances(named["Lambda"], estimator.covariance_type, table.shape[1])
        shape = (*named["mu"].shape, table.shape[1])
        covariances = np.broadcast_to(covariances, shape)
        labels = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(table.shape[1])])
        return cls(
            X=table[:, columns],
            weights=named["pi"],
            means=named["mu"][..., columns],
            covariances=covariances[..., columns, :][..., columns],
            names=(str(labels[columns[0]]), str(labels[columns[1]])),
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> MixtureDisplay:
        """Draw rows and ellipses.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure's by default.

        Returns
        -------
        self : MixtureDisplay
        """
        ax = get_axes(ax)
        ax.plot(*self.X.T, ".", color="0.7", markersize=4, zorder=0)
        angle = np.linspace(0, 2 * np.pi, 100)
        # Half of a normal in the plane lies within this radius.
        circle = np.sqrt(2 * np.log(2)) * np.stack([np.cos(angle), np.sin(angle)])
        roots = np.linalg.cholesky(self.covariances)
        for weights, means, own in zip(self.weights, self.means, roots, strict=True):
            for k, (weight, mean, root) in enumerate(zip(weights, means, own, strict=True)):
                if weight < 0.5 / len(self.X):
                    continue
                alpha = float(np.clip(0.2 + weight, 0, 1))
                ax.plot(*(mean[:, None] + root @ circle), color=f"C{k % 10}", alpha=alpha, lw=1)
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _covariances(precisions: np.ndarray, kind: str, n_columns: int) -> np.ndarray:
    """Covariances (n_draws, K or 1, D, D) of precisions shaped by their type."""
    if kind == "full":
        return np.linalg.inv(precisions)
    if kind == "tied":
        return np.linalg.inv(precisions)[:, None]
    variances = 1 / precisions if kind == "diag" else 1 / precisions[..., None]
    return np.broadcast_to(variances, (*variances.shape[:-1], n_columns))[..., None] * np.eye(
        n_columns
    )
