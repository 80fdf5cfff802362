"""Growth training against uniform training: validation loss by step, and where every arm ends."""

from anatomy_bench.papers.anatomical_heterogeneity.figures.growth.curves import losses
from anatomy_bench.papers.anatomical_heterogeneity.figures.growth.final import final_losses

FIGURES = (losses, final_losses)
