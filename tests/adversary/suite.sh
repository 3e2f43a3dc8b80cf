#!/usr/bin/env bash
# The hostile server and the hostile member, as a suite of tests/run.sh: all attacks and controls. README.md lists them. The last line is "N passed, N failed".
set -uo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run.sh"
