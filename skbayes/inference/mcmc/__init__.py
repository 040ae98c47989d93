"""Engines that draw with an accept step, and what all chains share: `hmc`, `nuts`, `mclmc`."""
