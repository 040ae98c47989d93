"""What a decoder says of the columns of a table, one class a kind of column.

A kind encodes columns of X as the numbers that networks see (missing ones as zeros), gives
the log density of encoded columns under the decoder's outputs, their mean and draws, and
turns encoded columns back into columns of X. `COLUMN_KINDS` is the table of their names.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from skbayes.autoencoder._networks import Weights
from skbayes.data._scaling import ColumnMoments, Standardizer
from skbayes.utils._logs import LOG_2PI

#: Least noise variance that is learned, as a share of a column's: a constant column would
#: make the density infinite.
VARIANCE_FLOOR = 1e-4
#: Standardised values beyond this are cut off: their squares overflow single precision.
LARGEST = 1e14
#: Logits of columns that are all but sure are large, and so are the weights behind them;
#: their likelihood is bounded, so that a wide prior cannot be exploited as by small noise.
LOGIT_SCALE = 10.0


class Columns:
    """Base of the kinds of columns.

    `fit` sets `n_columns`, `n_encoded` (numbers that the encoder sees) and `n_outputs`
    (numbers that the decoder gives). Log densities sum over columns, where ``observed``
    (N, n_columns) is one, or over all where it is None.
    """

    n_columns: int
    n_encoded: int
    n_outputs: int
    #: Width of the prior of weights that feed these columns; others have the least of all.
    weight_scale = 1.0

    def fit(self, X: np.ndarray, weight: np.ndarray) -> Columns:
        """Learn the encoding from columns (N, n_columns) of X; NaN is missing."""
        self.n_columns = self.n_encoded = self.n_outputs = X.shape[1]
        return self

    @property
    def numbers_per_column(self) -> np.ndarray:
        """How many encoded numbers each column has (n_columns,)."""
        return np.ones(self.n_columns, dtype=np.intp)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Encoded columns (N, n_encoded) in float64."""
        return X

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Columns (..., n_columns) of X."""
        return encoded

    def log_scale(self, observed: np.ndarray) -> np.ndarray:
        """Log units of a row (N,): what its log density in units of X is smaller by."""
        return np.zeros(len(observed))

    def init(self) -> Weights:
        """Parameters of the noise, to be trained."""
        return {}

    def refresh(self, encoded: Tensor, generator: torch.Generator) -> Tensor:
        """What a training step sees in place of encoded columns."""
        return encoded

    def log_prob(
        self, encoded: Tensor, observed: Tensor | None, outputs: Tensor, noise: Weights
    ) -> Tensor:
        """Log density (..., N) of encoded columns (N, n_encoded)."""
        raise NotImplementedError(f"{type(self).__name__} must define log_prob")

    def mean(self, outputs: Tensor) -> Tensor:
        """Mean (..., n_encoded) of encoded columns."""
        return outputs

    def sample(self, outputs: Tensor, noise: Weights, generator: torch.Generator) -> Tensor:
        """Draws (..., n_encoded) of encoded columns."""
        raise NotImplementedError(f"{type(self).__name__} must define sample")

    def whiten(
        self, moves: Tensor, observed: Tensor | None, outputs: Tensor, noise: Weights
    ) -> Tensor:
        """Moves (q, N, n_outputs) of the outputs whose squares sum to the Fisher information."""
        raise NotImplementedError(f"{type(self).__name__} must define whiten")


class Gaussian(Columns):
    """Normal noise around the decoder's outputs.

    Parameters
    ----------
    noise : {"shared", "feature", "input"} or float
        One learned variance, one a column, one a column that depends on the code; or a
        fixed variance in the squared units of X.
    scale_inputs : {"column", "global"} or None
        Units that networks see, as `Standardizer` takes them.
    """

    def __init__(self, noise: str | float, scale_inputs: str | None) -> None:
        self.noise, self.scale_inputs = noise, scale_inputs

    def fit(self, X: np.ndarray, weight: np.ndarray) -> Gaussian:
        """Learn mean and scale of what is observed of each column."""
        super().fit(X, weight)
        observed = ~np.isnan(X)
        share = weight @ observed / weight.sum()
        found = ColumnMoments.of(X.astype(np.float64), weight)
        filled = np.where(observed, X, found.mean * found.unit)
        self.scaler = Standardizer(self.scale_inputs).fit(filled, weight)
        if self.scale_inputs is not None and not observed.all():
            # Filled-in means vary less than the values that they stand for.
            shortfall = share if self.scale_inputs == "column" else share.mean()
            self.scaler.scale = self.scaler.scale * np.sqrt(shortfall) ** -1.0
        self.n_outputs = self.n_columns * (2 if self.noise == "input" else 1)
        return self

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Standardised columns."""
        return np.clip(np.nan_to_num(self.scaler.transform(X), nan=0.0), -LARGEST, LARGEST)

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """Columns in units of X."""
        return self.scaler.inverse_transform(encoded)

    def log_scale(self, observed: np.ndarray) -> np.ndarray:
        """Sum of the log scales of a row's observed columns."""
        return observed @ np.log(self.scaler.scale)

    def init(self) -> Weights:
        """Log variances above the floor, in standardised units."""
        if self.noise not in ("shared", "feature"):
            return {}
        n = 1 if self.noise == "shared" else self.n_columns
        return {"log_variance": torch.full((n,), -1.0)}

    def _split(self, outputs: Tensor, noise: Weights) -> tuple[Tensor, Tensor]:
        """Mean and variance (or what broadcasts to it) of encoded columns."""
        if self.noise == "input":
            mean, raw = outputs.chunk(2, dim=-1)
            return mean, softplus(raw).square() + VARIANCE_FLOOR
        if "log_variance" in noise:
            return outputs, noise["log_variance"].exp() + VARIANCE_FLOOR
        fixed = float(self.noise) / torch.as_tensor(self.scaler.scale).square()
        return outputs, fixed.to(outputs)

    def log_prob(
        self, encoded: Tensor, observed: Tensor | None, outputs: Tensor, noise: Weights
    ) -> Tensor:
        """Log density (..., N) of standardised columns."""
        mean, variance = self._split(outputs, noise)
        return _summed(self._log_kernel(encoded - mean, variance, noise), observed)

    def _log_kernel(self, gap: Tensor, variance: Tensor, noise: Weights) -> Tensor:
        return -0.5 * (gap.square() / variance + (variance.log() + LOG_2PI))

    def mean(self, outputs: Tensor) -> Tensor:
        """Mean of standardised columns."""
        return outputs[..., : self.n_columns]

    def sample(self, outputs: Tensor, noise: Weights, generator: torch.Generator) -> Tensor:
        """Draws of standardised columns."""
        mean, variance = self._split(outputs, noise)
        draws = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + variance.sqrt() * draws

    def _information(self, noise: Weights) -> tuple[float | Tensor, float | Tensor]:
        """Fisher information of mean and variance, as shares of a normal's."""
        return 1.0, 1.0

    def whiten(
        self, moves: Tensor, observed: Tensor | None, outputs: Tensor, noise: Weights
    ) -> Tensor:
        """Moves over noise deviations."""
        _, variance = self._split(outputs, noise)
        of_mean, of_variance = (torch.as_tensor(f).sqrt() for f in self._information(noise))
        white = moves[..., : self.n_columns] * (of_mean * variance.rsqrt())
        white = white if observed is None else white * observed
        if self.noise != "input":
            return white
        raw = outputs[..., self.n_columns :]
        slope = math.sqrt(2) * softplus(raw) * torch.sigmoid(raw) / variance * of_variance
        slope = slope if observed is None else slope * observed
        return torch.cat([white, moves[..., self.n_columns :] * slope], dim=-1)


class StudentT(Gaussian):
    """Student-t noise around the decoder's outputs, its degrees of freedom learned.

    ``noise`` is the squared scale; the variance is that times df / (df - 2).
    """

    def init(self) -> Weights:
        """Log variances, and the log of the degrees of freedom above 2."""
        return {**super().init(), "log_df": torch.full((1,), math.log(3.0))}

    def _log_kernel(self, gap: Tensor, variance: Tensor, noise: Weights) -> Tensor:
        df = 2 + noise["log_df"].exp()
        norm = torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - 0.5 * (df * math.pi).log()
        kernel = torch.log1p(gap.square() / (df * variance))
        return norm - 0.5 * variance.log() - (df + 1) / 2 * kernel

    def sample(self, outputs: Tensor, noise: Weights, generator: torch.Generator) -> Tensor:
        """Draws of standardised columns."""
        mean, variance = self._split(outputs, noise)
        half = (1 + 0.5 * noise["log_df"].exp()).expand_as(mean).contiguous()
        gamma = torch._standard_gamma(half, generator=generator) / half
        draws = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + (variance / gamma).sqrt() * draws

    def _information(self, noise: Weights) -> tuple[float | Tensor, float | Tensor]:
        df = 2 + noise["log_df"].exp()
        return (df + 1) / (df + 3), df / (df + 3)


class Bernoulli(Columns):
    """Zeros and ones, whose logits the decoder gives.

    Parameters
    ----------
    binarize : {"threshold", "sample"} or None
        What is done to values between: rounded, or drawn afresh each time that training
        sees them, with themselves as probabilities.
    """

    weight_scale = LOGIT_SCALE

    def __init__(self, binarize: str | None) -> None:
        self.binarize = binarize

    def fit(self, X: np.ndarray, weight: np.ndarray) -> Bernoulli:
        """Nothing but the number of columns is learned."""
        super().fit(X, weight)
        return self

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Columns as they are, or rounded."""
        filled = np.nan_to_num(X, nan=0.0)
        if ((filled < 0) | (filled > 1)).any():
            raise ValueError(
                f"likelihood='bernoulli' takes values in [0, 1], but X holds "
                f"{filled.min():.6g} to {filled.max():.6g}; scale X with MinMaxScaler, or use "
                "likelihood='gaussian'"
            )
        return (filled >= 0.5).astype(np.float64) if self.binarize == "threshold" else filled

    def refresh(self, encoded: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros and ones drawn with the given probabilities."""
        if self.binarize != "sample":
            return encoded
        return torch.bernoulli(encoded, generator=generator)

    def log_prob(
        self, encoded: Tensor, observed: Tensor | None, outputs: Tensor, noise: Weights
    ) -> Tensor:
        """Log probability (..., N), or the cross-entropy of values between."""
        return _summed(encoded * outputs - softplus(outputs), observed)

    def mean(self, outputs: Tensor) -> Tensor:
        """Probabilities of ones."""
        return torch.sigmoid(outputs)

    def sample(self, outputs: Tensor, noise: Weights, generator: torch.Generator) -> Tensor:
        """Zeros and ones."""
        return torch.bernoulli(torch.sigmoid(outputs), generator=generator)

    def whiten(
        self, moves: Tensor, observed: Tensor | None, outputs: Tensor, noise: Weights
    ) -> Tensor:
        """Moves times the deviation of a zero or one."""
        p = torch.sigmoid(outputs)
        white = moves * (p * (1 - p)).sqrt()
        return white if observed is None else white * observed


class Categorical(Columns):
    """Columns of a few levels each, encoded as indicators; the decoder gives logits."""

    weight_scale = LOGIT_SCALE

    def fit(self, X: np.ndarray, weight: np.ndarray) -> Categorical:
        """Learn the levels of each column."""
        super().fit(X, weight)
        columns = (column[~np.isnan(column)] for column in X.T)
        self.levels = [np.unique(column) if len(column) else np.zeros(1) for column in columns]
        counts = [len(levels) for levels in self.levels]
        self.n_encoded = self.n_outputs = sum(counts)
        self.starts = np.cumsum([0, *counts])
        # Outputs of each column side by side, padded with the index of an impossible one.
        self.padded = np.full((self.n_columns, max(counts)), self.n_outputs)
        for row, start, count in zip(self.padded, self.starts, counts, strict=False):
            row[:count] = np.arange(start, start + count)
        self.owner = np.repeat(np.arange(self.n_columns), counts)
        return self

    @property
    def numbers_per_column(self) -> np.ndarray:
        """Levels of each column."""
        return np.diff(self.starts)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Indicators of levels; all zero where the value is missing."""
        parts = []
        for column, levels in zip(X.T, self.levels, strict=True):
            unknown = ~np.isnan(column) & ~np.isin(column, levels)
            if unknown.any():
                raise ValueError(
                    f"a categorical column holds {column[unknown][0]:g}, which was not among "
                    f"the levels seen by fit: {levels[:10]}; map rare levels to one of them, "
                    "or to NaN"
                )
            parts.append(column[:, None] == levels)
        return np.concatenate(parts, axis=1).astype(np.float64)

    def decode(self, encoded: np.ndarray) -> np.ndarray:
        """The level with the largest indicator."""
        parts = [
            levels[encoded[..., start : start + len(levels)].argmax(axis=-1)]
            for levels, start in zip(self.levels, self.starts, strict=False)
        ]
        return np.stack(parts, axis=-1)

    def _log_normalisers(self, outputs: Tensor) -> Tensor:
        """Log sum of exponentials (..., n_columns) over the levels of each column."""
        impossible = outputs.new_full((*outputs.shape[:-1], 1), -math.inf)
        padded = torch.cat([outputs, impossible], dim=-1)[..., torch.as_tensor(self.padded)]
        return torch.logsumexp(padded, dim=-1)

    def _log_probabilities(self, outputs: Tensor) -> Tensor:
        return outputs - self._log_normalisers(outputs)[..., torch.as_tensor(self.owner)]

    def log_prob(
        self, encoded: Tensor, observed: Tensor | None, outputs: Tensor, noise: Weights
    ) -> Tensor:
        """Log probability (..., N); a missing value's indicators are zero."""
        return (encoded * self._log_probabilities(outputs)).sum(-1)

    def mean(self, outputs: Tensor) -> Tensor:
        """Probabilities of levels."""
        return self._log_probabilities(outputs).exp()

    def sample(self, outputs: Tensor, noise: Weights, generator: torch.Generator) -> Tensor:
        """Indicators of drawn levels: the largest of logits with Gumbel noise."""
        waits = torch.empty_like(outputs, memory_format=torch.contiguous_format)
        waits.exponential_(generator=generator).clamp_min_(1e-30)
        noisy = outputs - waits.log()
        impossible = noisy.new_full((*noisy.shape[:-1], 1), -math.inf)
        padded = torch.as_tensor(self.padded)
        best = torch.cat([noisy, impossible], dim=-1)[..., padded].argmax(-1)
        drawn = padded[torch.arange(self.n_columns), best]
        return torch.zeros_like(noisy).scatter_(-1, drawn, 1.0)

    def whiten(
        self, moves: Tensor, observed: Tensor | None, outputs: Tensor, noise: Weights
    ) -> Tensor:
        """Moves off their mean over levels, times roots of probabilities."""
        p, owner = self.mean(outputs), torch.as_tensor(self.owner)
        means = moves.new_zeros(*moves.shape[:-1], self.n_columns)
        means.index_add_(-1, owner, moves * p)
        white = (moves - means[..., owner]) * p.sqrt()
        return white if observed is None else white * observed[..., owner]


def _summed(terms: Tensor, observed: Tensor | None) -> Tensor:
    return terms.sum(-1) if observed is None else (terms * observed).sum(-1)


COLUMN_KINDS: dict[str, Any] = {
    "gaussian": Gaussian,
    "student_t": StudentT,
    "bernoulli": Bernoulli,
    "categorical": Categorical,
}
