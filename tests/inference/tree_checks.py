"""Exact checks of one subtree of NUTS, leaf by leaf: they raise AssertionError."""

from __future__ import annotations

import numpy as np
import torch

from skbayes.inference.mcmc._coordinates import sampling_coordinates
from skbayes.inference.mcmc._mass import DiagonalMass, kinetic
from skbayes.inference.mcmc._nuts import NUTS, Subtree, Tree
from tests.scenarios import linear_problem, make_run

N_CHAINS, N_LEAVES = 400, 16


def subtree():
    """A target and a finished subtree of every chain, half of them backwards in time."""
    problem = linear_problem(n_rows=12, n_features=2)
    model, data, run = problem.model(), problem.data(), make_run(0)
    engine = NUTS(n_chains=N_CHAINS, init_steps=0, warmup=0)
    state = engine.init(model, data, run)
    state.mass = DiagonalMass(torch.tensor([0.3, 0.5, 0.8], dtype=torch.float64))
    target = sampling_coordinates(model, data)
    tree = Tree(target, state, 0.3)
    # Steps from where chains turn at once to where some of them never do.
    steps = torch.linspace(0.002, 0.2, N_CHAINS)[:, None].double()
    steps[::2] *= -1
    start = [values[0] for values in tree.ends]
    part = Subtree(tree, start, steps, tree.energy)
    part.grow(N_LEAVES)
    return target, tree, start, steps, part


def path(target, mass, start, steps):
    """Positions, momenta (N_LEAVES, S, P) and energies (N_LEAVES, S) by plain leapfrog."""
    position, momentum, grad = start
    points = []
    for _ in range(N_LEAVES):
        momentum = momentum + 0.5 * steps * grad
        position = position + steps * mass.inverse * momentum
        value, grad = target.value_and_grad(position)
        momentum = momentum + 0.5 * steps * grad
        points.append((position, momentum, kinetic(momentum, mass) - value))
    return [torch.stack(values).numpy() for values in zip(*points, strict=True)]


def turned(positions, momenta, forward) -> bool:
    """Whether a stretch of one chain's path, or one of its halves, turns: by recursion."""
    if len(positions) == 1:
        return False
    half = len(positions) // 2
    first, last = (0, -1) if forward else (-1, 0)
    span = positions[last] - positions[first]
    return (
        span @ momenta[first] <= 0
        or span @ momenta[last] <= 0
        or turned(positions[:half], momenta[:half], forward)
        or turned(positions[half:], momenta[half:], forward)
    )


def check_subtrees() -> None:
    """Which chains' subtrees are whole, and their weights and acceptance, by definition."""
    target, tree, start, steps, part = subtree()
    positions, momenta, energies = path(target, tree.mass, start, steps)
    forward = steps[:, 0].numpy() > 0
    chains = range(N_CHAINS)
    expected = np.array([not turned(positions[:, c], momenta[:, c], forward[c]) for c in chains])
    whole = part.whole.numpy()
    assert (whole == expected).all(), f"{(whole != expected).sum()} chains differ"
    assert 0.1 * N_CHAINS < whole.sum() < 0.9 * N_CHAINS, "both kinds are tried"
    error = energies[:, whole] - tree.energy.numpy()[whole]
    weight = np.logaddexp.reduce(-error, axis=0)
    np.testing.assert_allclose(part.log_weight[whole], weight, rtol=1e-10)
    accepted = np.exp(-error).clip(max=1).sum(0)
    np.testing.assert_allclose(part.accepted[whole], accepted, rtol=1e-10)
    assert (part.n_points[whole] == N_LEAVES).all()


def check_drawn() -> None:
    """Points are drawn by their weights, and everything known of a point goes with it."""
    target, tree, start, steps, part = subtree()
    positions, _, energies = path(target, tree.mass, start, steps)
    chains = np.flatnonzero(part.whole)
    drawn = part.drawn.params.numpy()
    leaf = np.abs(positions - drawn).max(2).argmin(0)
    probability = np.exp(-energies - np.logaddexp.reduce(-energies, axis=0))
    cumulative = probability.cumsum(0)[leaf[chains], chains]
    middle = cumulative - 0.5 * probability[leaf[chains], chains]
    # The mid-rank of a draw has mean one half, and a variance below a uniform's.
    z = (middle.mean() - 0.5) * np.sqrt(12 * len(chains))
    assert abs(z) < 5, f"z-score {z:.1f} of the drawn leaves' ranks"
    value, grad, packed = target.evaluate(part.drawn.params)
    for found, exact in zip(
        (part.drawn.value, part.drawn.grad, part.drawn.packed), (value, grad, packed), strict=True
    ):
        torch.testing.assert_close(found[chains], exact[chains])
