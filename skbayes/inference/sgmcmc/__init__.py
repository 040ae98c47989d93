"""Engines that draw by mini-batches, without an accept step: `sgld`, `sghmc`."""
