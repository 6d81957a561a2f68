"""`python -m ergaster_cli` is the `ergaster` command."""

import sys

from ergaster_cli.main import main

sys.exit(main())
