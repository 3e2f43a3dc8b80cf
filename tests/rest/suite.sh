#!/usr/bin/env bash
# The REST API with tools of other authors: a linter and a client generator for its OpenAPI document, and a browser for the playgrounds and the official
# SignalR client. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ../prepare.sh
suite_with_server
