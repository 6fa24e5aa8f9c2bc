"""`python -m telemetry_cli`, the same program as `telemetry`."""

import sys

from telemetry_cli.entry import main

sys.exit(main())
