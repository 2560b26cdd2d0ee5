"""The command line, the benches and the doctor."""
