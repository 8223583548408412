#!/usr/bin/env bash
# Builds Nibble and runs all of its tests; installs what it needs. Arguments go
# to run_tests.py, e.g. --only lit, or --filter mnist.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
prepare all
exec "$venv/bin/python" "$root/scripts/run_tests.py" "$@"
