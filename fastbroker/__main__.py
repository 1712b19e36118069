"""`python -m fastbroker` is the command `fastbroker`."""

from fastbroker.cli import main

if __name__ == "__main__":
    main(prog_name="fastbroker")
