"""Decisions: what a cluster costs, where two break even, whether to make tokens or to buy them."""
