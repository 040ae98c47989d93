"""Linear regression whose precisions are integrated: one rule over the signal's strength.

Given the ratio rho of signal to noise variance, the noise precision integrates in closed
form, and all of it stands on one singular value decomposition of the centred columns
(Bishop 2006, section 3.5, has the same matrices). What is left is an integral over
t = log rho, by the trapezoid rule, which converges exponentially: the log of its integrand
is a sum of logistic functions of t.

Priors are in no unit. rho is the mean over rows of the prior variance of the weights' part,
in units of the noise: R² = rho / (1 + rho), the share of variance that the columns explain,
is uniform on (0, 1) (as g/n in the hyper-g/n prior of Liang et al. 2008, a = 4). The
intercept stands at the columns' means; its prior standard deviation is a power of two, from
1 to 2**1023 times the noise's, each as likely as the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag
from scipy.special import logsumexp

from skbayes.linear_model._centre import column_sizes
from skbayes.linear_model._conjugate import LinearPosterior
from skbayes.linear_model._noise import GammaNoise, log_constant
from skbayes.linear_model._weighted_rows import RowFactor

#: Values of log rho that are looked at first; beyond, there is only rounding.
WIDE = np.arange(-60.0, 91.0)
#: A prior in units of its own may say another place; exponentials have an end.
FARTHEST, LARGEST = 1300.0, 600.0
#: Nodes are kept down to this share of the highest, in nats.
DEPTH = 20.0
#: Steps of the rule: this many to a range, none longer than this. The log density's features
#: are at least about one e-fold wide, and a bell of DEPTH at its ends spans 13 deviations.
N_STEPS, SHORTEST, LONGEST = 24, 1e-9, 0.75
#: Prior standard deviations of an intercept, and how many are looked at beyond its own size,
#: where their mass falls by a half each.
N_WIDTHS, WIDTHS_BEYOND, MOST_WIDTHS = 1024, 32, 500
#: Nodes that stand for all widths, as a share of the rows' weight is all that they change.
FEW, MANY_ROWS = (4, 2), 100
#: Nodes that stand for all ratios where those lie within so many e-folds.
N_NARROW, NARROW = 12, 8.0
#: Relative spread of widths that rounding makes.
TINY = 1e-12

#: Half the log determinant (m,) of targets at m ratios, and what is left of each axis (m, r).
Relative = tuple[np.ndarray, np.ndarray]


@dataclass
class Integrated:
    """What is known of T targets when rows are seen and precisions are not.

    Attributes
    ----------
    posterior : LinearPosterior
        Of the intercept at the columns' means, if there is one, and the weights.
    log_evidence : ndarray of shape (T,)
    log_alpha : ndarray of shape (T, C)
        Log prior precision of the weights in each component, in units of the noise's.
    intercept_alpha : ndarray of shape (T,)
        That which shrinks the intercept as the whole posterior does.
    """

    posterior: LinearPosterior
    log_evidence: np.ndarray
    log_alpha: np.ndarray
    intercept_alpha: np.ndarray


class CentredRows:
    """Rows along the axes of the columns about their means, for T targets.

    Parameters
    ----------
    rows : RowFactor
    mean : ndarray of shape (T, P)
        Prior means, the intercept's where the columns are at their means.
    sd : ndarray of shape (P,)
        Prior standard deviations, up to a common factor.
    fit_intercept : bool

    Attributes
    ----------
    size : float
        Factor by which ``sd`` was too large for a signal of the noise's size.
    values, log_squares : ndarray of shape (r,)
        Singular values of the columns, and the logs of their squares.
    rotated : ndarray of shape (T, r)
        Targets along the axes.
    shift : ndarray of shape (T,)
        Targets along the intercept; zero without one.
    """

    def __init__(
        self, rows: RowFactor, mean: np.ndarray, sd: np.ndarray, fit_intercept: bool
    ) -> None:
        own = int(fit_intercept)
        design = rows.design[own:, own:]
        targets = rows.targets[own:].T - mean[:, own:] @ design.T
        self.weight, self.fit_intercept = rows.weight, fit_intercept
        self.size = signal_size(rows.design * sd, fit_intercept) / np.sqrt(rows.weight)
        self.sd = sd / self.size
        left, self.values, self.vectors = np.linalg.svd(design * self.sd[own:], full_matrices=False)
        with np.errstate(divide="ignore"):
            self.log_squares = 2 * np.log(self.values)
        self.rotated, self.residual = targets @ left, rows.residual
        self.shift = np.zeros(len(mean))
        if fit_intercept:
            corner = rows.design[0, 0]
            self.shift = (rows.targets[0] / corner - mean[:, 0]) * np.sqrt(rows.weight)
            self.sd[0] = 1.0

    def relative(self, t: np.ndarray) -> Relative:
        """Targets' covariance at log ratios t (m,), in units of the noise."""
        log_left = self.log_left(t)
        return -0.5 * log_left.sum(axis=-1), np.exp(log_left)

    def log_left(self, t: np.ndarray) -> np.ndarray:
        """Log share (..., r) of a target's square along each axis that no weights explain."""
        return -np.logaddexp(0, t[..., None] + self.log_squares)


def signal_size(columns: np.ndarray, fit_intercept: bool) -> float:
    """Norm of the columns that vary, or of all if none does; 1 if they are zeros."""
    size, varies = column_sizes(columns, fit_intercept)
    own = slice(int(fit_intercept), None)
    size, varies = size[own], varies[own]
    found = float(np.hypot.reduce(size[varies] if varies.any() else size, initial=0.0))
    return found if found > 0 else 1.0


def log_ratios(size: float, alpha_prior: tuple[float, float] | None) -> np.ndarray:
    """Where to look first: where the rows may tell, and where a Gamma prior says."""
    if alpha_prior is None:
        return WIDE
    shape, rate = alpha_prior
    place = np.clip(2 * np.log(size) - np.log(shape) + np.log(rate), -FARTHEST, FARTHEST)
    return np.arange(min(WIDE[0], np.floor(place) - 30), max(WIDE[-1], place + 30))


def integrate(
    rows: RowFactor,
    mean: np.ndarray,
    sd: np.ndarray,
    fit_intercept: bool,
    noise: GammaNoise,
    alpha_prior: tuple[float, float] | None = None,
) -> Integrated:
    """Posterior and evidence, weights, noise and precisions integrated out.

    Parameters
    ----------
    rows : RowFactor
        Of T targets, in units in which their numbers are moderate.
    mean, sd, fit_intercept
        See `CentredRows`.
    noise : GammaNoise
        Prior of the noise precision, of one component.
    alpha_prior : tuple of float, optional
        Shape and rate of a Gamma prior of alpha, in place of the even one of R².
    """
    centred = CentredRows(rows, mean, sd, fit_intercept)
    targets = [_Target(centred, t, noise, alpha_prior) for t in range(len(mean))]
    t = log_ratios(centred.size, alpha_prior)
    first = t, centred.relative(t)
    found = [target.components(first) for target in targets]
    width = max(each.shape[1] for each, _ in found)
    t, kappa, mass = np.stack([_padded(each, width) for each, _ in found], axis=1)
    posterior = _posterior(centred, mean, noise, t, kappa, mass)
    shrunk = (mass * kappa).sum(axis=1)
    evidence = np.array([value for _, value in found])
    log_alpha = 2 * np.log(centred.size) - t
    return Integrated(posterior, evidence, log_alpha, rows.weight * shrunk / (1 - shrunk))


class _Target:
    """Density of log rho and of the intercept's width for one target."""

    def __init__(
        self,
        rows: CentredRows,
        target: int,
        noise: GammaNoise,
        alpha_prior: tuple[float, float] | None,
    ) -> None:
        self.rows, self.alpha_prior = rows, alpha_prior
        self.squares = rows.rotated[target] ** 2
        self.least = rows.residual[target] ** 2
        self.shift = rows.shift[target] ** 2
        self.noise = GammaNoise(noise.shape[target], noise.log_rate[target], noise.floor[target])
        # Share of the shift that the intercept does not take, at each of its widths.
        self.kappa, self.log_width = np.zeros(1), np.zeros(1)
        if rows.fit_intercept:
            precision = np.exp2(-2.0 * np.arange(self._n_widths(float(noise.floor[target, 0]))))
            self.kappa = np.minimum(precision / (rows.weight + precision), 1 - TINY)
            self.log_width = 0.5 * np.log(self.kappa) - np.log(N_WIDTHS)

    def _n_widths(self, floor: float) -> int:
        smallest = self.least / self.rows.weight + floor
        excess = 0.5 * np.log2(max(1.0, self.shift / self.rows.weight / smallest))
        return min(WIDTHS_BEYOND + int(excess), MOST_WIDTHS)

    def log_joint(self, t: np.ndarray, relative: Relative) -> np.ndarray:
        """Log density (m, J) of the targets, of t, and of the intercept's width."""
        volume, _ = relative
        square = self._square(relative)[:, None] + self.shift * self.kappa
        value = self.noise.log_marginal(self.rows.weight, volume[:, None], square)
        return value + self.log_width + self.log_prior(t)[:, None]

    def _square(self, relative: Relative) -> np.ndarray:
        """Quadratic form (m,) of the targets about their mean."""
        return self.least + relative[1] @ self.squares

    def log_prior(self, t: np.ndarray) -> np.ndarray:
        """Log density of t = log rho."""
        if self.alpha_prior is None:
            return t - 2 * np.logaddexp(0, t)
        shape, rate = self.alpha_prior
        log_alpha = 2 * np.log(self.rows.size) - t
        with np.errstate(over="ignore"):
            pull = rate * np.exp(log_alpha)
        return shape * log_alpha - pull + log_constant(shape, np.log(rate))

    def components(self, first: tuple[np.ndarray, Relative]) -> tuple[np.ndarray, float]:
        """The components' log rho, kappa and mass (3, C), and the log evidence."""
        t, relative = first
        table = self.log_joint(t, relative)
        while True:
            height = logsumexp(table, axis=1)
            kept = np.flatnonzero(height >= height.max() - DEPTH)
            low, high = t[max(kept[0] - 1, 0)], t[min(kept[-1] + 1, len(t) - 1)]
            wanted = np.clip((high - low) / N_STEPS, SHORTEST, LONGEST)
            if t[1] - t[0] < 1.3 * wanted:
                break
            t = np.linspace(low, high, int(np.ceil((high - low) / wanted)) + 1)
            table = self.log_joint(t, self.rows.relative(t))
        log_evidence = float(logsumexp(height) + np.log(t[1] - t[0]))
        t, mass = t[kept], np.exp(height[kept] - height.max())
        if high - low < NARROW:
            t, mass = (found[0] for found in gauss_rule(t, mass[None], N_NARROW))
        relative = self.rows.relative(t)
        table = self.log_joint(t, relative)
        share = np.exp(table - logsumexp(table, axis=1, keepdims=True))
        kappa, mass = self._few_widths(relative, share * (mass / mass.sum())[:, None])
        mass /= mass.sum()
        t = np.broadcast_to(t[:, None], mass.shape)
        return np.stack([t, kappa, mass]).reshape(3, -1), log_evidence

    def _few_widths(self, relative: Relative, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Few kappas for each row of masses (m, J), and their masses.

        Gauss's rule in the log of the noise that a kappa leaves: it hardly changes else.
        """
        if len(self.kappa) == 1:
            return np.zeros(mass.shape), mass
        noise = self.noise.update(self.rows.weight, self._square(relative))
        growth = 1 + 0.5 * self.shift * np.exp(-noise.log_rate)
        n = FEW[0] if self.rows.weight < MANY_ROWS else FEW[1]
        nodes, mass = gauss_rule(np.log1p(growth[:, None] * self.kappa), mass, n)
        return np.clip(np.expm1(nodes) / growth[:, None], 0, self.kappa[0]), mass


def gauss_rule(values: np.ndarray, mass: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (m, n) and masses of Gauss's rules for m discrete measures.

    Of values and masses (m, J); n nodes keep 2 n moments. By Lanczos' recurrence and the
    eigenvalues of its matrix (Golub and Welsch 1969).
    """
    total = mass.sum(axis=1, keepdims=True)
    mean = (mass * values).sum(axis=1, keepdims=True) / total
    away = values - mean
    unit = np.sqrt((mass * away**2).sum(axis=1, keepdims=True) / total) + TINY
    away = away / unit
    before, now = np.zeros_like(mass), np.sqrt(mass / total)
    matrix = np.zeros((len(mass), n, n))
    size = np.zeros((len(mass), 1))
    for k in range(n):
        after = away * now - size * before
        matrix[:, k, k] = (after * now).sum(axis=1)
        after -= matrix[:, k, k, None] * now
        size = np.sqrt((after**2).sum(axis=1, keepdims=True))
        if k + 1 < n:
            matrix[:, k + 1, k] = matrix[:, k, k + 1] = size[:, 0]
        before, now = now, after / (size + TINY)
    nodes, vectors = np.linalg.eigh(matrix)
    return mean + unit * nodes, total * vectors[:, 0] ** 2


def _padded(rule: np.ndarray, width: int) -> np.ndarray:
    """Components (3, C) of one target, and copies of the last without mass up to a width."""
    padded = np.pad(rule, ((0, 0), (0, width - rule.shape[1])), mode="edge")
    padded[2, rule.shape[1] :] = 0.0
    return padded


def _posterior(
    rows: CentredRows,
    mean: np.ndarray,
    noise: GammaNoise,
    t: np.ndarray,
    kappa: np.ndarray,
    mass: np.ndarray,
) -> LinearPosterior:
    """Mixture over log rho and kappa (T, C) of given masses."""
    log_left = rows.log_left(t)
    variance = np.exp(np.minimum(t[:, :, None] + log_left, LARGEST))
    offset = variance * (rows.values * rows.rotated)[:, None]
    left = (rows.rotated[:, None] ** 2 * np.exp(log_left)).sum(axis=2)
    square = rows.residual[:, None] ** 2 + left
    sd, vectors, own = rows.sd, rows.vectors, int(rows.fit_intercept)
    if own:
        square += rows.shift[:, None] ** 2 * kappa
        free = 1 - kappa
        variance = np.concatenate([free[:, :, None] / rows.weight, variance], axis=2)
        move = free * (rows.shift / np.sqrt(rows.weight))[:, None]
        offset = np.concatenate([move[:, :, None], offset], axis=2)
        vectors = block_diag(1.0, vectors)
    # Components differ by little: of their own size, rounding would add to the variance.
    first = offset[:, :1]
    offset = offset - first
    centre = (mass[:, :, None] * offset).sum(axis=1, keepdims=True)
    offset -= centre
    mean = mean + sd * ((first + centre)[:, 0] @ vectors)
    after = noise.update(rows.weight, square)
    std, rest = np.sqrt(variance), np.exp(0.5 * np.minimum(t, LARGEST))
    return LinearPosterior(mean, sd[None], vectors[None], offset, std, rest, mass, after)
