"""The likelihood of rows of columns of several kinds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skbayes.likelihoods._base import Likelihood
from skbayes.likelihoods._column_kinds import LOG_DF, StudentTColumns

#: Where the log of learned noise starts: at the median of a half-normal.
LOG_NOISE = -0.394
#: Outputs of a batch from which a hand-written gradient is quicker.
BY_HAND = 2**14


@dataclass(frozen=True)
class Columns:
    """Columns of one kind.

    Attributes
    ----------
    likelihood : Likelihood
        Of the encoded numbers of all of them.
    numbers : tuple of int
        Encoded numbers of each column.
    """

    likelihood: Likelihood
    numbers: tuple[int, ...]

    @property
    def n_columns(self) -> int:
        """Columns."""
        return len(self.numbers)

    @property
    def n_encoded(self) -> int:
        """Encoded numbers."""
        return sum(self.numbers)

    @property
    def n_outputs(self) -> int:
        """Outputs of a network."""
        return self.likelihood.n_outputs(self.n_encoded)

    @property
    def n_hyper(self) -> int:
        """Unknowns of the noise."""
        return self.likelihood.n_hyper(self.n_encoded)


class _ByHand(torch.autograd.Function):
    """Log density (1, N) of rows, whose gradient is the likelihood's own: fewer passes."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, hyper: Tensor, y: Tensor, likelihood: Any) -> Tensor:
        ctx.save_for_backward(outputs, hyper, y)
        ctx.likelihood = likelihood
        return likelihood.log_prob(outputs, y, hyper)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        outputs, hyper, y = ctx.saved_tensors
        return *ctx.likelihood.grad(outputs, y, grads[0][0], hyper), None, None


def _by_hand_pays(likelihood: Any, outputs: Tensor) -> bool:
    """Whether a batch is so large that passes over it cost more than a node of the graph."""
    has_own = type(likelihood).grad is not Likelihood.grad
    return has_own and len(outputs) == 1 and outputs.numel() >= BY_HAND and outputs.requires_grad


class Mixed:
    """Kinds of columns side by side; a row's density is the product of its columns'.

    Parameters
    ----------
    parts : list of Columns
        In the order of encoded rows.
    """

    def __init__(self, parts: Sequence[Columns]) -> None:
        self.parts = list(parts)
        numbers = [n for part in parts for n in part.numbers]
        self.n_columns = len(numbers)
        self.n_outputs = sum(part.n_outputs for part in parts)
        self._numbers = None if set(numbers) == {1} else torch.tensor(numbers)
        kinds = [type(part.likelihood) for part in self.parts]
        self._refreshes = any(kind.refresh is not Likelihood.refresh for kind in kinds)

    @property
    def output_widths(self) -> Tensor:
        """Widths (n_outputs,) of the prior of the weights that feed each output."""
        widths = [torch.full((p.n_outputs,), p.likelihood.output_width) for p in self.parts]
        return torch.cat(widths)

    def init(self) -> Tensor:
        """Start (n_hyper,) of the unknowns."""
        starts = []
        for part in self.parts:
            starts.append(torch.full((part.n_hyper,), LOG_NOISE))
            if isinstance(part.likelihood, StudentTColumns):
                starts[-1][-1] = LOG_DF
        return torch.cat(starts)

    def per_number(self, values: Tensor) -> Tensor:
        """Values of columns (N, n_columns), repeated for each encoded number of a column."""
        if self._numbers is None:
            return values
        return values.repeat_interleave(self._numbers.to(values.device), dim=-1)

    def refresh(self, y: Tensor, generator: torch.Generator) -> Tensor:
        """Encoded rows as a training step sees them."""
        if not self._refreshes:
            return y
        pieces = y.split([part.n_encoded for part in self.parts], dim=-1)
        each = zip(self.parts, pieces, strict=True)
        return torch.cat([part.likelihood.refresh(own, generator) for part, own in each], dim=-1)

    def log_prob(
        self, outputs: Tensor, y: Tensor, hyper: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Log density (S, N) of encoded rows (N, n_encoded), of what was ``observed``."""
        if observed is None and len(self.parts) == 1:
            likelihood = self.parts[0].likelihood
            if _by_hand_pays(likelihood, outputs):
                return _ByHand.apply(outputs, hyper, y, likelihood)
        seen = None if observed is None else self.per_number(observed)
        terms = [
            part.log_prob(output, own_y, own, mask)
            for part, output, own, own_y, mask in self._split(outputs, hyper, y, seen)
        ]
        return terms[0] if len(terms) == 1 else torch.stack(terms).sum(0)

    def mean(self, outputs: Tensor, hyper: Tensor) -> Tensor:
        """Mean (S, N, n_encoded) of encoded rows."""
        each = self._split(outputs, hyper)
        return torch.cat([part.mean(output, own) for part, output, own, *_ in each], dim=-1)

    def sample(self, outputs: Tensor, hyper: Tensor, generator: torch.Generator) -> Tensor:
        """Draws (S, N, n_encoded) of encoded rows."""
        each = self._split(outputs, hyper)
        draws = [part.sample(output, own, generator) for part, output, own, *_ in each]
        return torch.cat(draws, dim=-1)

    def whiten(
        self, moves: Tensor, outputs: Tensor, hyper: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Moves (q, N, n) of the outputs whose squares sum to the Fisher information."""
        seen = None if observed is None else self.per_number(observed)
        pieces = moves.split([part.n_outputs for part in self.parts], dim=-1)
        white = []
        for (part, output, own, _, mask), move in zip(
            self._split(outputs, hyper, None, seen), pieces, strict=True
        ):
            white.append(part.whiten(move, output, own))
            if mask is not None:
                # Of several outputs a number, the first of all come first.
                white[-1] = white[-1] * mask.repeat(1, output.shape[-1] // mask.shape[-1])
        return torch.cat(white, dim=-1)

    def _split(
        self,
        outputs: Tensor,
        hyper: Tensor,
        y: Tensor | None = None,
        observed: Tensor | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Each likelihood, its outputs and unknowns, encoded rows and mask."""
        kinds = [part.likelihood for part in self.parts]
        if len(kinds) == 1:
            return iter([(kinds[0], outputs, hyper, y, observed)])

        def pieces(whole: Tensor | None, sizes: list[int]) -> Any:
            return [None] * len(kinds) if whole is None else whole.split(sizes, dim=-1)

        n_encoded = [part.n_encoded for part in self.parts]
        return zip(
            kinds,
            pieces(outputs, [part.n_outputs for part in self.parts]),
            pieces(hyper, [part.n_hyper for part in self.parts]),
            pieces(y, n_encoded),
            pieces(observed, n_encoded),
            strict=True,
        )
