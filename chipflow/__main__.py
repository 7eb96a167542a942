"""`python -m chipflow` is `chipflow`."""

from chipflow.cli import app

if __name__ == "__main__":
    app(prog_name="chipflow")
