"""`python -m orograph`: the command line."""

from orograph.infra.cli.app import main

if __name__ == "__main__":
    main()
