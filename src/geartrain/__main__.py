"""`python -m geartrain`: the same as the command `geartrain`."""

from __future__ import annotations

import sys

from geartrain.cli import main

sys.exit(main())
