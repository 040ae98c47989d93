"""One step of the underdamped Langevin equation, by several schemes.

In coordinates q = position / scale the equation is

    dq = p dt,    dp = scale * grad dt - friction * p dt + sqrt(2 friction) dW,

whose stationary law is the target times standard normal momenta. Every scheme moves all
chains (S, P) in place and evaluates one gradient a step, except the third-order one,
which evaluates three. Schemes that kick at both ends of a step keep the last gradient, so
that each mini-batch makes one whole kick, half in its own step and half in the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Gradient = Callable[[Tensor], Tensor]
Noise = Callable[[], Tensor]


@dataclass
class Phase:
    """Positions, momenta and the gradient last evaluated, each (S, P).

    ``n_limited`` counts the gradients that were cut to the longest kick allowed.
    """

    position: Tensor
    momentum: Tensor
    grad: Tensor
    n_limited: Tensor


@dataclass(frozen=True)
class Dynamics:
    """What a step integrates.

    Parameters
    ----------
    gradient : callable
        Gradient (S, P) of the log joint at positions (S, P).
    noise : callable
        A fresh (S, P) array of standard normals.
    step_size, friction : float
        Step and friction coefficient per unit of time.
    scale : Tensor of shape (P,)
        Preconditioner: unit of each coordinate.
    limit : float
        Longest kick of a chain, in units of the momenta. Where the scheme is stable no
        kick comes near it; where the target turns suddenly stiff it keeps a chain from
        being thrown out.
    """

    gradient: Gradient
    noise: Noise
    step_size: float
    friction: float
    scale: Tensor
    limit: float

    def drift(self, phase: Phase, share: float) -> None:
        """Move positions along the momenta for a share of the step."""
        phase.position.addcmul_(phase.momentum, self.scale, value=share * self.step_size)

    def kick(self, phase: Phase, share: float) -> None:
        """Move momenta along the stored gradient for a share of the step."""
        phase.momentum.addcmul_(phase.grad, self.scale, value=share * self.step_size)

    def refresh(self, phase: Phase, share: float) -> None:
        """Friction and noise for a share of the step, solved exactly."""
        decay = math.exp(-self.friction * share * self.step_size)
        phase.momentum.mul_(decay).add_(self.noise(), alpha=math.sqrt(1 - decay**2))

    def damped_kick(self, phase: Phase) -> None:
        """Friction, gradient and noise of a whole step at once, by Euler's rule."""
        h, friction = self.step_size, self.friction
        phase.momentum.mul_(1 - h * friction)
        phase.momentum.addcmul_(phase.grad, self.scale, value=h)
        phase.momentum.add_(self.noise(), alpha=math.sqrt(2 * friction * h))

    def diffuse(self, phase: Phase, noise: Tensor) -> None:
        """Move positions along the gradient and by noise, as where friction is everything."""
        h = self.step_size
        phase.position.addcmul_(phase.grad, self.scale * self.scale, value=h)
        phase.position.addcmul_(noise, self.scale, value=math.sqrt(2 * h))

    def evaluate(self, phase: Phase) -> None:
        """Store the gradient at the present positions, no longer than the limit."""
        phase.grad = self.gradient(phase.position)
        length = torch.linalg.vector_norm(phase.grad * self.scale, dim=1, keepdim=True)
        share = self.limit / (self.step_size * length)
        phase.n_limited += (share < 1).sum()
        phase.grad *= share.clamp_(max=1)


def euler(phase: Phase, dynamics: Dynamics) -> None:
    """Momentum by Euler's rule, then position (Chen et al. 2014, section 3): weak order 1.

    Functions of position alone are second order: half a drift turns it into `leapfrog`.
    """
    dynamics.evaluate(phase)
    dynamics.damped_kick(phase)
    dynamics.drift(phase, 1.0)


def leapfrog(phase: Phase, dynamics: Dynamics) -> None:
    """Half a drift, Euler's kick, half a drift (Franzese et al. 2022): not the step of `HMC`.

    The mean squared momentum is 1 + step * friction / 2 to first order, functions of
    position alone are second order.
    """
    dynamics.drift(phase, 0.5)
    dynamics.evaluate(phase)
    dynamics.damped_kick(phase)
    dynamics.drift(phase, 0.5)


def obabo(phase: Phase, dynamics: Dynamics) -> None:
    """Symmetric splitting, friction outside (Bussi and Parrinello 2007): weak order 2."""
    dynamics.refresh(phase, 0.5)
    dynamics.kick(phase, 0.5)
    dynamics.drift(phase, 1.0)
    dynamics.evaluate(phase)
    dynamics.kick(phase, 0.5)
    dynamics.refresh(phase, 0.5)


def baoab(phase: Phase, dynamics: Dynamics) -> None:
    """Symmetric splitting, friction inside (Leimkuhler and Matthews 2013): weak order 2."""
    dynamics.kick(phase, 0.5)
    dynamics.drift(phase, 0.5)
    dynamics.refresh(phase, 1.0)
    dynamics.drift(phase, 0.5)
    dynamics.evaluate(phase)
    dynamics.kick(phase, 0.5)


#: Third-order stages of Ruth (1983): shares of the step in (drift, kick).
RUTH = ((7 / 24, 2 / 3), (3 / 4, -2 / 3), (-1 / 24, 1.0))


def milstein_tretyakov(phase: Phase, dynamics: Dynamics) -> None:
    """Weak order 3 with three gradients, after Milstein and Tretyakov (2003).

    Theirs is the construction: exp(friction t) takes the friction out of the equation,
    Ruth's symplectic scheme integrates what is left, and noise is added to it. How the
    noise enters is derived here and not copied from their schemes: it has the exact
    covariance of the free motion, and a third of its momentum comes before the stages. To
    third order that gives the force's answer to the noise its covariance with the noise
    itself. The order is what the tests measure, on one step and on stationary laws.

    References
    ----------
    Milstein and Tretyakov (2003), Quasi-symplectic methods for Langevin-type equations, IMA
    Journal of Numerical Analysis 23, 593-626; Ruth (1983), A canonical integration
    technique.
    """
    h, friction = dynamics.step_size, dynamics.friction
    noise, shift = free_noise(dynamics)
    phase.momentum.add_(noise, alpha=1 / 3)
    drifted = kicked = 0.0
    for drift, kick in RUTH:
        dynamics.drift(phase, drift * math.exp(-friction * h * kicked))
        drifted += drift
        dynamics.evaluate(phase)
        dynamics.kick(phase, kick * math.exp(friction * h * drifted))
        kicked += kick
    decay = math.exp(-friction * h)
    phase.momentum.mul_(decay).add_(noise, alpha=1 - decay / 3)
    shift.add_(noise, alpha=-(1 - decay) / friction / 3)
    phase.position.addcmul_(shift, dynamics.scale)


def free_noise(dynamics: Dynamics) -> tuple[Tensor, Tensor]:
    """Noise of momentum and position after a step without forces, exactly correlated.

    For small steps the variances are 2 f h and 2 f h³ / 3, the covariance f h².
    """
    h, f = dynamics.step_size, dynamics.friction
    lost = -math.expm1(-f * h)
    variance = -math.expm1(-2 * f * h)
    covariance = lost**2 / f
    first = dynamics.noise()
    root = math.sqrt(variance)
    regression = covariance / variance
    # 2 h / f - (3 - 4 e + e²) / f², whose terms cancel for small steps.
    total = _position_variance(h, f)
    spread = math.sqrt(max(total - covariance * regression, 0.0))
    shift = (regression * root) * first
    return root * first, shift.add_(dynamics.noise(), alpha=spread)


def _position_variance(h: float, f: float) -> float:
    """Variance of the free position after a step, without cancellation."""
    x = f * h
    if x > 0.01:
        return (2 * x - 3 + 4 * math.exp(-x) - math.exp(-2 * x)) / f**2
    return (2 / 3 * x**3 - x**4 / 2 + 7 / 30 * x**5 - x**6 / 12) / f**2


INTEGRATORS: dict[str, Callable[[Phase, Dynamics], None]] = {
    "euler": euler,
    "leapfrog": leapfrog,
    "obabo": obabo,
    "baoab": baoab,
    "milstein_tretyakov": milstein_tretyakov,
}
