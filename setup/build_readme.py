#!/usr/bin/env python3
"""Write each addon's README.rst; with --check only say whether one is stale."""

from lib import readme, say


def main(arguments):
    if arguments not in ([], ["--check"]):
        raise say.Trouble("usage: setup/build_readme.py [--check]")
    if arguments:
        stale = readme.check()
        print(stale or "every README.rst is up to date")
        return 1 if stale else 0
    readme.write()
    return 0


say.run(main)
