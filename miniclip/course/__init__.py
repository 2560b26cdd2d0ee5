"""What notebooks and homework show and check: figures, widgets, exercises, grading."""
