"""What every experiment is made of, and the experiments that more than one paper reads."""
