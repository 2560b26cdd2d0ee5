"""`python -m miniclip`: the command line is in `tools/cli.py`."""

from miniclip.tools.cli import main

if __name__ == "__main__":
    main()
