#!/usr/bin/env bash
# Installs what `npm run bench` measures ourselves against, by package managers only:
# Debian's packages, cargo install, go install. Everything lies below one folder,
# by default .cache/bench, and apt's packages where apt puts them.
#
#   bench/peers/install.sh [DIR]
#
# May be run again. A rival that cannot be installed is named and left out: the bench
# then shows it as absent. Set CARGO_BUILD_JOBS to leave the machine some air.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../../.cache/bench}
mkdir -p "$dir/bin"
dir=$(cd "$dir" && pwd)
PATH=$PATH:/usr/sbin
failed=()

try() { # NAME COMMAND...: runs it, and notes NAME when it fails
  local name=$1
  shift
  "$@" || failed+=("$name")
}

has() { command -v "$1" >/dev/null || [ -x "$dir/bin/$1" ]; }

debian() { # PROGRAM PACKAGE
  has "$1" && return
  if [ "$(id -u)" != 0 ]; then
    echo "$1 is missing: sudo apt-get install $2" >&2
    return 1
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$2"
}

go_install() { # PROGRAM MODULE@VERSION: for mains whose folder has another name
  has "$1" && return
  GOBIN=$dir/gobin go install "$2" && mv "$dir/gobin/$(basename "${2%@*}")" "$dir/bin/$1" && rmdir "$dir/gobin"
}

own() { # PROGRAM FOLDER: ours, built anew each time
  (cd "$here/$2" && go build -o "$dir/bin/$1" .)
}

try load own bench-load load
try yamux own yamux-tunnel yamux-tunnel
try haproxy debian haproxy haproxy
try socat debian socat socat
try ssh debian ssh openssh-client
try sshd debian sshd openssh-server
try toxiproxy go_install toxiproxy-server github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0
try bore cargo install --root "$dir" --locked bore-cli --version 0.6.0
try rathole cargo install --root "$dir" rathole --version 0.5.0 \
  --no-default-features --features server,client,noise,hot-reload

if [ ${#failed[@]} -gt 0 ]; then
  echo "not installed: ${failed[*]}" >&2
  exit 1
fi
