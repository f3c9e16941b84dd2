"""Where a run's records go beside log.jsonl: TensorBoard, a CSV that grows, an experiment tracker.

    RunLog("runs/digits", config, sinks=[TensorBoard(), CSV()])

A sink gets every record exactly once, in order, also when the run is killed and resumed: a record is handed over
when a checkpoint covers it, and a resumed run hands over what is lacking.
"""

from hyperopt_hn.runs.sinks.delivery import Sink
from hyperopt_hn.runs.sinks.event_file import TensorBoard
from hyperopt_hn.runs.sinks.growing_table import CSV
from hyperopt_hn.runs.sinks.trackers import Tracker

__all__ = ["CSV", "Sink", "TensorBoard", "Tracker"]
