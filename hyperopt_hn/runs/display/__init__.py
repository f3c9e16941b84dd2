"""Runs on a terminal and on paper: lines, bars, summaries, tables, pictures."""
