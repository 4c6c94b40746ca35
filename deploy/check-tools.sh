#!/bin/sh
# Names what is missing to build Watchbell, with the version that is needed.
missing=0
need() { # name, found version, least version, how to get it
    lowest=$(printf '%s\n%s\n' "$2" "$3" | sort -V | head -n 1)
    if [ -z "$2" ]; then
        echo "$1 is missing: version $3 or newer is needed. $4" >&2
        missing=1
    elif [ "$lowest" != "$3" ]; then
        echo "$1 is version $2, $3 or newer is needed. $4" >&2
        missing=1
    fi
}
version() { "$@" 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1; }
need "Rust (cargo)" "$(version cargo --version)" 1.95 "See https://rustup.rs"
need "Node.js" "$(version node --version)" 20.0 "See https://nodejs.org"
need "npm" "$(version npm --version)" 9.0 "It comes with Node.js"
if ! command -v cc >/dev/null 2>&1; then
    echo "A C compiler (cc) is missing: install gcc or clang, as for any Rust build." >&2
    missing=1
fi
exit $missing
