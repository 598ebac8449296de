#!/bin/bash
# peers.sh - fetches and unpacks (never installs) the packages whose programs the system tests use as peers:
# Debian lets only one mail transfer agent be installed at a time. Into build/peers/PACKAGE.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
. cmake/deps.sh
for p in $PEER_PACKAGES; do
    [ -e "build/peers/$p/.complete" ] && continue
    rm -rf "build/peers/$p"
    mkdir -p "build/peers/$p/deb"
    say "test: fetching $p (unpacked below build/peers, not installed)"
    # Its libraries come along when the machine lacks them.
    (
        cd "build/peers/$p/deb"
        [ -n "$(apt-cache policy "$p" 2>/dev/null)" ] || apt-get -qq update
        apt-get -qq download "$p" $(apt-cache depends "$p" 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^lib(icu|db|sasl|nsl|tinycdb|lmdb|bsd|lockfile)/ { print $2 }') 2>/dev/null
        for f in *.deb; do dpkg -x "$f" ..; done
    )
    touch "build/peers/$p/.complete"
done
