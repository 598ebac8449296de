#!/bin/bash
# minbase-root.sh DIR PACKAGE... - makes DIR a `debootstrap --variant=minbase` root of Debian 12 with these packages and what
# they need, for tests that want a host with nothing else on it. One that is there already is taken as it is. Needs root.
# Exit 77: no package mirror answers, which says nothing about what is tested.
set -eu
base=$1
shift
wanted=$*
[ "$(cat "$base/.packages" 2>/dev/null)" != "$wanted" ] || exit 0
sites() { apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1; }
mirror=$(sites)
[ -n "$mirror" ] || { apt-get -qq update >/dev/null 2>&1 && mirror=$(sites); } || true
command -v debootstrap >/dev/null || apt-get -qq install -y --no-install-recommends debootstrap >/dev/null
new=$base.$$
cleanup() {
    for m in proc dev; do ! mountpoint -q "$new/$m" || umount -l "$new/$m"; done
    rm -rf --one-file-system "$new"
}
trap cleanup EXIT
mkdir -p "$new"
debootstrap --variant=minbase bookworm "$new" "$mirror" >"$new.log" 2>&1 || {
    code=1
    ! grep -q 'Failed getting release file' "$new.log" || code=77
    cat "$new.log"
    rm -f "$new.log"
    exit "$code"
}
rm -f "$new.log"
# The same package sources as this machine's Debian, since a mirror may be all that can be reached.
cp /etc/apt/sources.list.d/debian.sources "$new/etc/apt/sources.list.d/" 2>/dev/null && : >"$new/etc/apt/sources.list"
cp /etc/apt/sources.list "$new/etc/apt/" 2>/dev/null || true
cp -r /etc/apt/apt.conf.d/. "$new/etc/apt/apt.conf.d/" 2>/dev/null || true
cp /etc/resolv.conf /etc/hosts "$new/etc/"
if [ -d /etc/ssl/certs ]; then mkdir -p "$new/etc/ssl" && cp -rL /etc/ssl/certs "$new/etc/ssl/" 2>/dev/null || true; fi
mount -t proc proc "$new/proc"
mount --rbind /dev "$new/dev" && mount --make-rslave "$new/dev"
chroot "$new" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    bash -euc 'apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@"' _ $wanted >"$new.log" 2>&1 ||
    { cat "$new.log"; rm -f "$new.log"; exit 1; }
rm -f "$new.log"
for m in proc dev; do umount -l "$new/$m"; done
rm -rf "$new"/var/cache/apt/archives/*.deb
printf '%s' "$wanted" >"$new/.packages"
# Somebody else may have made it in the meantime: theirs is as good.
[ ! -e "$base" ] || rm -rf --one-file-system "$base"
mv -T "$new" "$base" 2>/dev/null || [ "$(cat "$base/.packages" 2>/dev/null)" = "$wanted" ]
