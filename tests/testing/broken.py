"""Estimators that each break one promise, beside the checks that must notice.

`BROKEN` maps a check's name to classes, each of which that check must refuse.
"""

import random
from collections import defaultdict

import numpy as np
import torch
from scipy.stats import norm
from sklearn.utils import Bunch

from skbayes import BayesianMLPClassifier
from skbayes.exceptions import EvidenceUnavailableError
from skbayes.inference import DeepEnsemble
from tests.testing.conjugate import ConjugateRegression as Regressor

BROKEN = defaultdict(list)


class Classifier(BayesianMLPClassifier):
    """A quick classifier whose members differ."""

    def __init__(self, random_state=None):
        engine = DeepEnsemble(n_members=3, max_iter=20, learning_rate=0.1)
        super().__init__((5,), inference=engine, random_state=random_state)


def caught_by(*checks):
    """Register a broken estimator with the checks that must refuse it."""

    def register(broken):
        for check in checks:
            BROKEN[check].append(broken)
        return broken

    return register


# --- spreads -------------------------------------------------------------------------


@caught_by("check_target_draws_agree", "check_target_units")
class VarianceForStd(Regressor):
    def predict_std(self, X, kind="total"):
        return super().predict_std(X, kind) ** 2


@caught_by("check_variances_add", "check_target_draws_agree")
class EpistemicForgotten(Regressor):
    def predict_std(self, X, kind="total"):
        return super().predict_std(X, "aleatoric" if kind == "total" else kind)


@caught_by("check_posterior_draws_agree", "check_variances_add")
class EpistemicDoubled(Regressor):
    def predict_std(self, X, kind="total"):
        return super().predict_std(X, kind) * (2 if kind == "epistemic" else 1)


@caught_by("check_std_kinds")
class NegativeStd(Regressor):
    def predict_std(self, X, kind="total"):
        return -super().predict_std(X, kind)


@caught_by("check_std_kinds", "check_return_std")
class StdAsColumn(Regressor):
    def predict_std(self, X, kind="total"):
        return super().predict_std(X, kind)[:, None]

    def predict(self, X, return_std=False):
        mean = super().predict(X)
        return (mean, super().predict_std(X)) if return_std else mean


@caught_by("check_unknown_kind")
class AnyKind(Regressor):
    def predict_std(self, X, kind="total"):
        return super().predict_std(X, kind if kind in ("epistemic", "aleatoric") else "total")


@caught_by("check_unknown_kind")
class KindUnnamed(Regressor):
    def predict_std(self, X, kind="total"):
        try:
            return super().predict_std(X, kind)
        except ValueError:
            raise ValueError("kind is not known") from None


@caught_by("check_return_std")
class ReturnsEpistemic(Regressor):
    def predict(self, X, return_std=False):
        mean = super().predict(X)
        return (mean, self.predict_std(X, "epistemic")) if return_std else mean


@caught_by("check_epistemic_falls_with_data")
class NeverLearns(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.covariance_ = np.eye(len(self.mean_))
        return self


@caught_by("check_data_are_left_alone")
class CentresInPlace(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        if isinstance(X, np.ndarray):
            X -= X.mean(axis=0)
        return self


@caught_by("check_data_are_left_alone")
class ClipsInPlace(Regressor):
    def predict_std(self, X, kind="total"):
        std = super().predict_std(X, kind)
        np.clip(X, -1, 1, out=X)
        return std


@caught_by("check_rows_stand_alone")
class CentredAmongOthers(Regressor):
    def log_predictive(self, X, y):
        density = super().log_predictive(X, y)
        return density - 0.01 * density.mean()


# --- draws and intervals ---------------------------------------------------------------


@caught_by("check_draws_follow_the_seed")
class SeedIgnored(Regressor):
    def sample_y(self, X, n_samples=1, random_state=0):
        return super().sample_y(X, n_samples, 0)


@caught_by("check_draws_follow_the_seed")
class PosteriorSeedIgnored(Regressor):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        return super().sample_posterior(X, n_samples, 0)


@caught_by("check_target_draws_agree", "check_intervals")
class DrawsWithoutNoise(Regressor):
    def sample_y(self, X, n_samples=1, random_state=0):
        return self.sample_posterior(X, n_samples, random_state)[..., 0]


@caught_by("check_target_draws_agree")
class TargetDrawsLast(Regressor):
    def sample_y(self, X, n_samples=1, random_state=0):
        return super().sample_y(X, n_samples, random_state).T


@caught_by("check_posterior_draws_agree")
class PosteriorOffCentre(Regressor):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        draws = super().sample_posterior(X, n_samples, random_state)
        return draws if X is None else draws + 0.2 * self.scale_


@caught_by("check_posterior_draws_agree")
class OutputsMissing(Regressor):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        draws = super().sample_posterior(X, n_samples, random_state)
        return draws if X is None else draws[..., 0]


@caught_by("check_named_draws")
class DrawsLast(Regressor):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        draws = super().sample_posterior(X, n_samples, random_state)
        return {"coef": draws["coef"].T} if X is None else draws


@caught_by("check_named_draws")
class UnnamedDraws(Regressor):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        draws = super().sample_posterior(X, n_samples, random_state)
        return draws["coef"] if X is None else draws


@caught_by("check_draw_counts")
class AnyCount(Regressor):
    def sample_y(self, X, n_samples=1, random_state=0):
        return super().sample_y(X, max(int(n_samples), 1), random_state)


@caught_by("check_intervals")
class NarrowInterval(Regressor):
    def predict_interval(self, X, coverage=0.9):
        return super().predict_interval(X, 0.8 * coverage)


@caught_by("check_intervals")
class ShiftedInterval(Regressor):
    def predict_quantiles(self, X, quantiles=(0.05, 0.5, 0.95)):
        return super().predict_quantiles(X, quantiles) + 0.3 * self.scale_


@caught_by("check_intervals")
class ReversedInterval(Regressor):
    def predict_interval(self, X, coverage=0.9):
        return super().predict_interval(X, coverage)[:, ::-1]


@caught_by("check_quantiles")
class QuantilesOfTheOtherTail(Regressor):
    def predict_quantiles(self, X, quantiles=(0.05, 0.5, 0.95)):
        return super().predict_quantiles(X, 1 - np.asarray(quantiles))


@caught_by("check_quantiles")
class OneQuantileInAColumn(Regressor):
    def predict_quantiles(self, X, quantiles=(0.05, 0.5, 0.95)):
        return super().predict_quantiles(X, np.atleast_1d(quantiles))


@caught_by("check_coverage_is_validated")
class AnyCoverage(Regressor):
    def predict_interval(self, X, coverage=0.9):
        return super().predict_interval(X, min(max(coverage, 0.01), 0.99))


# --- densities and evidence --------------------------------------------------------------


@caught_by("check_density_is_normalised", "check_evidence_of_one_row")
class JacobianForgotten(Regressor):
    def log_predictive(self, X, y):
        return super().log_predictive(X, y) + np.log(self.scale_)


@caught_by("check_density_has_the_moments", "check_evidence_of_one_row")
class DensityOfTheMean(Regressor):
    def log_predictive(self, X, y):
        return norm.logpdf(y, self.predict(X), self.predict_std(X, "epistemic"))


@caught_by("check_evidence_of_one_row")
class EvidenceOffByRow(Regressor):
    def _joint(self, rows, mean, y):
        return super()._joint(rows, mean, y) - 0.01 * len(rows)


@caught_by("check_evidence_is_joint")
class ProductOfMarginals(Regressor):
    def score_evidence(self, X=None, y=None, return_std=False):
        if X is None:
            return super().score_evidence(return_std=return_std)
        value = self.log_predictive(X, y).sum()
        return (value, 0.0) if return_std else value


@caught_by("check_target_units")
class EvidenceInStandardUnits(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.log_evidence_ += len(y) * np.log(self.scale_)
        return self


@caught_by("check_target_units")
class PriorInUnitsOfY(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.mean_[0] += 1 / self.scale_
        return self


@caught_by("check_stored_evidence")
class UnknownKindOfEvidence(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight).evidence_kind_ = "guess"
        return self


@caught_by("check_stored_evidence")
class InfiniteEvidence(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight).log_evidence_ = -np.inf
        return self


class _NoEvidence(Regressor):
    message = "there is no evidence"

    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight).evidence_kind_ = None
        return self

    def score_evidence(self, X=None, y=None, return_std=False):
        if X is None:
            raise EvidenceUnavailableError(self.message)
        return super().score_evidence(X, y, return_std)


@caught_by("check_stored_evidence")
class NoAlternativeNamed(_NoEvidence):
    pass


@caught_by("check_stored_evidence")
class EvidenceOfNoKind(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight).evidence_kind_ = None
        return self


@caught_by("check_half_given_evidence")
class TargetsForgotten(Regressor):
    def score_evidence(self, X=None, y=None, return_std=False):
        if (X is None) != (y is None):
            X = y = None
        return super().score_evidence(X, y, return_std)


# --- the uncertainty report ----------------------------------------------------------------


class _Report(Regressor):
    def predict_uncertainty(self, X):
        return Bunch(**self.spoil(super().predict_uncertainty(X)))


@caught_by("check_uncertainty_report")
class ReportOfVariances(_Report):
    def spoil(self, report):
        return {**report, "total": report.total**2}


@caught_by("check_uncertainty_report")
class NegativeInformation(_Report):
    def spoil(self, report):
        return {**report, "mutual_information": -report.mutual_information}


@caught_by("check_uncertainty_report")
class ImpossibleEntropy(_Report):
    def spoil(self, report):
        return {**report, "entropy": report.entropy + 0.1}


@caught_by("check_uncertainty_report")
class EntropyOfTwo(_Report):
    def spoil(self, report):
        return {**report, "entropy": report.entropy[:, None]}


# --- state ---------------------------------------------------------------------------------


@caught_by("check_verbs_exist")
class VerbMissing(Regressor):
    predict_interval = property()


@caught_by("check_unfitted_is_refused")
class UnfittedUnnoticed(Regressor):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        if not hasattr(self, "mean_"):
            return {"coef": np.zeros((n_samples, 1))}
        return super().sample_posterior(X, n_samples, random_state)


@caught_by("check_predictions_leave_state")
class CachesPredictions(Regressor):
    def predict(self, X, return_std=False):
        self.cache_ = super().predict(X)
        return super().predict(X, return_std)


@caught_by("check_predictions_leave_state")
class NeverRepeats(Regressor):
    def predict(self, X, return_std=False):
        noise = 1e-9 * np.random.default_rng().normal()
        if return_std:
            return super().predict(X) + noise, self.predict_std(X)
        return super().predict(X) + noise


@caught_by("check_fit_reproduces")
class FitIgnoresItsSeed(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.mean_ += 1e-3 * np.random.default_rng().normal(size=len(self.mean_))
        return self


@caught_by("check_weights_repeat_rows")
class WeightsIgnored(Regressor):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y)


@caught_by("check_weights_repeat_rows")
class WeightsRescaled(Regressor):
    def fit(self, X, y, sample_weight=None):
        if sample_weight is not None:
            sample_weight = sample_weight / np.mean(sample_weight)
        return super().fit(X, y, sample_weight)


@caught_by("check_refused_fit")
class CountsColumnsFirst(Regressor):
    def fit(self, X, y, sample_weight=None):
        self.n_features_in_ = np.shape(X)[1]
        return super().fit(X, y, sample_weight)


@caught_by("check_saved_bits")
class KeepsAStridedView(Regressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.covariance_ = np.repeat(self.covariance_, 2, axis=1)[:, ::2]
        return self


@caught_by("check_pickle")
class ForgetsInThePickle(Regressor):
    def __getstate__(self):
        state = dict(super().__getstate__())
        state["covariance_"] = np.eye(4)
        return state


@caught_by("check_global_state_untouched")
class DrawsGlobally(Regressor):
    def fit(self, X, y, sample_weight=None):
        np.random.random()  # noqa: NPY002
        return super().fit(X, y, sample_weight)


@caught_by("check_global_state_untouched")
class PredictsWithRandom(Regressor):
    def predict(self, X, return_std=False):
        random.random()
        return super().predict(X, return_std)


@caught_by("check_global_state_untouched")
class KeepsOneThread(Regressor):
    def predict(self, X, return_std=False):
        torch.set_num_threads(1)
        return super().predict(X, return_std)


# --- classes -------------------------------------------------------------------------------


@caught_by("check_probabilities", "check_density_is_the_probability")
class Unnormalised(Classifier):
    def predict_proba(self, X):
        return 0.9 * super().predict_proba(X)


@caught_by("check_probabilities")
class LeastProbableClass(Classifier):
    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmin(axis=1)]


@caught_by("check_probabilities", "check_variances_add")
class TotalIsEpistemic(Classifier):
    def predict_std(self, X, kind="total"):
        return super().predict_std(X, "epistemic" if kind == "total" else kind)


@caught_by("check_density_is_the_probability")
class ColumnsSwapped(Classifier):
    def log_predictive(self, X, y):
        swapped = self.classes_[::-1][np.searchsorted(self.classes_, y)]
        return super().log_predictive(X, swapped)


@caught_by("check_target_draws_agree")
class UniformLabels(Classifier):
    def sample_y(self, X, n_samples=1, random_state=0):
        rng = np.random.RandomState(random_state)
        return rng.choice(self.classes_, size=(n_samples, len(X)))


@caught_by("check_posterior_draws_agree")
class ProbabilitiesForLogits(Classifier):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        draws = super().sample_posterior(X, n_samples, random_state)
        return draws if X is None else 1 / (1 + np.exp(-draws))


@caught_by("check_evidence_is_joint")
class ProductOfProbabilities(Classifier):
    def score_evidence(self, X=None, y=None, return_std=False):
        if X is None:
            return super().score_evidence(return_std=return_std)
        value = float(self.log_predictive(X, y).sum())
        return (value, 0.0) if return_std else value


@caught_by("check_evidence_of_classes")
class EvidenceOffByClassRow(Classifier):
    def score_evidence(self, X=None, y=None, return_std=False):
        if X is None:
            return super().score_evidence(return_std=return_std)
        value, se = super().score_evidence(X, y, return_std=True)
        value -= np.log(len(self.classes_)) * len(X)
        return (value, se) if return_std else value


@caught_by("check_uncertainty_report")
class InformationIsEntropy(Classifier):
    def predict_uncertainty(self, X):
        report = super().predict_uncertainty(X)
        return Bunch(**{**report, "mutual_information": report.entropy})
