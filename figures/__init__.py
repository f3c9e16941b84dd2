"""Figures: each file reads run directories and draws one picture; nothing here trains or loads a training module.

`python -m figures --runs ROOT [NAME ...]` draws; `figures.catalogue.SHEETS` is the table of names. A figure's file
holds `READS` (run -> the arrays or columns it reads, with their shapes), `RUNS` (the runs' names) and `draw(runs)`.
"""
