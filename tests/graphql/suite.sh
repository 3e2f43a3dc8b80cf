#!/usr/bin/env bash
# The GraphQL API with clients of other authors: the complete audit of graphql-http, and graphql-ws. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source ../prepare.sh
suite_with_server --RateLimits:Enabled=false --GraphQL:IntrospectionForUsers=true
