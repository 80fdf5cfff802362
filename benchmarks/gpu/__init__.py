"""What a machine with a GPU is asked at once: ceilings, parity with the CPU, launches, speed, and the whole paper.

`make cuda` runs it (`python -m gpu` in this folder's parent). Each section has a budget of seconds and is written down
as it goes on, so that a run that is cut short keeps what it has.
"""
