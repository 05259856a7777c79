"""`python -m cq` is `cq`."""

from cq.cli.main import main

main()
