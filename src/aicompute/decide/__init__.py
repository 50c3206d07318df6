"""Decisions on top of estimates: what a cluster costs, where two break even, make or buy; rules, and who supplies."""
