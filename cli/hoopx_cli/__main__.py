"""`python -m hoopx_cli`: the command line where nobody knows the path of `hoopx`."""

from __future__ import annotations

from hoopx_cli.main import main

main()
