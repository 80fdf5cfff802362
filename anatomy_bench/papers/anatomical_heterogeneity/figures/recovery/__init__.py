"""Layers under noise, their recovery by training, its relation to importance, and the resulting budget."""

from anatomy_bench.papers.anatomical_heterogeneity.figures.recovery.budget import budget
from anatomy_bench.papers.anatomical_heterogeneity.figures.recovery.curves import curves
from anatomy_bench.papers.anatomical_heterogeneity.figures.recovery.noise import noised
from anatomy_bench.papers.anatomical_heterogeneity.figures.recovery.speed import speed

FIGURES = (noised, curves, speed, budget)
