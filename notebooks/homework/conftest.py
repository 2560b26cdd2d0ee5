"""nbval leaves homework alone: students' versions are meant to fail, and the solutions are run by tests/test_grading.py, with the grader."""

collect_ignore_glob = ["*.ipynb"]
