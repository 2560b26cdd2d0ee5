"""How good a model is: test sets with ground truth, shifts, probes, baselines and the long
studies behind the notebooks."""
