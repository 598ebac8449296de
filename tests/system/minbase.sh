#!/bin/bash
# minbase.sh [run|test [PART]] - does what README.md says in a fresh `debootstrap --variant=minbase` root with nothing
# installed by hand: ./run --detach, a message, ./run --stop; with "test" also ./test. Needs root.
# The root lies below MINBASE (default /var/tmp/mansio-minbase) and is made anew at every call.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
what=${1:-run}
base=${MINBASE:-/var/tmp/mansio-minbase}
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
command -v debootstrap >/dev/null || apt-get -qq install -y --no-install-recommends debootstrap >/dev/null

cleanup() {
    for m in dev/pts dev/shm dev proc sys; do mountpoint -q "$base/$m" && umount -l "$base/$m"; done
    rm -rf --one-file-system "$base"
}
trap 'cleanup' EXIT
[ ! -e "$base" ] || cleanup
debootstrap --variant=minbase bookworm "$base" "$mirror" >/dev/null
# The same package sources as this machine's Debian, since a mirror may be all that can be reached.
cp /etc/apt/sources.list.d/debian.sources "$base/etc/apt/sources.list.d/" 2>/dev/null && : >"$base/etc/apt/sources.list"
cp /etc/apt/sources.list "$base/etc/apt/" 2>/dev/null || true
cp -r /etc/apt/apt.conf.d/. "$base/etc/apt/apt.conf.d/" 2>/dev/null || true
cp /etc/resolv.conf /etc/hosts "$base/etc/"
if [ -d /etc/ssl/certs ]; then mkdir -p "$base/etc/ssl" "$base/usr/share" && cp -rL /etc/ssl/certs "$base/etc/ssl/" 2>/dev/null || true; fi
printf '#!/bin/sh\nexit 101\n' >"$base/usr/sbin/policy-rc.d" && chmod 755 "$base/usr/sbin/policy-rc.d"
mount -t proc proc "$base/proc"
mount -t sysfs sysfs "$base/sys"
mount --bind /dev "$base/dev"
mount -t tmpfs tmpfs "$base/dev/shm"
mount --bind /dev/pts "$base/dev/pts"
mkdir -p "$base/src/mansio"
git ls-files -co --exclude-standard | tar cf - -T - | tar xf - -C "$base/src/mansio"
[ ! -d ../shared ] || { mkdir "$base/src/shared" && cp -r ../shared/data "$base/src/shared/"; }

in_root() { chroot "$base" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 CI="${CI:-}" bash -c "cd /src/mansio && $1"; }
echo "minbase: ./run --detach"
line=$(in_root './run --detach --dir /root/host') || { echo "minbase: ./run failed"; exit 1; }
echo "$line"
case $line in 'ready smtp=127.0.0.1:2525 submission='*' dir=/root/host') ;; *) echo "minbase: not the ready line"; exit 1 ;; esac
in_root 'ls /root/host/mail/user/new | grep -q .' || { echo "minbase: the first message is not in the Maildir"; exit 1; }
in_root 'ps -eo user,comm 2>/dev/null | grep mansio' || true
in_root './run --stop --dir /root/host'
if [ "$what" = test ]; then
    echo "minbase: ./test ${2:-}"
    in_root "./test ${2:-}"
fi
echo "minbase: ok"
