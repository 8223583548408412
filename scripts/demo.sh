#!/usr/bin/env bash
# Builds Nibble, quantizes the two models of examples/models inside the compiler
# and shows what that does to their size, speed and accuracy.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
prepare all
exec "$venv/bin/python" "$root/scripts/demo.py" "$@"
