#!/bin/bash
# minbase-package.sh DEB - installs the package in a fresh `debootstrap --variant=minbase` root with dpkg -i, makes a host
# with two lines of configuration, and looks where mail goes: local mail to root's alias, mail by SMTP to a system user.
# The root lies below MINBASE (default /var/tmp/mansio-minbase-package) and is made anew at every call. Needs root.
set -eu
deb=$(readlink -f "$1")
base=${MINBASE:-/var/tmp/mansio-minbase-package}
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
command -v debootstrap >/dev/null || apt-get -qq install -y --no-install-recommends debootstrap >/dev/null

cleanup() {
    for m in dev proc sys; do ! mountpoint -q "$base/$m" || umount -l "$base/$m"; done
    rm -rf --one-file-system "$base"
}
trap cleanup EXIT
[ ! -e "$base" ] || cleanup
debootstrap --variant=minbase bookworm "$base" "$mirror" >/dev/null
# The same package sources as this machine's Debian, since a mirror may be all that can be reached.
cp /etc/apt/sources.list.d/debian.sources "$base/etc/apt/sources.list.d/" 2>/dev/null && : >"$base/etc/apt/sources.list"
cp /etc/apt/sources.list "$base/etc/apt/" 2>/dev/null || true
cp -r /etc/apt/apt.conf.d/. "$base/etc/apt/apt.conf.d/" 2>/dev/null || true
cp /etc/resolv.conf /etc/hosts "$base/etc/"
if [ -d /etc/ssl/certs ]; then mkdir -p "$base/etc/ssl" && cp -rL /etc/ssl/certs "$base/etc/ssl/" 2>/dev/null || true; fi
mount -t proc proc "$base/proc"
mount --rbind /dev "$base/dev" && mount --make-rslave "$base/dev"
cp "$deb" "$base/root/mansio.deb"

in_root() {
    chroot "$base" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        bash -euc "$1"
}
fail() { echo "minbase-package: $1"; exit 1; }

libraries=$(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/,/ /g; s/|[^,]*//g')
in_root "apt-get -qq update && apt-get -qq install -y --no-install-recommends $libraries" >/dev/null 2>&1 || fail "no libraries: $libraries"
out=$(in_root 'dpkg -i /root/mansio.deb' 2>&1) || fail "dpkg -i: $out"
case $out in *'next step'*) ;; *) fail "postinst did not say the next step: $out" ;; esac
in_root 'mtad -n' >/dev/null || fail 'the configuration as installed is not in order'

# What README says first: two lines. The test's own port, since 25 may be in use on this machine.
in_root 'useradd -m -d /srv/maria maria
cat >/etc/mansio/mansio.conf <<X
hostname = mx.example.com
domains  = [ example.com ]
X
mtad -n >/dev/null
cat >>/etc/mansio/mansio.conf <<X
map aliases { type = aliases  source = /etc/aliases }
address { aliases = aliases }
listen smtp { address = [ "127.0.0.1:18025" ] }
log { to = /var/log/mansio.log }
X
echo "root: maria" >/etc/aliases
mtad -n >/dev/null' || fail 'two lines do not make a configuration'
in_root 'printf "Subject: early\n\nfrom cron\n" | sendmail -i root' || fail 'no mail is taken before the start'
in_root 'mkfifo /tmp/ready
setsid mtad --ready-fd 9 9<>/tmp/ready </dev/null >/tmp/out 2>&1 &
echo $! >/tmp/mtad.pid
read -r -t 60 line </tmp/ready && case $line in ready*) ;; *) exit 1 ;; esac' || fail "mtad did not come up: $(cat "$base/tmp/out")"
pid=$(cat "$base/tmp/mtad.pid")
trap 'kill "$pid" 2>/dev/null || true; cleanup' EXIT
cat >"$base/root/dialogue" <<'X'
exec 7<>/dev/tcp/127.0.0.1/18025
say() {
    [ -z "$1" ] || printf '%s\r\n' "$1" >&7
    while IFS= read -r -t 20 reply <&7; do
        case $reply in [0-9][0-9][0-9]-*) ;; *) break ;; esac
    done
    case $reply in "$2"*) ;; *) echo "$1: $reply"; exit 1 ;; esac
}
say '' 220
say 'EHLO client.example.net' 250
say 'MAIL FROM:<a@example.net>' 250
say 'RCPT TO:<maria@example.com>' 250
say DATA 354
say $'Subject: from outside\r\n\r\nhello\r\n.' 250
say QUIT 221
X
in_root 'bash /root/dialogue' || fail 'a message was not taken by SMTP'
for ((i = 0; i < 300; i++)); do
    n=$(ls "$base/srv/maria/Maildir/new" 2>/dev/null | wc -l)
    [ "$n" -lt 2 ] || break
    sleep 0.1
done
[ "$n" = 2 ] || fail "$n messages of 2 arrived: $(cat "$base/var/log/mansio.log")"
kill "$pid"
for ((i = 0; i < 900; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
in_root 'dpkg -P mansio' >/dev/null || fail 'purge failed'
[ -d "$base/var/spool/mansio" ] || fail 'purge took the spool'
echo "minbase-package: ok"
