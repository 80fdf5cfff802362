"""Growth training against uniform training: validation loss by step, and where every arm ends."""

from anatomy_bench.report.figures.growth.curves import losses
from anatomy_bench.report.figures.growth.final import final_losses

FIGURES = (losses, final_losses)
