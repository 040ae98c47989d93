"""Row models that each break one promise, beside the checks that must notice."""

from collections import defaultdict

import numpy as np

from tests.testing.normals import Coins, Mixture, OneFactor

BROKEN_ROWS = defaultdict(list)


def caught_by(*checks):
    """Register a broken estimator with the checks that must refuse it."""

    def register(broken):
        for check in checks:
            BROKEN_ROWS[check].append(broken)
        return broken

    return register


@caught_by("check_row_verbs_exist")
class NoSpreadOfCodes(OneFactor):
    predict_std = property()


@caught_by("check_scores")
class ScoreIsTheSum(OneFactor):
    def score(self, X, y=None):
        return self.score_samples(X).sum()


@caught_by("check_scores")
class ScoresCentreTheirRows(OneFactor):
    def score_samples(self, X):
        X = np.asarray(X)
        return super().score_samples(X - X.mean(axis=0) + self.mean_)


@caught_by("check_new_rows")
class SampleIgnoresItsSeed(OneFactor):
    def sample(self, n_samples=1, random_state=None):
        return super().sample(n_samples, 0)


@caught_by("check_new_rows")
class AnyCountOfRows(OneFactor):
    def sample(self, n_samples=1, random_state=None):
        return super().sample(max(int(n_samples), 1), random_state)


@caught_by("check_posterior_draws")
class CodesIgnoreTheirSeed(OneFactor):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        return super().sample_posterior(X, n_samples, random_state if X is None else 0)


@caught_by("check_posterior_draws")
class TwoDrawsByDefault(OneFactor):
    def sample_posterior(self, X=None, n_samples=2, random_state=None):
        return super().sample_posterior(X, n_samples, random_state)


@caught_by("check_draws_have_the_density")
class WideDraws(OneFactor):
    def sample(self, n_samples=1, random_state=None):
        rows = super().sample(n_samples, random_state)
        return self.mean_ + 1.2 * (rows - self.mean_)


@caught_by("check_draws_have_the_density")
class ConstantForgotten(OneFactor):
    def score_samples(self, X):
        return super().score_samples(X) + 0.5


@caught_by("check_draws_have_the_density")
class LoadedCoins(Coins):
    def score_samples(self, X):
        return super().score_samples(X) + 0.2 * (np.asarray(X)[:, 0] > 0)


@caught_by("check_draws_have_the_density")
class LabelsOfEqualShare(Mixture):
    def sample(self, n_samples=1, random_state=None):
        rows, labels = super().sample(n_samples, random_state)
        return rows + 2.0 * labels[:, None], labels


@caught_by("check_row_units")
class NoiseInUnitsOfX(OneFactor):
    def _learn(self, X, weight):
        super()._learn(X, weight)
        self.covariance_ = self.covariance_ + np.eye(3)


@caught_by("check_row_units")
class CodesInSquares(OneFactor):
    def transform(self, X):
        return super().transform(X) * self.signal_


@caught_by("check_row_units")
class EvidenceIsTheMean(OneFactor):
    def score_evidence(self, X=None, y=None, return_std=False):
        value, se = super().score_evidence(X, return_std=True)
        value = value if X is None else value / len(X)
        return (value, se) if return_std else value


@caught_by("check_row_evidence")
class EvidenceOffByRow(OneFactor):
    def score_evidence(self, X=None, y=None, return_std=False):
        value, se = super().score_evidence(X, return_std=True)
        value -= 0 if X is None else 0.01 * len(X)
        return (value, se) if return_std else value


@caught_by("check_row_evidence")
class FirstRowCountsTwice(OneFactor):
    def score_evidence(self, X=None, y=None, return_std=False):
        value, se = super().score_evidence(X, return_std=True)
        if X is not None and len(X) > 1:
            value += abs(float(self.score_samples(X[:1])[0]))
        return (value, se) if return_std else value


@caught_by("check_no_rows_kept")
class KeepsItsRows(OneFactor):
    def _learn(self, X, weight):
        super()._learn(X, weight)
        self.rows_ = {"X": X}


@caught_by("check_saved_bits")
class RoundsInTheFile(OneFactor):
    def __getstate__(self):
        state = dict(super().__getstate__())
        state["mean_"] = state["mean_"].round(6)
        return state


@caught_by("check_saved_bits")
class KeepsAView(OneFactor):
    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, sample_weight=sample_weight)
        self.view_ = np.arange(6.0)[::2]
        return self


@caught_by("check_single_precision")
class AlwaysDouble(OneFactor):
    def transform(self, X):
        return super().transform(X).astype(float)


@caught_by("check_codes", "check_code_draws_agree")
class CodesCentreTheirRows(OneFactor):
    def transform(self, X):
        codes = super().transform(X)
        return codes - codes.mean(axis=0)

    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        draws = super().sample_posterior(X, n_samples, random_state)
        return draws if X is None else draws + 1.0


@caught_by("check_code_draws_agree")
class VarianceOfCodes(OneFactor):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        draws = super().sample_posterior(X, n_samples, random_state)
        return draws if X is None else self.transform(X) + 2 * (draws - self.transform(X))


@caught_by("check_way_back")
class WayBackMirrored(OneFactor):
    def inverse_transform(self, Z):
        return super().inverse_transform(-Z)


@caught_by("check_frames")
class TwoNames(OneFactor):
    def get_feature_names_out(self, input_features=None):
        return np.array(["one", "two"], dtype=object)

    def set_output(self, *, transform=None):
        return self


@caught_by("check_assignments")
class LeastProbablePart(Mixture):
    def predict(self, X):
        return self.predict_proba(X).argmin(axis=1)


@caught_by("check_assignments")
class OneDrawForAll(Mixture):
    def sample_posterior(self, X=None, n_samples=1, random_state=None):
        draws = super().sample_posterior(X, n_samples, random_state)
        return draws if X is None else np.repeat(draws[:1], n_samples, axis=0)
