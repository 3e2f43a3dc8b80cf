#!/usr/bin/env bash
# Fails if `dotnet format` would change whitespace or the order of imports. The analyzers of the build report the rest. The last line is
# "N passed, N failed".
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
passed=0
failed=0
for part in whitespace 'style --diagnostics IMPORTS'; do
  # shellcheck disable=SC2086
  if dotnet format $part SecureMessaging.sln --no-restore --verify-no-changes; then
    passed=$((passed + 1))
    echo "ok      dotnet format $part"
  else
    failed=$((failed + 1))
    echo "FAILED  dotnet format $part: run dotnet format"
  fi
done
echo "$passed passed, $failed failed"
((failed == 0))
