"""Run directories: `writer.RunLog` writes one, `reader.Run` reads one, `python -m hyperopt_hn.runs` shows one."""
